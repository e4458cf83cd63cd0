"""Ranges: contract section 4, and the rows of semantics section 8 that are about ranges."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st
from strategies import DAY, ZoneChange, zone_changes

from backfill_cli.core.intervals import Span, epoch_seconds
from backfill_cli.core.ranges import RangeRequest, Selection, When, parse_when, resolve_range
from backfill_cli.core.schedules import compile_schedule
from backfill_cli.core.zones import iso_utc
from backfill_cli.errors import NotFoundError, UsageProblem

NOW = datetime(2024, 1, 31, 12, tzinfo=UTC)


def utc(*parts: int) -> int:
    return epoch_seconds(datetime(*parts, tzinfo=UTC))


class Case:
    """A schedule in a zone, with the DAG's bounds and the instant it is; call it with a request."""

    def __init__(
        self,
        value: object = "@daily",
        zone: str = "UTC",
        dag_start: int | None = None,
        dag_end: int | None = None,
        now: datetime = NOW,
    ) -> None:
        self.zone, self.dag_start, self.dag_end, self.now = zone, dag_start, dag_end, epoch_seconds(now)
        self.schedule = compile_schedule(value, zone=zone, anchor=dag_start)

    def __call__(self, **request: object) -> Selection:
        for name in ("start", "end"):
            if isinstance(text := request.get(name), str):
                request[name] = parse_when(text)
        return resolve_range(
            RangeRequest(**request),  # type: ignore[arg-type]
            schedule=self.schedule,
            zone=self.zone,
            dag_start=self.dag_start,
            dag_end=self.dag_end,
            now=self.now,
        )

    def spans(self, **request: object) -> list[Span]:
        selection = self(**request)
        spans = list(selection.spans(self.schedule))
        assert selection.count(self.schedule) == len(spans)
        return spans

    def dates(self, **request: object) -> list[str]:
        return [iso_utc(span.start)[:16] for span in self.spans(**request)]

    def ends(self, **request: object) -> tuple[int, str, str]:
        found = self.dates(**request)
        return len(found), found[0], found[-1]


def codes(selection: Selection) -> list[str]:
    return [note.code for note in selection.notes]


# --- start and end --------------------------------------------------------------------------------------------------


def test_both_ends_are_included() -> None:
    assert Case().ends(start="2024-01-01", end="2024-01-07") == (7, "2024-01-01T00:00", "2024-01-07T00:00")


def test_a_date_only_end_is_the_whole_day() -> None:
    """Section 8: `--end 2024-01-07` on an hourly DAG includes 23:00 of the 7th."""
    assert Case("@hourly").ends(start="2024-01-01", end="2024-01-07") == (168, "2024-01-01T00:00", "2024-01-07T23:00")


def test_a_whole_day_is_a_day_in_the_dags_zone() -> None:
    case = Case("@hourly", "Europe/Berlin", now=datetime(2025, 1, 1, tzinfo=UTC))
    assert case.ends(start="2024-03-31", end="2024-03-31") == (23, "2024-03-30T23:00", "2024-03-31T21:00")
    assert case.ends(start="2024-10-27", end="2024-10-27") == (25, "2024-10-26T22:00", "2024-10-27T22:00")


def test_an_instant_is_exact() -> None:
    case = Case("@hourly")
    assert case.dates(start="2024-01-07T05:00", end="2024-01-07T06:59") == ["2024-01-07T05:00", "2024-01-07T06:00"]
    assert case.dates(start="2024-01-07T06:00:01+01:00", end="2024-01-07T06:00Z") == ["2024-01-07T06:00"]
    half = datetime(2024, 1, 7, 5, 0, 0, 500_000, tzinfo=UTC)
    assert case.dates(start=half, end="2024-01-07T06:00") == ["2024-01-07T06:00"]


def test_a_naive_time_is_wall_time_in_the_dags_zone() -> None:
    """Contract section 1."""
    assert Case("@hourly", "Asia/Tokyo").dates(start="2024-01-07T05:00", end="2024-01-07T05:30") == ["2024-01-06T20:00"]


def test_an_ambiguous_time_is_the_first_as_a_start_and_the_second_as_an_end() -> None:
    """Contract section 1."""
    case = Case("*/30 * * * *", "Europe/Berlin", now=datetime(2025, 1, 1, tzinfo=UTC))
    assert case.ends(start="2024-10-27T02:30", end="2024-10-27T02:30") == (3, "2024-10-27T00:30", "2024-10-27T01:30")


