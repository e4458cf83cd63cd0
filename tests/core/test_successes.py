"""The latest earlier success among those of a running backfill, against looking through all of them."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from backfill_cli.core.context import PreviousSuccess
from backfill_cli.core.successes import Successes


def made(date: int) -> PreviousSuccess:
    return PreviousSuccess(date, date + 1, None)


@given(st.booleans(), st.integers(1, 8), st.randoms(use_true_random=False), st.integers(-3, 250))
def test_it_is_what_a_search_through_all_successes_finds(
    backwards: bool, window: int, chance: object, stored: int
) -> None:
    """Dates open in order, a window at a time, and end in any order; every answer is asked for while a date is open."""
    successes, all_of_them = Successes(backwards=backwards), [made(stored)]
    to_come = list(range(200))[:: -1 if backwards else 1]
    is_open: list[int] = []
    while to_come or is_open:
        while to_come and len(is_open) < window:
            is_open.append(to_come.pop(0))
        for date in is_open:
            earlier = [one for one in all_of_them if one.data_interval_start < date]
            known = made(stored) if stored < date else None
            assert successes.before(date, known) == max(earlier, default=None)
        ended = is_open.pop(chance.randrange(len(is_open)))  # type: ignore[attr-defined]
        if chance.random() < 0.8:  # type: ignore[attr-defined]
            all_of_them.append(made(ended))
            successes.note(made(ended), is_open)


def test_a_long_backfill_keeps_a_handful() -> None:
    successes = Successes(backwards=False)
    for date in range(10_000):
        successes.note(made(date), [date + 1])
    assert len(successes._found) < 200
