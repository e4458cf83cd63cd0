"""The counts of a range, block by block, against their plain definition, date by date."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backfill_cli.app import range_tally
from backfill_cli.app.range_tally import Tally
from backfill_cli.app.status_page import Page
from backfill_cli.core.intervals import Span
from backfill_cli.core.planning import unfinished_because
from backfill_cli.core.records import EndedRuns, RunRow, RunType
from backfill_cli.core.states import RunState

STEP = 10
KINDS = [
    None,
    (RunState.SUCCESS, "now", None, None),
    (RunState.SUCCESS, "then", None, None),
    (RunState.SUCCESS, "before", None, "dead"),
    (RunState.FAILED, "then", "boom", None),
    (RunState.QUEUED, "now", "a waits for 01-01", None),
    (RunState.QUEUED, "now", "cleared", None),
    (RunState.RUNNING, "now", None, "alive"),
    (RunState.RUNNING, "now", None, "dead"),
]


@pytest.fixture(autouse=True, scope="module")
def small_blocks() -> object:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(range_tally, "_BLOCK", 4)
        yield


def run_of(date: int, kind: tuple[RunState, str, str | None, str | None]) -> RunRow:
    state, version, reason, owner = kind
    return RunRow(date, date + STEP, RunType.BACKFILL, state, version, "{}", None, None, reason, None, owner)


# Long stretches of one kind, as histories are; single dates in between; dag_runs on no interval.
histories = st.lists(st.tuples(st.sampled_from(KINDS), st.sampled_from([1, 1, 2, 5, 9])), max_size=12).map(
    lambda parts: [kind for kind, number in parts for _ in range(number)]
)
pages = st.builds(
    Page,
    st.sampled_from(
        [frozenset(), frozenset({"failed"}), frozenset({"missing", "blocked"}), frozenset({"stale", "remaining"})]
    ),
    st.none() | st.integers(-5, 300),
    st.integers(1, 20),
)


@given(histories, st.sets(st.integers(0, 600)), pages, st.sampled_from([1, 3, 50]), st.sets(st.integers(0, 60)))
def test_a_tally_is_what_looking_at_every_date_gives(
    kinds: list[tuple[RunState, str, str | None, str | None] | None],
    strays: set[int],
    page: Page,
    together: int,
    claimed: set[int],
) -> None:
    spans = [Span(number * STEP, number * STEP + STEP) for number in range(len(kinds))]
    rows = {span.start: run_of(span.start, kind) for span, kind in zip(spans, kinds, strict=True) if kind}
    off_grid = {date: run_of(date, KINDS[1 + date % 8]) for date in strays if date % STEP}  # type: ignore[arg-type]
    stored = [row for _, row in sorted({**rows, **off_grid}.items())]
    ended = [row for row in stored if row.state.is_terminal]
    blocks = [ended[begin : begin + together] for begin in range(0, len(ended), together)]

    tally = Tally("now", lambda owner: owner == "alive", page)
    tally.take(
        iter(spans),
        (EndedRuns([row.logical_date for row in one], [(row.state, row.version) for row in one]) for one in blocks),
        (row for row in stored if not row.state.is_terminal),
        (number * STEP for number in sorted(claimed)),
    )

    states, stale = [], {}
    for span in spans:
        row = rows.get(span.start)
        if row is None:
            states.append("remaining" if span.start // STEP in claimed else "missing")
        elif row.state.is_terminal or row.owner == "alive":
            states.append(str(row.state))
        else:
            states.append(unfinished_because(row))
        if row is not None and row.state is RunState.SUCCESS and row.version != "now":
            stale.setdefault(row.version, []).append(span.start)
    olds = {date for found in stale.values() for date in found}
    dates = [span.start for span in spans]
    assert tally.counts == Counter(
        "stale" if date in olds else state for date, state in zip(dates, states, strict=True)
    )
    assert tally.stale == stale
    assert [one for first, last, number in tally.missing for one in range(first, last + 1, STEP)] == [
        date for date, state in zip(dates, states, strict=True) if state == "missing"
    ]
    assert all(number == (last - first) // STEP + 1 for first, last, number in tally.missing)
    assert all(later[0] > last + STEP for (_, last, _), later in zip(tally.missing, tally.missing[1:], strict=False))
    wanted = [
        (date, state, date in olds)
        for date, state in zip(dates, states, strict=True)
        if (page.after is None or date > page.after) and page.wants(state, stale=date in olds)
    ]
    assert tally.shown == wanted[: page.limit]
    assert tally.more == (len(wanted) > page.limit)
    assert (tally.first, tally.last) == ((dates[0], dates[-1]) if dates else (None, None))