def test_a_nonexistent_time_moves_forward() -> None:
    """Contract section 1: 02:30 becomes 03:30 local, 01:30 UTC."""
    case = Case("*/30 * * * *", "Europe/Berlin", now=datetime(2025, 1, 1, tzinfo=UTC))
    assert case.dates(start="2024-03-31T02:30", end="2024-03-31T02:30") == ["2024-03-31T01:30"]


def test_start_alone_goes_to_the_last_complete_interval() -> None:
    """Without a note: what lies behind it was not asked for."""
    selection = Case()(start="2024-01-29")
    assert Case().ends(start="2024-01-29") == (2, "2024-01-29T00:00", "2024-01-30T00:00")
    assert not selection.notes


def test_end_alone_goes_from_the_start_date() -> None:
    case = Case(dag_start=utc(2024, 1, 10))
    assert case.ends(end="2024-01-12") == (3, "2024-01-10T00:00", "2024-01-12T00:00")


def test_end_alone_without_a_start_date_is_a_usage_problem() -> None:
    with pytest.raises(UsageProblem) as caught:
        Case()(end="2024-01-12")
    assert (caught.value.code, caught.value.exit_code, caught.value.hint) == ("no-start", 2, "add --start")


@pytest.mark.parametrize(
    ("start", "end"),
    [("2024-01-08", "2024-01-07"), ("2024-01-07T05:00", "2024-01-07T04:59"), ("2024-01-08T00:00", "2024-01-07")],
)
def test_start_after_end_is_a_usage_problem(start: str, end: str) -> None:
    """Section 8: exit 2."""
    with pytest.raises(UsageProblem, match="lies after") as caught:
        Case()(start=start, end=end)
    assert (caught.value.code, caught.value.exit_code) == ("reversed-range", 2)


def test_a_time_within_a_date_only_end_is_not_reversed() -> None:
    assert Case("@hourly").ends(start="2024-01-07T22:00", end="2024-01-07")[0] == 2


def test_a_day_that_the_zone_skipped_is_empty_and_not_reversed() -> None:
    selection = Case(zone="Pacific/Apia")(start="2011-12-30", end="2011-12-30")
    assert codes(selection) == ["empty"]
    assert "2011-12-31" in selection.notes[0].hint


# --- --last ---------------------------------------------------------------------------------------------------------


def test_last_days_are_whole_days_that_are_over() -> None:
    """`--last 30d` at noon of the 31st: the 1st to the 30th."""
    assert Case().ends(last="30d") == (30, "2024-01-01T00:00", "2024-01-30T00:00")
    assert Case("@hourly").ends(last="1d") == (24, "2024-01-30T00:00", "2024-01-30T23:00")
    assert Case().ends(last="2w")[0] == 14


def test_last_days_are_days_in_the_dags_zone() -> None:
    """At noon UTC it is the 1st of February on Kiritimati, 14 hours ahead."""
    assert Case(zone="Pacific/Kiritimati").ends(last="2d") == (2, "2024-01-29T10:00", "2024-01-30T10:00")


def test_end_moves_the_end_of_last() -> None:
    assert Case().ends(last="3d", end="2024-01-10") == (3, "2024-01-08T00:00", "2024-01-10T00:00")
    assert Case("@hourly").ends(last="6h", end="2024-01-10T06:00") == (7, "2024-01-10T00:00", "2024-01-10T06:00")
    assert Case("@hourly").ends(last="6h", end="2024-01-10") == (6, "2024-01-10T18:00", "2024-01-10T23:00")


def test_last_hours_count_back_from_now() -> None:
    case = Case("@hourly", now=datetime(2024, 1, 31, 12, 30, tzinfo=UTC))
    assert case.ends(last="6h") == (5, "2024-01-31T07:00", "2024-01-31T11:00")
    assert Case("*/30 * * * *").ends(last="90m") == (3, "2024-01-31T10:30", "2024-01-31T11:30")


@pytest.mark.parametrize("text", ["", "30", "d", "-1d", "0d", "1.5h", "30 days", "5y", "9999999d", "३d"])
def test_a_bad_length_is_a_usage_problem(text: str) -> None:
    with pytest.raises(UsageProblem) as caught:
        Case()(last=text)
    assert caught.value.code == "bad-length"
    assert "30d" in caught.value.hint


def test_last_reaches_back_to_the_beginning_of_the_calendar_at_most() -> None:
    assert Case("@yearly").ends(last="999999d")[1] == "0002-01-01T00:00"


