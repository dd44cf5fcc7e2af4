"""Two directives that show the session's states, both made from the table in `wampy.protocol.states`.

``.. session-diagram::`` draws the moves from one state to another as inline SVG; ``.. session-moves::`` lists
all moves as a table. Drawn here rather than with Graphviz, which a machine that builds the documentation may
lack.
"""

from __future__ import annotations

from html import escape
from typing import Any

from docutils import nodes
from sphinx.util.docutils import SphinxDirective

from wampy.protocol import states
from wampy.protocol.states import MOVES, SENT, State

# Where each state stands: column and row. ENDED is a bar at the right, along all rows. What does not fit this
# plan any more is an error, so that the drawing cannot fall behind the table.
PLACES = {
    State.NEW: (0, 0),
    State.JOINING: (0, 1),
    State.CHALLENGED: (1, 2),
    State.AUTHENTICATING: (1, 3),
    State.ESTABLISHED: (0, 4),
    State.DISMISSED: (1, 5),
    State.CLOSING: (0, 6),
}
BAR = State.ENDED

LEFT, TOP = 10, 10
COLUMN, ROW = 240, 76
WIDTH, HEIGHT = 150, 36
BAR_X, BAR_WIDTH = 610, 100
ELBOW = WIDTH - 22  # where elbows leave and reach a box, from its left


class MovesError(Exception):
    """Say that the table has a state or a move that the drawing has no place for."""


def label(direction: Any, name: str) -> str:
    """Name a move: an arrow to the right for what the client sends."""
    return f"{'→' if direction is SENT else '←'} {name.upper()}"


def edges(moves: dict[Any, State]) -> dict[tuple[State, State], list[str]]:
    """Collect the moves from one state to another, by where they begin and end."""
    found: dict[tuple[State, State], list[str]] = {}
    for (source, direction, name), target in moves.items():
        if source is not target:
            found.setdefault((source, target), []).append(label(direction, name))
    return found


def draw(moves: dict[Any, State]) -> str:
    """Draw a table of moves.

    Args:
        moves: As `wampy.protocol.states.MOVES`.

    Returns:
        An ``<svg>`` element.

    Raises:
        MovesError: Something in the table has no place in the drawing.
    """
    known = set(PLACES) | {BAR}
    used = {state for source, target in edges(moves) for state in (source, target)}
    if used != known:
        raise MovesError(f"give these states a place in the drawing, or take it away: {used ^ known}")
    rows = max(row for _, row in PLACES.values())
    width, height = BAR_X + BAR_WIDTH + 10, TOP + rows * ROW + HEIGHT + 10
    bar_top = TOP + min(PLACES[source][1] for source, target in edges(moves) if target is BAR) * ROW
    parts = [_box(BAR, BAR_X, bar_top, BAR_WIDTH, height - 10 - bar_top)]
    parts += [_box(state, *_corner(state), WIDTH, HEIGHT) for state in PLACES]
    parts += [_edge(source, target, names) for (source, target), names in edges(moves).items()]
    about = "; ".join(f"{a.name} to {b.name}: {', '.join(names)}" for (a, b), names in edges(moves).items())
    return (
        f'<svg class="session-states" viewBox="0 0 {width} {height}" role="img" '
        f'xmlns="http://www.w3.org/2000/svg" style="width: 100%; max-width: {width}px" '
        'font-family="sans-serif" font-size="13" fill="currentColor" stroke="none">'
        f"<title>The states of a session</title><desc>{escape(about)}</desc>"
        '<defs><marker id="tip" viewBox="0 0 10 10" refX="9" refY="5" markerWidth="8" markerHeight="8" '
        'orient="auto"><path d="M0 0 L10 5 L0 10 z"/></marker></defs>'
        f"{''.join(parts)}</svg>"
    )


def _corner(state: State) -> tuple[int, int]:
    column, row = PLACES[state]
    return LEFT + column * COLUMN, TOP + row * ROW


