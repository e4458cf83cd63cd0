"""Allowed hours: how they are written, and which instants they are, on the days that change the clocks too."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from builders import Play, day, make_dag, make_limits, make_task
from hypothesis import given
from hypothesis import strategies as st

from backfill_cli.core.holds import Hold
from backfill_cli.core.hours import Hours, hours_of, parse_windows
from backfill_cli.core.throttle import Throttle
from backfill_cli.core.wording import held_reason
from backfill_cli.core.zones import clock_of
from backfill_cli.errors import UsageProblem


def at(text: str) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp())


def hours(text: str, zone: str = "UTC") -> Hours:
    found = hours_of((text,), zone)
    assert found is not None
    return found


@pytest.mark.parametrize(
    ("text", "now", "is_open", "until"),
    [
        ("22:00-06:00", "2024-03-04T21:59:59", False, "2024-03-04T22:00:00"),
        ("22:00-06:00", "2024-03-04T22:00:00", True, "2024-03-05T06:00:00"),
        ("22:00-06:00", "2024-03-05T05:59:59", True, "2024-03-05T06:00:00"),
        ("22:00-06:00", "2024-03-05T06:00:00", False, "2024-03-05T22:00:00"),
        ("12:00-13:00; 13:00-14:00", "2024-03-05T12:30:00", True, "2024-03-05T14:00:00"),
        ("12:00-13:00; 15:00-16:00", "2024-03-05T13:30:00", False, "2024-03-05T15:00:00"),
        ("fri 22:00-06:00", "2024-03-09T03:00:00", True, "2024-03-09T06:00:00"),
        ("fri 22:00-06:00", "2024-03-09T06:00:00", False, "2024-03-15T22:00:00"),
        ("sat-mon 00:00-24:00", "2024-03-09T03:00:00", True, "2024-03-12T00:00:00"),
        ("9:00:30-9:01", "2024-03-09T09:00:00", False, "2024-03-09T09:00:30"),
    ],
)
def test_a_window_is_half_open_and_may_end_on_the_next_day(text: str, now: str, is_open: bool, until: str) -> None:
    assert hours(text).at(at(now)) == (is_open, at(until))


@pytest.mark.parametrize(
    ("text", "now", "is_open", "until"),
    [
        # Paris, 2024-03-31: 02:00 becomes 03:00, so 02:30 is 03:30 (01:30Z). 2024-10-27: 02:30 comes twice.
        ("02:30-06:00", "2024-03-31T00:59:00", False, "2024-03-31T01:30:00"),
        ("22:00-02:30", "2024-03-31T01:29:00", True, "2024-03-31T01:30:00"),
        ("02:30-06:00", "2024-10-27T00:29:00", False, "2024-10-27T00:30:00"),
        ("22:00-02:30", "2024-10-27T01:29:00", True, "2024-10-27T01:30:00"),
        ("22:00-06:00", "2024-03-30T21:00:00", True, "2024-03-31T04:00:00"),
        ("22:00-06:00", "2024-10-26T20:00:00", True, "2024-10-27T05:00:00"),
    ],
)
def test_windows_keep_their_walls_when_the_clocks_change(text: str, now: str, is_open: bool, until: str) -> None:
    assert hours(text, "Europe/Paris").at(at(now)) == (is_open, at(until))


ZONES = st.sampled_from(["UTC", "Europe/Paris", "Australia/Lord_Howe", "Pacific/Apia", "America/Sao_Paulo"])
TIMES = st.integers(0, 24 * 60 - 1).map(lambda minute: f"{minute // 60:02}:{minute % 60:02}")


@given(TIMES, TIMES, ZONES, st.integers(at("2010-01-01"), at("2030-01-01")))
def test_what_is_said_until_a_change_holds_until_then(start: str, end: str, zone: str, now: int) -> None:
    """The wall clock decides: open exactly while it reads a time in the window, but for the hour that comes twice."""
    if start == end:
        return
    found = hours(f"{start}-{end}", zone)
    opening = found.at(now)
    assert now < opening.until <= now + 3 * 86_400
    assert found.at((now + opening.until) // 2).is_open is opening.is_open
    offsets = {clock_of(zone).offset_at(now + shift) for shift in (-86_400, 0, 86_400)}
    if len(offsets) == 1:
        wall = f"{clock_of(zone).wall_at(now):%H:%M}"
        assert opening.is_open is (start <= wall < end if start < end else wall >= start or wall < end)
        assert found.at(opening.until).is_open is not opening.is_open


@pytest.mark.parametrize(
    "text", ["", "22-6", "22:00", "25:00-26:00", "6:00-6:00", "24:00-1:00", "xyz 1:00-2:00", "mon- 1:00-2:00"]
)
def test_what_is_no_window_is_refused(text: str) -> None:
    with pytest.raises(UsageProblem, match="no window"):
        parse_windows((text,))


def test_the_end_of_a_wait_is_told_with_its_offset_where_that_is_not_utcs() -> None:
    """In a log it stands beside stamps in UTC: `until 22:00` of a DAG in Berlin is 21:00 there."""
    now, end = (at(one) * 1_000_000 for one in ("2024-03-04T05:00:00", "2024-03-04T21:00:00"))
    hold = Hold("--between 22:00-06:00", end, "why")
    assert held_reason(hold, now, "UTC") == "--between 22:00-06:00, until 21:00 (why)"
    assert held_reason(hold, now, "Europe/Berlin") == "--between 22:00-06:00, until 22:00+01:00 (why)"


def test_nothing_starts_outside_and_what_runs_ends_by_itself() -> None:
    dag = make_dag(make_task("a"), make_task("b", after="a"))
    start = at("2024-03-04T05:00:00") * 1_000_000
    play = Play(dag, [day(1)], limits=make_limits(1), now=start, throttle=Throttle(hours=hours("22:00-06:00")))
    play.turn()
    assert play.in_flight() == ["a"]
    play.now = at("2024-03-04T06:00:00") * 1_000_000
    play.end("a", date=day(1))
    assert play.in_flight() == []
    assert play.machine.waiting(play.now) == {"--between 22:00-06:00, until 22:00": 1}
    assert play.wake_at == at("2024-03-04T22:00:00") * 1_000_000
    play.wait()
    assert play.in_flight() == ["b"]