# --- --dates --------------------------------------------------------------------------------------------------------


def test_dates_are_every_logical_date_of_a_given_day() -> None:
    case = Case("0 */6 * * *")
    assert case.dates(dates=(date(2024, 1, 9), date(2024, 1, 2), date(2024, 1, 9))) == [
        f"2024-01-0{day}T{hour}:00" for day in (2, 9) for hour in ("00", "06", "12", "18")
    ]


def test_a_given_instant_is_itself_the_logical_date() -> None:
    assert Case("@hourly").dates(dates=(datetime(2024, 1, 9, 5),)) == ["2024-01-09T05:00"]
    paris = Case("@daily", "Europe/Paris")
    given_in_utc = datetime(2024, 1, 9, 0, tzinfo=timezone(timedelta(hours=1)))
    assert paris.dates(dates=(given_in_utc,)) == paris.dates(dates=(date(2024, 1, 9),)) == ["2024-01-08T23:00"]


def test_an_ambiguous_given_time_is_every_logical_date_it_may_mean() -> None:
    now = datetime(2025, 1, 1, tzinfo=UTC)
    wall = datetime(2024, 10, 27, 2, 30)
    assert Case("30 * * * *", "Europe/Berlin", now=now).dates(dates=(wall,)) == ["2024-10-27T00:30", "2024-10-27T01:30"]
    assert Case("30 2 * * *", "Europe/Berlin", now=now).dates(dates=(wall,)) == ["2024-10-27T01:30"]


@pytest.mark.parametrize("when", [date(2024, 1, 3), datetime(2024, 1, 3, 5), datetime(2024, 1, 3, 0, 0, 0, 1)])
def test_a_date_without_logical_date_is_not_found_and_names_its_neighbours(when: When) -> None:
    """Contract section 4: exit 3."""
    with pytest.raises(NotFoundError) as caught:
        Case("0 0 1 * *")(dates=(when,))
    assert (caught.value.code, caught.value.exit_code) == ("no-such-date", 3)
    assert "2024-01-03" in caught.value.message
    assert caught.value.hint == "the nearest are 2024-01-01 and 2024-02-01"


def test_without_schedule_a_given_date_is_itself_a_run_of_no_length() -> None:
    """R3: None has no scheduled runs; dates must be given."""
    case = Case(None, "Europe/Paris")
    at = utc(2024, 1, 8, 23)
    assert case.spans(dates=(date(2024, 1, 9),)) == [Span(at, at)]
    assert case.dates(dates=(datetime(2024, 1, 9, 5, 17),)) == ["2024-01-09T04:17"]


def test_without_schedule_a_range_is_a_usage_problem() -> None:
    with pytest.raises(UsageProblem) as caught:
        Case(None)(start="2024-01-01", end="2024-01-07")
    assert (caught.value.code, caught.value.exit_code) == ("no-schedule", 2)


def test_given_dates_are_left_out_like_any_other() -> None:
    case = Case(dag_start=utc(2024, 1, 5))
    selection = case(dates=(date(2024, 1, 1), date(2024, 1, 9), date(2024, 2, 9)))
    assert codes(selection) == ["outside-dag-bounds", "incomplete"]
    assert selection.left_out == {"outside-dag-bounds": 1, "incomplete": 1}
    assert selection.dates == (utc(2024, 1, 9),)


# --- what is left out -----------------------------------------------------------------------------------------------


def test_intervals_that_are_not_over_are_left_out_with_a_count() -> None:
    """Section 8; at noon of the 31st the 31st itself is not over."""
    selection = Case()(start="2024-01-30", end="2024-02-05")
    assert Case().dates(start="2024-01-30", end="2024-02-05") == ["2024-01-30T00:00"]
    assert codes(selection) == ["incomplete"]
    assert selection.left_out == {"incomplete": 6}
    assert "6 dates are left out" in selection.notes[0].message
    assert "--include-incomplete" in selection.notes[0].hint


def test_an_interval_is_over_at_the_instant_it_ends() -> None:
    at_midnight = Case(now=datetime(2024, 1, 31, tzinfo=UTC))
    assert at_midnight.ends(start="2024-01-29")[2] == "2024-01-30T00:00"


def test_include_incomplete_takes_what_is_not_over() -> None:
    assert len(Case().dates(start="2024-01-30", end="2024-02-05", include_incomplete=True)) == 7
    assert Case().ends(start="2024-01-30", include_incomplete=True)[2] == "2024-01-31T00:00"