def _box(state: State, x: int, y: int, width: int, height: int) -> str:
    return (
        f'<rect x="{x}" y="{y}" width="{width}" height="{height}" rx="7" fill="none" stroke="currentColor"/>'
        f'<text x="{x + width / 2}" y="{y + height / 2 + 5}" text-anchor="middle" font-weight="bold">'
        f"{state.name}</text>"
    )


def _edge(source: State, target: State, names: list[str]) -> str:
    x, y = _corner(source)
    text = ", ".join(names)
    if target is BAR:
        middle = y + HEIGHT // 2
        return _line((x + WIDTH, middle), (BAR_X, middle)) + _text(BAR_X - 14, middle - 6, text, "end")
    to_x, to_y = _corner(target)
    if to_y <= y:
        raise MovesError(f"the drawing has no way back from {source.name} to {target.name}")
    if to_x == x:
        middle = x + 20  # its text ends before an elbow begins
        return _line((middle, y + HEIGHT), (middle, to_y)) + _text(middle + 8, y + HEIGHT + 25, text)
    if to_x > x:
        elbow, level = x + ELBOW, to_y + HEIGHT // 2
        return _line((elbow, y + HEIGHT), (elbow, level), (to_x, level)) + _text(elbow + 8, level - 6, text)
    elbow, level = to_x + ELBOW, y + HEIGHT // 2
    return _line((x, level), (elbow, level), (elbow, to_y)) + _text(elbow + 8, level - 6, text)


def _line(*points: tuple[int, int]) -> str:
    path = " ".join(f"{x},{y}" for x, y in points)
    return f'<polyline points="{path}" fill="none" stroke="currentColor" marker-end="url(#tip)"/>'


def _text(x: int, y: int, text: str, anchor: str = "start") -> str:
    return f'<text x="{x}" y="{y}" text-anchor="{anchor}">{escape(text)}</text>'


class SessionDiagram(SphinxDirective):
    """Draw the moves from one state to another."""

    def run(self) -> list[nodes.Node]:
        self.env.note_dependency(states.__file__)
        try:
            svg = draw(MOVES)
        except MovesError as error:
            raise self.error(str(error)) from error
        return [nodes.raw("", f'<p class="session-states">{svg}</p>', format="html")]


class SessionMoves(SphinxDirective):
    """List all moves: a row a state, with what may be sent, what may come, and where that leads."""

    def run(self) -> list[nodes.Node]:
        self.env.note_dependency(states.__file__)
        heads = ("in state", "the client may send", "the router may send")
        table, group = nodes.table(), nodes.tgroup(cols=len(heads))
        table += group
        group += [nodes.colspec(colwidth=width) for width in (16, 42, 42)]
        head, body = nodes.thead(), nodes.tbody()
        group += [head, body]
        head += _row([nodes.paragraph("", text) for text in heads])
        for state in State:
            cells = [self._cell(state, is_sent) for is_sent in (True, False)]
            body += _row([nodes.paragraph("", "", nodes.strong("", state.name)), *cells])
        return [table]

    def _cell(self, state: State, is_sent: bool) -> nodes.Node:
        by_target: dict[State, list[str]] = {}
        for (source, direction, name), target in MOVES.items():
            if source is state and (direction is SENT) == is_sent:
                by_target.setdefault(target, []).append(name.upper())
        if not by_target:
            return nodes.paragraph("", "nothing")
        lines = nodes.line_block()
        for target, names in by_target.items():
            leads = "" if target is state else f" ⇒ {target.name}"
            lines += nodes.line("", ", ".join(names) + leads)
        return lines


def _row(cells: list[nodes.Node]) -> nodes.row:
    row = nodes.row()
    for cell in cells:
        row += nodes.entry("", cell)
    return row


def setup(app: Any) -> dict[str, Any]:
    """Tell Sphinx about the directives."""
    app.add_directive("session-diagram", SessionDiagram)
    app.add_directive("session-moves", SessionMoves)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
