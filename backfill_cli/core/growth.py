"""Bounds on what one step of a template may make: measured before it is made.

Owns the sizes and the checks of operators, methods and filters whose result can be far larger than what goes in. What a
whole rendering may spend is the business of `core/sandbox.py`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

from jinja2.exceptions import SecurityError

MAX_TEXT: Final = 1_048_576
"""Characters one value or a whole rendered field may have: 1 MiB, as an XCom."""

MAX_ARGUMENT: Final = 10_000
MAX_BITS: Final = 16_384


def _size(value: Any) -> int:
    """Upper bound of the value's text, near enough for growth checks."""
    return len(value) if isinstance(value, str | bytes) else len(str(value))


def _refuse_growth(size: int) -> None:
    if size > MAX_TEXT:
        raise SecurityError(f"the result would have {size:,} characters, the limit is {MAX_TEXT:,}")


def check_method(method: str, owner: str, args: tuple[Any, ...]) -> None:
    if method == "replace" and len(args) >= 2:
        _refuse_growth(len(owner) + owner.count(args[0]) * len(args[1]))
    elif method == "join" and args:
        if not isinstance(args[0], str | list | tuple | dict):
            raise SecurityError("join takes a list")
        _refuse_growth(sum(_size(item) + len(owner) for item in args[0]))
    elif method in ("center", "ljust", "rjust", "zfill") and args:
        _refuse_growth(int(args[0]))


def check_operator(operator: str, left: Any, right: Any) -> None:
    if operator == "*":
        for one, other in ((left, right), (right, left)):
            if isinstance(one, str | bytes | list | tuple) and isinstance(other, int):
                _refuse_growth(len(one) * other)
        if isinstance(left, int) and isinstance(right, int) and left.bit_length() + right.bit_length() > MAX_BITS:
            raise SecurityError(f"the product would have more than {MAX_BITS:,} bits")
    elif operator == "**":
        if isinstance(left, int) and isinstance(right, int) and left.bit_length() * abs(right) > MAX_BITS:
            raise SecurityError(f"the power would have more than {MAX_BITS:,} bits")
    elif operator == "%" and isinstance(left, str):
        values = right if isinstance(right, tuple) else tuple(right.values()) if isinstance(right, dict) else (right,)
        check_format(left, values, "%")


def check_number(value: Any) -> None:
    """Refuse a number whose division, or whose text, would take for ever: `int(base=16)` makes them from text."""
    if isinstance(value, int) and value.bit_length() > MAX_BITS:
        raise SecurityError(f"a number of more than {MAX_BITS:,} bits")


def check_format(template: str, values: tuple[Any, ...], marker: str) -> None:
    # a width is the only thing in a format that makes text out of nothing
    if re.search(r"\d{5}", template) or (marker == "%" and re.search(r"%[^a-zA-Z%]*\*", template)):
        raise SecurityError("the format asks for a width over 9,999")
    if marker == "{" and re.search(r"\{[^{}]*\{", template.replace("{{", "").replace("}}", "")):
        raise SecurityError("the format takes its width from an argument")
    longest = max(map(_size, values), default=0)
    widths = sum(map(int, re.findall(r"\d+", template)))
    _refuse_growth(len(template) + template.count(marker) * (longest + MAX_ARGUMENT // 100) + widths)


def _indented(value: Any, indent: int, depth: int) -> int:
    """Spaces that indented JSON has in front of the items of `value`, and of those inside them."""
    if not isinstance(value, list | tuple | dict):
        return 0
    inside = value.values() if isinstance(value, dict) else value
    return (len(value) + 1) * depth * indent + sum(_indented(item, indent, depth + 1) for item in inside)


def check_filter(name: str, value: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> None:
    given = (*args, *kwargs.values())
    if name == "tojson" and given:
        _refuse_growth(_indented(value, max((one for one in given if isinstance(one, int)), default=0), 1))
    elif name in ("center", "batch", "slice", "round", "indent"):
        limit = 300 if name == "round" else MAX_ARGUMENT
        if any(isinstance(item, int) and abs(item) > limit for item in given):
            raise SecurityError(f"an argument of the filter {name} is over {limit:,}")
    if name == "indent":
        width = max(
            (item if isinstance(item, int) else len(item) for item in given if not isinstance(item, bool)), default=4
        )
        text = str(value)
        _refuse_growth(len(text) + (text.count("\n") + 1) * width)
    elif name == "replace" and len(given) >= 2:
        text = str(value)
        _refuse_growth(len(text) + text.count(str(given[0])) * _size(given[1]))
    elif name == "format":
        check_format(str(value), given, "%")
    elif name == "sum" and isinstance(value, list | tuple):
        # Lists are added by copying what there is: their number times their length.
        longest = max((len(item) for item in (*value, *given) if isinstance(item, list | tuple)), default=0)
        _refuse_growth(len(value) * len(value) * longest // 2)
    elif name == "join" and isinstance(value, list | tuple | str | dict):
        _refuse_growth(sum(map(_size, value)) + len(value) * max(map(_size, given), default=0))
