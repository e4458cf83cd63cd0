"""Cron expressions: croniter's dialect with five fields (R4), the presets (R3), and what is refused.

Owns the way from text to a `CronTable` and every complaint about that text. The table itself is `core/crontable.py`;
where it meets a zone is `core/ticks.py`.
"""

from __future__ import annotations

import calendar
import re
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from backfill_cli.core.crontable import CronTable, DayRule
from backfill_cli.core.zones import DAY
from backfill_cli.errors import ScheduleError

# R3, and croniter's two aliases.
PRESETS = {
    "@hourly": "0 * * * *",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@weekly": "0 0 * * 0",
    "@monthly": "0 0 1 * *",
    "@quarterly": "0 0 1 */3 *",
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
}

# Name, lowest, highest, as croniter reads them (weekday 7 is Sunday too).
FIELDS = (("minute", 0, 59), ("hour", 0, 23), ("day", 1, 31), ("month", 1, 12), ("weekday", 0, 7))


def parse_cron(expression: str) -> CronTable:
    """The wall-clock table of a cron expression or preset.

    Raises:
        ScheduleError: Not five fields, out of range, random (`R`, `H`), a step larger than its field, or a cron that
            never fires. The hint says which field and what it takes.
    """
    text = " ".join(expression.lower().split())
    text = PRESETS.get(text, text)
    if text.startswith("@"):
        raise _unknown_preset(expression)
    parts = text.split(" ") if text else []
    _check_shape(expression, parts)
    expanded = _expand(text)
    if expanded is None:
        raise _bad_field(expression, parts)
    rule = _day_rule(expanded)
    if (rule.nth and "*" not in rule.days) or (rule.nearest and (rule.nth or "*" not in rule.weekdays)):
        raise _two_kinds_of_days(expression, parts)
    minutes, hours = _numbers(expanded.fields[0], range(60)), _numbers(expanded.fields[1], range(24))
    seconds = tuple(hour * 3600 + minute * 60 for hour in hours for minute in minutes)
    step = _even_step(seconds) if rule.every_day else 0
    table = CronTable(text, seconds, len(hours) == 24, step, rule)
    if table.never_fires():
        raise _never_fires(expression, parts, rule)
    return table


class _Expanded(NamedTuple):
    """What croniter makes of an expression: a list of values a field, `*` for all, and its `#` and `W` beside them."""

    fields: Sequence[Sequence[int | str]]
    nth: Mapping[int, set[int | str]]
    nearest: set[int]


def _expand(text: str) -> _Expanded | None:
    """croniter's reading of an expression, or None where it refuses.

    Plain numbers, `*` and `*/n` are read here: importing croniter takes six times as long as starting Python, and most
    crons, all presets but one among them, need no more. A test holds the two readings equal.
    """
    parts = text.split(" ")
    if all(plain.fullmatch(part) for plain, part in zip(_PLAIN, parts, strict=True)):
        fields = [_plain_field(part, low, high) for part, (_, low, high) in zip(parts, FIELDS, strict=True)]
        if all(fields):
            return _Expanded(fields, {}, set())
    from croniter import croniter

    try:
        cron = croniter(text, 0.0)
    except (ValueError, KeyError, TypeError, IndexError, AttributeError):
        # Its own errors are ValueErrors; the others escape it on a few malformed fields.
        return None
    # croniter 6 has no W.
    return _Expanded(cron.expanded, cron.nth_weekday_of_month, getattr(cron, "nearest_weekday", set()))


_PLAIN = [re.compile(form, re.ASCII) for form in (r"\*(/\d+)?|\d+", r"\*(/\d+)?|\d+", r"\*|\d+", r"\*|\d+", r"\*|\d+")]


def _plain_field(part: str, low: int, high: int) -> list[int | str]:
    """The values of a plain field; empty when it is out of range."""
    if part == "*":
        return ["*"]
    if part.startswith("*/"):
        step = int(part[2:])
        return list(range(low, high + 1, step)) if step else []
    value = int(part)
    return [value % 7 if high == 7 else value] if low <= value <= high else []