def test_dates_outside_the_dags_bounds_are_left_out_with_a_count() -> None:
    """Section 8; R6: end_date is inclusive on the logical date."""
    case = Case(dag_start=utc(2024, 1, 5), dag_end=utc(2024, 1, 10))
    selection = case(start="2024-01-01", end="2024-01-20")
    assert case.ends(start="2024-01-01", end="2024-01-20") == (6, "2024-01-05T00:00", "2024-01-10T00:00")
    assert selection.left_out == {"outside-dag-bounds": 14}
    assert "starts 2024-01-05 and ends 2024-01-10" in selection.notes[0].message
    assert len(case.dates(start="2024-01-01", end="2024-01-20", ignore_dag_bounds=True)) == 20


def test_counting_what_is_left_out_does_not_walk_through_it() -> None:
    """`--end 9999-12-31` means "for ever" in many a script: 4.2 billion minutes are counted, not made."""
    selection = Case("* * * * *", "Europe/Berlin")(start="2024-01-31T12:58", end="9999-12-31")
    assert selection.left_out["incomplete"] > 4_000_000_000


# --- empty, limit, order --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("case", "request_", "why", "hint"),
    [
        (Case("@monthly"), {"start": "2024-01-03", "end": "2024-01-10"}, "no logical date", "next date is 2024-02-01"),
        (Case(), {"start": "2024-02-03", "end": "2024-02-10"}, "nothing of it is over", "over at 2024-02-04"),
        (Case(), {"start": "2024-02-03"}, "nothing from 2024-02-03 on is over", "next date is 2024-02-03"),
        (
            Case(dag_start=utc(2024, 1, 5)),
            {"start": "2023-01-03", "end": "2023-02-10"},
            "the DAG starts 2024-01-05",
            "next date is 2024-01-05",
        ),
        (
            Case(dag_start=utc(2023, 1, 5), dag_end=utc(2023, 1, 9)),
            {"start": "2024-01-03", "end": "2024-01-10"},
            "ends 2023-01-09",
            "the last date is 2023-01-09",
        ),
        (Case(dag_start=utc(2024, 1, 5)), {"end": "2023-02-10"}, "ends before the DAG starts", "is 2024-01-05"),
        (
            Case("@once", dag_start=utc(2024, 1, 5)),
            {"start": "2024-01-06"},
            "@once has no logical date",
            "is 2024-01-05",
        ),
    ],
)
def test_an_empty_selection_says_why_and_names_the_next_date(
    case: Case, request_: dict[str, object], why: str, hint: str
) -> None:
    """Contract section 4: not an error."""
    assert case.spans(**request_) == []
    note = case(**request_).notes[-1]
    assert note.code == "empty"
    assert why in note.message
    assert hint in note.hint


def test_limit_takes_the_first_dates_in_the_order_of_the_run() -> None:
    request = {"start": "2024-01-01", "end": "2024-01-20", "limit": 2}
    assert Case().dates(**request) == ["2024-01-01T00:00", "2024-01-02T00:00"]
    assert Case().dates(**request, backwards=True) == ["2024-01-20T00:00", "2024-01-19T00:00"]
    assert codes(Case()(**request)) == ["limited"]
    assert "the first 2 of 20 dates" in Case()(**request).notes[0].message
    assert not Case()(**{**request, "limit": 20}).notes


def test_given_dates_run_backwards_too() -> None:
    dates = (date(2024, 1, 2), date(2024, 1, 9))
    assert Case().dates(dates=dates, backwards=True) == ["2024-01-09T00:00", "2024-01-02T00:00"]


@pytest.mark.parametrize(
    ("request_", "code"),
    [
        ({}, "no-range"),
        ({"dates": (date(2024, 1, 2),), "start": "2024-01-01"}, "range-conflict"),
        ({"dates": (date(2024, 1, 2),), "end": "2024-01-01"}, "range-conflict"),
        ({"dates": (date(2024, 1, 2),), "last": "3d"}, "range-conflict"),
        ({"start": "2024-01-01", "last": "3d"}, "range-conflict"),
        ({"start": "2024-01-01", "limit": 0}, "bad-limit"),
    ],
)
def test_options_that_contradict_each_other_are_usage_problems(request_: dict[str, object], code: str) -> None:
    with pytest.raises(UsageProblem) as caught:
        Case()(**request_)
    assert caught.value.code == code
    assert caught.value.hint


