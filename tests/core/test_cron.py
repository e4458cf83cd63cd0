"""Cron expressions: the dialect (R4), the presets (R3), the refusals; and the table held equal to stepping croniter."""

from __future__ import annotations

import re
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from itertools import islice

import pytest
from croniter import croniter
from croniter.croniter import CroniterBadDateError
from hypothesis import assume, example, given
from hypothesis import strategies as st
from strategies import crons

from backfill_cli.core import cron
from backfill_cli.core.cron import PRESETS, parse_cron
from backfill_cli.core.crontable import CronTable
from backfill_cli.core.intervals import epoch_seconds
from backfill_cli.core.schedules import compile_schedule
from backfill_cli.core.zones import LATEST, date_to_day, day_to_date
from backfill_cli.errors import ScheduleError

starts = st.datetimes(datetime(1950, 1, 1), datetime(2080, 1, 1)).map(lambda at: at.replace(microsecond=0))


def ticks_on_the_wall(expression: str, after: datetime, count: int) -> list[datetime]:
    """The next ticks strictly after a naive time, from the table; UTC has no changes, so it is the naive wall."""
    schedule = compile_schedule(expression, zone="UTC", anchor=None)
    begin = epoch_seconds(after.replace(tzinfo=UTC)) + 1
    spans = islice(schedule.spans(begin, LATEST), count)
    return [datetime(1970, 1, 1) + timedelta(seconds=span.start) for span in spans]


def days_in(expression: str, year: int, month: int) -> list[int]:
    table = parse_cron(expression)
    first = date_to_day(datetime(year, month, 1).date())
    return [day_to_date(day).day for day in table.days(first, first + 31) if day_to_date(day).month == month]


@given(crons(), starts)
@example("0 0 13 * 5", datetime(2024, 8, 31))
@example("0 0 * * 5#3", datetime(2024, 1, 1))
@example("0 0 L * L5", datetime(2024, 1, 1))
@example("0 0 29 2 *", datetime(2024, 1, 1))
@example("0 0 30,31 4,6 1", datetime(2024, 1, 1))
@example("0 0 * * sun-sat", datetime(2024, 1, 1))
@example("0 0 1-31 * 1", datetime(2024, 1, 1))
@example("0 0 ? * MON", datetime(2024, 1, 1))
def test_table_equals_stepping_croniter_in_naive_wall_time(expression: str, start: datetime) -> None:
    """R4: the dialect is croniter's, whatever the combination of fields."""
    if "#" in expression or "W" in expression or re.search(r"L\d", expression):
        assume(expression.split()[2] == "*" or expression.split()[4] == "*")
    stepped = croniter(expression, start, ret_type=datetime)
    try:
        expected = [stepped.get_next() for _ in range(40)]
    except CroniterBadDateError:
        with pytest.raises(ScheduleError, match="never fires"):
            parse_cron(expression)
        return
    assert ticks_on_the_wall(expression, start, 40) == expected


@pytest.mark.skipif(not hasattr(croniter("0 0 * * *", 0.0), "nearest_weekday"), reason="croniter 6 has no W")
@pytest.mark.parametrize("day", ["1W", "15W", "W15", "31W"])
def test_nearest_working_day_equals_stepping_croniter(day: str) -> None:
    """R4, in the versions of croniter that know it."""
    start = datetime(2024, 1, 1)
    stepped = croniter(f"0 0 {day} * *", start, ret_type=datetime)
    assert ticks_on_the_wall(f"0 0 {day} * *", start, 60) == [stepped.get_next() for _ in range(60)]
    with pytest.raises(ScheduleError) as caught:
        parse_cron(f"0 0 {day} * 1")
    assert caught.value.code == "ambiguous-days"


@given(
    st.tuples(
        *(st.sampled_from(["*", "*/1", "*/7", "*/12", "0", "00", "5", "59"]) for _ in range(2)),
        *(st.sampled_from(["*", "1", "07", "7", "12"]) for _ in range(3)),
    ).map(" ".join)
)
def test_plain_crons_are_read_as_croniter_reads_them(expression: str) -> None:
    """The short way around croniter's import must not be a second dialect."""
    try:
        expected = croniter(expression, 0.0).expanded
    except ValueError:
        with pytest.raises(ScheduleError):
            parse_cron(expression)
        return
    short = cron._expand(expression)
    assert short is not None
    everything = [list(range(60)), list(range(24)), list(range(1, 32)), list(range(1, 13)), list(range(7))]
    for ours, theirs, whole in zip(short.fields, expected, everything, strict=True):
        assert (list(ours) if ours != ["*"] else whole) == (theirs if theirs != ["*"] else whole)


def test_plain_crons_do_not_import_croniter() -> None:
    """Importing croniter takes six times as long as starting Python; a preset must not pay for it."""
    code = (
        "import sys; from backfill_cli.core.schedules import compile_schedule; "
        "compile_schedule('@daily', zone='Europe/Paris', anchor=None); "
        "print([name for name in ('croniter', 'pendulum', 'dateutil') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize(
    ("preset", "expression"),
    [
        ("@hourly", "0 * * * *"),
        ("@daily", "0 0 * * *"),
        ("@weekly", "0 0 * * 0"),
        ("@monthly", "0 0 1 * *"),
        ("@quarterly", "0 0 1 */3 *"),
        ("@yearly", "0 0 1 1 *"),
    ],
)
def test_presets_mean_their_cron(preset: str, expression: str) -> None:
    """R3."""
    assert PRESETS[preset] == expression
    assert parse_cron(preset).text == parse_cron(f"  {preset.upper()} ").text == expression