def _day_rule(expanded: _Expanded) -> DayRule:
    _, _, days, months, weekdays = expanded.fields
    return DayRule(
        days=frozenset(days),
        months=frozenset(_numbers(months, range(1, 13))),
        weekdays=frozenset(weekdays),
        nth=tuple((weekday, frozenset(which)) for weekday, which in expanded.nth.items()),
        nearest=frozenset(expanded.nearest),
        either=days[0] != "*" and weekdays[0] != "*",
    )


def _even_step(seconds: tuple[int, ...]) -> int:
    step, rest = divmod(DAY, len(seconds))
    return step if not rest and seconds == tuple(range(seconds[0], DAY, step)) else 0


def _numbers(expanded: Sequence[int | str], every: range) -> list[int]:
    return list(every) if "*" in expanded else sorted(int(value) for value in expanded)


def _check_shape(expression: str, parts: list[str]) -> None:
    if len(parts) != 5:
        count = f"{len(parts)} field{'' if len(parts) == 1 else 's'}"
        hint = "cron needs 5: minute hour day month weekday, as in '0 6 * * *'"
        if len(parts) in (6, 7):
            hint = (
                f"cron needs 5, without seconds or years: perhaps {' '.join(parts[-5:])!r} or {' '.join(parts[:5])!r}"
            )
        raise ScheduleError(f"schedule {expression!r} has {count}", hint=hint, code="bad-cron")
    for part, (name, low, high) in zip(parts, FIELDS, strict=True):
        if re.search(r"(?<![a-z])[rh](?![a-z])", part):
            raise ScheduleError(
                f"schedule {expression!r} is random in its {name} field ({part!r})",
                hint="a backfill needs the same dates every time: write the number",
                code="random-cron",
            )
        size = high - low + (0 if name == "weekday" else 1)
        for step in re.findall(r"/(\d+)", part):
            if int(step) > size:
                raise ScheduleError(
                    f"schedule {expression!r} steps by {step} in its {name} field, which has {size} values",
                    hint=f"use a step of at most {size}, or timedelta(…) for a step that crosses the field",
                    code="bad-step",
                )


def _bad_field(expression: str, parts: list[str]) -> ScheduleError:
    for index, (part, (name, low, high)) in enumerate(zip(parts, FIELDS, strict=True)):
        alone = ["*"] * 5
        alone[index] = part
        if _expand(" ".join(alone)) is None:
            extra = {"day": " and L", "month": " or jan-dec", "weekday": " or sun-sat, and 5#3, L5"}.get(name, "")
            return ScheduleError(
                f"schedule {expression!r} has a bad {name} field: {part!r}",
                hint=f"it takes {low}-{high}{extra}, lists, ranges and steps",
                code="bad-cron",
            )
    return ScheduleError(
        f"schedule {expression!r} is not a cron expression",
        hint="cron needs 5 fields: minute hour day month weekday, as in '0 6 * * *'",
        code="bad-cron",
    )


def _two_kinds_of_days(expression: str, parts: list[str]) -> ScheduleError:
    """Elsewhere two restricted day fields mean either; with `#` or `W` croniter silently drops one of them."""
    return ScheduleError(
        f"schedule {expression!r} restricts the day ({parts[2]!r}) and, with # or W, the weekday ({parts[4]!r})",
        hint="cron has no agreed meaning for both: leave one of them '*', or make two DAGs",
        code="ambiguous-days",
    )


def _never_fires(expression: str, parts: list[str], rule: DayRule) -> ScheduleError:
    months = [calendar.month_name[month] for month in sorted(rule.months)]
    days = [str(day) for day in sorted(day for day in rule.days if isinstance(day, int))]
    hint = "look at the day and month fields together"
    if days:
        verb = "has" if len(months) == 1 else "have"
        hint = (
            f"{' and '.join(months)} {verb} no day {' or '.join(days)}; "
            f"the last day of a month is '{parts[0]} {parts[1]} L * *'"
        )
    return ScheduleError(f"schedule {expression!r} never fires", hint=hint, code="never-fires")


def _unknown_preset(expression: str) -> ScheduleError:
    from difflib import get_close_matches

    known = [*PRESETS, "@once"]
    near = get_close_matches(expression.strip().lower(), known, n=1)
    hint = f"did you mean {near[0]}?" if near else f"known are {', '.join(known)}"
    return ScheduleError(f"there is no schedule {expression!r}", hint=hint, code="unknown-preset")
