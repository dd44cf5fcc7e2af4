"""Methods of messages, made from their fields.

Compiled, as dataclasses compile their constructors: each message that comes or goes is made, checked and listed, and a
loop over its fields, with a function for each, would take longer than all else that is done here with a small one.
"""

from collections.abc import Callable
from typing import Any

from wampy.constants import LONG_LIST, SCALARS
from wampy.messages.checks import check_args, check_dict, is_short_uri
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
        fields hold what they may; ``listed``, which makes the wire list; ``from_wire``, which takes one;
        ``_plain_wire``, which makes the list if all that it holds is right and plain, else gives ``None``.
    """
    names: dict[str, Any] = {"is_short_uri": is_short_uri, "BARE": _BARE, "SCALARS": SCALARS, "new": object.__new__}
    parameters, settings, items = ["self"], [], [str(vars(cls)["WAMP_CODE"])]
    readings, checks, refusals, required = [], [], [], 0
    looks: list[str] = []
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
        looks.append(f"    v = self.{name}\n{_quick_look(kind)}")
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
    listing = f"    wire = [{', '.join(items)}]\n{trimming}    return wire"
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
        "listed": f"def listed(self):\n{listing}",
        # One step for `_is_right`, `listed` and the serializer's own look; most messages need no more.
        "_plain_wire": "\n".join(["def _plain_wire(self):", *looks, listing]),
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


def _quick_look(kind: Field) -> str:
    """Make the code that gives up on a field's value ``v`` if it is not right, or not plain, or takes a longer look."""
    if kind.check is check_args:
        return f"""
    if type(v) is not list and type(v) is not tuple or len(v) >= {LONG_LIST}: return None
    for each in v:
        if type(each) not in SCALARS: return None
"""
    usual = "type(v) is dict" if kind.check is check_dict else kind.usual  # whose keys are looked at here
    source = f"    if not ({usual}): return None"
    if kind.empty is dict:
        source += """
    for key, each in v.items():
        if type(each) not in SCALARS or type(key) is not str: return None
"""
    return source