def test_day_of_month_and_weekday_both_restricted_fire_on_either() -> None:
    """R4: `0 0 13 * 5` in September 2024: 06, 13, 20, 27."""
    assert days_in("0 0 13 * 5", 2024, 9) == [6, 13, 20, 27]
    assert days_in("0 0 14 * 5", 2024, 9) == [6, 13, 14, 20, 27]


@pytest.mark.parametrize(
    ("expression", "year", "month", "days"),
    [
        ("0 0 L * *", 2024, 2, [29]),
        ("0 0 L * *", 2023, 2, [28]),
        ("0 0 * * 5#3", 2024, 3, [15]),
        ("0 0 * * fri#3", 2024, 3, [15]),
        ("0 0 * * L5", 2024, 3, [29]),
        ("0 0 * mar mon-wed", 2024, 3, [4, 5, 6, 11, 12, 13, 18, 19, 20, 25, 26, 27]),
        ("0 0 10-20/5 * *", 2024, 3, [10, 15, 20]),
        ("0 0 31 * *", 2024, 4, []),
        ("0 0 31 * *", 2024, 5, [31]),
        ("0 0 * * 7", 2024, 3, [3, 10, 17, 24, 31]),
    ],
)
def test_dialect_of_the_day_fields(expression: str, year: int, month: int, days: list[int]) -> None:
    """R4: names, L, 5#3, ranges, steps; the 31st skips short months."""
    assert days_in(expression, year, month) == days


def test_steps_restart_at_midnight() -> None:
    """R4: `0 */5 * * *` makes 20:00–00:00 an interval of four hours."""
    ticks = ticks_on_the_wall("0 */5 * * *", datetime(2024, 1, 1, 19), 2)
    assert ticks == [datetime(2024, 1, 1, 20), datetime(2024, 1, 2)]


@pytest.mark.parametrize("hours", ["*", "*/1", "0-23", "0-11,12-23"])
def test_every_hour_is_told_by_the_expanded_field(hours: str) -> None:
    """Section 3: `*`, `*/1` and `0-23` are one and the same."""
    assert parse_cron(f"30 {hours} * * *").every_hour
    assert not parse_cron("30 0-22 * * *").every_hour


@given(crons(), st.integers(-40_000, 60_000), st.integers(0, 2000))
def test_count_days_is_the_length_of_days(expression: str, first: int, length: int) -> None:
    try:
        table = parse_cron(expression)
    except ScheduleError:
        return
    assert table.count_days(first, first + length) == len(table.days(first, first + length))


@pytest.mark.parametrize(
    ("expression", "code", "hint"),
    [
        ("0 0 30 2 *", "never-fires", "February has no day 30; the last day of a month is '0 0 L * *'"),
        ("5 4 31 4,6 *", "never-fires", "April and June have no day 31; the last day of a month is '5 4 L * *'"),
        ("0 0 0 * * *", "bad-cron", "cron needs 5"),
        ("0 0 1 1 * 0 2024", "bad-cron", "cron needs 5"),
        ("0 0 * *", "bad-cron", "cron needs 5"),
        ("0 0 13 * 5#3", "ambiguous-days", "leave one of them '*'"),
        ("0 0 13 * L5", "ambiguous-days", "leave one of them '*'"),
        ("", "bad-cron", "cron needs 5"),
        ("daily", "bad-cron", "cron needs 5"),
        ("*/90 * * * *", "bad-step", "at most 60"),
        ("0 */25 * * *", "bad-step", "at most 24"),
        ("0 0 */32 * *", "bad-step", "at most 31"),
        ("0 0 1 */13 *", "bad-step", "at most 12"),
        ("0 0 * * */8", "bad-step", "at most 7"),
        ("R * * * *", "random-cron", "write the number"),
        ("0 R(0-5) * * *", "random-cron", "write the number"),
        ("H H * * *", "random-cron", "write the number"),
        ("60 * * * *", "bad-cron", "0-59"),
        ("0 24 * * *", "bad-cron", "0-23"),
        ("0 0 0 * *", "bad-cron", "1-31"),
        ("0 0 32 * *", "bad-cron", "1-31"),
        ("0 0 * 13 *", "bad-cron", "1-12"),
        ("0 0 * * 8", "bad-cron", "0-7"),
        ("0 0 * * foo", "bad-cron", "sun-sat"),
        ("*/0 * * * *", "bad-cron", "0-59"),
        ("-5 * * * *", "bad-cron", "0-59"),
        ("0 0 * * 1#6", "bad-cron", "0-7"),
        ("@dayly", "unknown-preset", "did you mean @daily?"),
        ("@continuous", "unknown-preset", "@"),
        ("@reboot", "unknown-preset", "@"),
    ],
)
def test_bad_crons_are_refused_with_the_next_edit(expression: str, code: str, hint: str) -> None:
    """R4: refuse what never fires, six fields, steps larger than the field, R."""
    with pytest.raises(ScheduleError) as caught:
        parse_cron(expression)
    assert caught.value.code == code
    assert hint in caught.value.hint
    assert repr(expression) in caught.value.message


@given(st.one_of(st.text(max_size=30), st.text("0123456789*/-,#LWRHjanfrisu ?@", max_size=30)))
def test_any_text_is_a_table_or_a_schedule_error(text: str) -> None:
    try:
        table = parse_cron(text)
    except ScheduleError as problem:
        assert problem.hint
        assert "\n" not in problem.hint
    else:
        assert isinstance(table, CronTable)
        assert table.seconds == tuple(sorted(set(table.seconds)))
