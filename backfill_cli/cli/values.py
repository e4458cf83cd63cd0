"""Values of flags, without pydantic: every flag of ours is a switch, text, a whole number or a list of texts.

Owns `plain_values`. From 0.29 on Typer checks each value through a pydantic adapter, and importing pydantic costs more
than everything else `bfill status` does. What a text means (a date, a span, a state) is for `cli/options.py` to say.
"""

from __future__ import annotations

import re
from typing import Any, get_args, get_origin

import typer

_WHOLE = re.compile(r"[+-]?[0-9]{1,18}")


class Plain:
    """What Typer calls a runtime parameter: turns what was typed into the value a command receives."""

    def __init__(self, kind: type[Any]) -> None:
        self._kind = kind

    def coerce(self, value: Any, param: Any, ctx: Any) -> Any:
        """Return the value. Raises typer.BadParameter for a number that is none."""
        if param.multiple or param.nargs == -1:
            return () if value is None else [self._one(one, param, ctx) for one in value]
        return None if value is None else self._one(value, param, ctx)

    def _one(self, value: Any, param: Any, ctx: Any) -> Any:
        if self._kind is str or isinstance(value, self._kind):
            return value
        if not _WHOLE.fullmatch(value):
            raise typer.BadParameter(f"{value!r} is not a valid integer", ctx=ctx, param=param)
        return int(value)


def plain_values(params: list[Any]) -> list[Any]:
    """Give every parameter that is a switch, text, a whole number, or a list of them its plain way to a value.

    Anything else keeps Typer's own. A Typer that knows nothing of this would take its own way too: slower, not wrong.
    """
    for param in params:
        kind = getattr(getattr(param, "type_descriptor", None), "annotation", None)
        if get_origin(kind) is list:
            [kind] = get_args(kind)
        if kind in (bool, str, int):
            param._runtime_param = Plain(kind)
    return params
