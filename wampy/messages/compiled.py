"""Methods of messages, made from their fields.

Compiled, as dataclasses compile their constructors: each message that comes or goes is made, checked and listed, and a
loop over its fields, with a function for each, would take longer than all else that is done here with a small one.
"""

from collections.abc import Callable
from typing import Any

from wampy.messages.checks import is_short_uri
from wampy.messages.fields import Field

# An empty one of these is a payload all the same.
_BARE = (bytes, bytearray, str)
_LITERALS: dict[Any, str] = {list: "[]", dict: "{}"}


def compile_methods(cls: type, kinds: list[tuple[str, Field]]) -> dict[str, Any]:
    """Make the methods of a message class that depend on its fields.

    Args:
        cls: The class; what it has under a field's name is the field's default.
        kinds: The fields in wire order, each with its kind.

    Returns:
        By their names: ``__init__``, which puts in what ``None`` stands for; ``_is_right``, which says whether all
        fields hold what they may; ``listed``, which makes the wire list; ``from_wire``, which takes one.
    """
    names: dict[str, Any] = {"is_short_uri": is_short_uri, "BARE": _BARE, "new": object.__new__}
    parameters, settings, items = ["self"], [], [str(vars(cls)["WAMP_CODE"])]
    readings, checks, refusals, required = [], [], [], 0
    look_closely = "return cls._from_wire_closely(wire)"
    trimming, indent = "", "    "
    for at, (name, kind) in enumerate(kinds):
        names[f"check_{at}"], names[f"empty_{at}"] = kind.check, kind.empty
        empty = _LITERALS.get(kind.empty, f"empty_{at}()")
        value = name if kind.empty is None else f"{empty} if {name} is None else {name}"
        settings.append(f"    self.{name} = {value}")
        is_right = f"({kind.usual}) or check_{at}(v, self) is None"
        checks.append(f"    v = self.{name}\n    if not ({is_right}): return False")
        refusals.append(f"    v = self.{name}\n    if v is None or not ({is_right}): {look_closely}")
        parameter, item, reading = name, f"self.{name}", f"wire[{at + 1}]"
        if name in vars(cls):
            names[f"default_{at}"] = vars(cls)[name]
            parameter = f"{name}=default_{at}"
            reading += f" if size > {at + 1} else {f'default_{at}' if kind.empty is None else empty}"
        else:
            required = at + 1
        readings.append(f"    self.{name} = {reading}")
        parameters.append(parameter)
        items.append(f"list({item}) if isinstance({item}, tuple) else {item}" if name == "args" else item)
    for at, (name, _) in reversed(list(enumerate(kinds))):
        if name in vars(cls):  # what may be left out is, when it is empty and nothing stands behind it
            trimming += f"{indent}if not self.{name} and not isinstance(self.{name}, BARE):\n"
            indent += "    "
            trimming += f"{indent}del wire[{at + 1}]\n"
    sources = {
        "__init__": f"def __init__({', '.join(parameters)}):\n" + "\n".join(settings),
        "_is_right": "def _is_right(self):\n" + "\n".join([*checks, "    return True"]),
        # Not by the constructor, and with the checks in it, so that each message that comes in takes one call. What has
        # a fault, or a null, is looked at again. Checks come when all fields are set, because some look at two.
        "from_wire": "\n".join(
            [
                "def from_wire(cls, wire):",
                "    size = len(wire)",
                f"    if not {required + 1} <= size <= {len(kinds) + 1}: {look_closely}",
                "    self = new(cls)",
                *readings,
                *refusals,
                "    return self",
            ]
        ),
        "listed": f"def listed(self):\n    wire = [{', '.join(items)}]\n{trimming}    return wire",
    }
    methods: dict[str, Callable[..., Any]] = {}
    for name, source in sources.items():
        exec(source, names)
        methods[name] = names[name]
        methods[name].__qualname__ = f"{cls.__name__}.{name}"
        methods[name].__module__ = cls.__module__
    methods["listed"].__doc__ = "Make the wire list; see `Message.listed`."
    methods["from_wire"].__doc__ = "Build the message from its wire list; see `Message.from_wire`."
    return {**methods, "from_wire": classmethod(methods["from_wire"])}