def test_the_whole_calendar_is_a_range() -> None:
    """Years 1 and 9999 do not crash."""
    case = Case("@yearly", "Pacific/Kiritimati")
    assert case.ends(start="0001-01-01", end="9999-12-31")[2] == "2022-12-31T10:00"
    assert case.ends(start="0001-01-01", end="9999-12-31", include_incomplete=True)[2] == "9997-12-31T10:00"


# --- properties -----------------------------------------------------------------------------------------------------


@given(
    st.sampled_from(["@hourly", "30 2 * * *", "@daily", "*/20 1-3 * * *", timedelta(hours=5)]),
    zone_changes(),
    st.integers(-3, 3),
    st.integers(0, 3),
    st.integers(-4 * DAY, 4 * DAY),
    st.booleans(),
)
def test_a_selection_is_the_dates_asked_for_less_those_left_out(
    value: object, change: ZoneChange, before: int, length: int, elapsed: int, backwards: bool
) -> None:
    """Whole days in any zone: taken and left out add up, and everything taken is a day asked for, and over."""
    now = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(seconds=change.at + elapsed)
    case = Case(value, change.zone, dag_start=change.at - DAY, dag_end=change.at + DAY, now=now)
    first = (datetime(1970, 1, 1) + timedelta(seconds=change.at)).date() + timedelta(days=before)
    request = {"start": first, "end": first + timedelta(days=length)}
    selection = case(**request, backwards=backwards)
    spans = list(selection.spans(case.schedule))
    everything = case(**request, include_incomplete=True, ignore_dag_bounds=True)
    assert len(spans) + sum(selection.left_out.values()) == everything.count(case.schedule)
    assert all(span.end <= case.now and change.at - DAY <= span.start <= change.at + DAY for span in spans)
    assert spans == sorted(spans, reverse=backwards)
    assert set(spans) <= set(everything.spans(case.schedule))
    one_by_one = [
        span
        for offset in range(length + 1)
        for day in [first + timedelta(days=offset)]
        for span in case(start=day, end=day, include_incomplete=True, ignore_dag_bounds=True).spans(case.schedule)
    ]
    assert sorted(set(one_by_one)) == list(everything.spans(case.schedule))


# --- text -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2024-01-07", date(2024, 1, 7)),
        (" 2024-01-07 ", date(2024, 1, 7)),
        ("2024-01-07T05:00", datetime(2024, 1, 7, 5)),
        ("2024-01-07 05:00", datetime(2024, 1, 7, 5)),
        ("2024-01-07T05:00:30.25", datetime(2024, 1, 7, 5, 0, 30, 250_000)),
        ("2024-01-07T05:00Z", datetime(2024, 1, 7, 5, tzinfo=UTC)),
        ("2024-01-07t05:00z", datetime(2024, 1, 7, 5, tzinfo=UTC)),
        ("2024-01-07 05:00 +01:00", datetime(2024, 1, 7, 5, tzinfo=timezone(timedelta(hours=1)))),
        ("2024-01-07T05:00-0330", datetime(2024, 1, 7, 5, tzinfo=timezone(-timedelta(hours=3, minutes=30)))),
        ("2024-01-07T05:00+02", datetime(2024, 1, 7, 5, tzinfo=timezone(timedelta(hours=2)))),
    ],
)
def test_parse_when_reads_dates_and_times(text: str, expected: When) -> None:
    found = parse_when(text)
    assert found == expected
    assert type(found) is type(expected)
    assert getattr(found, "tzinfo", None) == getattr(expected, "tzinfo", None)


NOT_DATES = """today|2024-13-01|2024-02-30|2024-1-7|20240107|2024-W01-1|07/01/2024|2024-01-07T25:00|2024-01-07T
2024-01-07Z|10000-01-01|0000-01-01|2024-01-07T05|２０２４-01-07|2024-01-07T05:00+99:00|"""


@pytest.mark.parametrize("text", re.split(r"[|\n]", NOT_DATES))
def test_parse_when_refuses_anything_else_and_shows_the_forms(text: str) -> None:
    with pytest.raises(UsageProblem) as caught:
        parse_when(text)
    assert caught.value.code == "bad-date"
    assert repr(text) in caught.value.message
    assert "2024-01-31" in caught.value.hint


@given(st.text(max_size=30))
def test_parse_when_of_any_text_is_a_date_or_a_usage_problem(text: str) -> None:
    try:
        assert isinstance(parse_when(text), date)
    except UsageProblem as problem:
        assert problem.hint
