"""The agenda of a scheduler that stays: what is due when, what wakes it, and when all is over."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from backfill_cli.core.agenda import LONGEST_PAUSE_S, Agenda, Facts, Trouble

WRONG = Trouble("it is broken", "mend it", 3)


def agenda(*found: Facts | tuple[str, Trouble], now: int = 100) -> Agenda:
    made = Agenda()
    made.survey(found, now)
    return made


def facts(name: str = "a", **more: object) -> Facts:
    return Facts(name, name)._replace(**more)


def ready(made: Agenda, now: int = 100) -> list[str]:
    return list(made.ready(now))


def test_a_dag_is_due_at_the_moment_its_interval_is_complete_and_not_before():
    made = agenda(facts(next_at=160))
    assert made.wake_at() == 160
    assert ready(made, 159) == []
    assert ready(made, 160) == ["a"]


def test_those_due_for_longest_go_first():
    made = agenda(facts("a", next_at=130), facts("b", next_at=110), facts("c", is_due=True))
    assert ready(made, 140) == ["c", "b", "a"]


def test_a_shift_that_runs_does_not_keep_the_next_one_from_beginning():
    made = agenda(facts(is_due=True))
    made.begun("a")
    assert ready(made) == []
    made.learned("a", facts(next_at=160), 100)
    assert ready(made, 160) == ["a"]


def test_a_dag_whose_dates_wait_for_each_other_has_one_shift_at_a_time():
    made = agenda(facts(is_due=True, in_order=True))
    made.begun("a")
    made.learned("a", facts(next_at=160, in_order=True), 100)
    assert ready(made, 170) == []
    made.ended("a", 180, facts(next_at=190, in_order=True))
    assert ready(made, 180) == ["a"]


def test_what_a_shift_could_not_finish_is_due_when_something_about_it_changes():
    made = agenda(facts(is_due=True))
    made.begun("a")
    made.ended("a", 110, facts(mark=("blocked behind monday",)))
    made.note(frozenset(), {"a": ("blocked behind monday",)}, 112)
    assert ready(made, 112) == []
    made.note(frozenset(), {"a": ("monday succeeded",)}, 114)
    assert ready(made, 114) == ["a"]


def test_what_others_leave_makes_a_dag_due():
    made = agenda(facts())
    made.note(frozenset(), {"a": ("left",)}, 102)
    assert ready(made) == ["a"]
    made.begun("a")
    made.ended("a", 103, facts())
    made.note(frozenset(), {}, 104)
    assert ready(made, 104) == []


def test_a_paused_dag_is_due_when_it_is_unpaused():
    made = agenda(facts(is_paused=True))
    made.note(frozenset({"a"}), {}, 102)
    assert ready(made) == []
    made.note(frozenset(), {}, 104)
    assert ready(made) == ["a"]


def test_a_dag_that_went_wrong_is_tried_again_later_and_later():
    made = agenda(facts(is_due=True))
    pauses, now = [], 100
    for _ in range(6):
        made.begun("a")
        made.ended("a", now, trouble=WRONG)
        again = made.wake_at()
        assert again is not None
        assert ready(made, again - 1) == []
        assert ready(made, again) == ["a"]
        pauses.append(again - now)
        now = again
    assert pauses == [5, 10, 20, 40, LONGEST_PAUSE_S, LONGEST_PAUSE_S]


def test_a_file_that_does_not_load_is_looked_at_and_not_run():
    made = agenda(("dags/bad.py", WRONG))
    assert not made.needs_survey(104)
    assert made.needs_survey(105)
    assert ready(made, 105) == []
    made.survey([facts("dags/bad.py:a", is_due=True)], 105)
    assert ready(made, 105) == ["dags/bad.py:a"]


def test_a_clock_that_was_set_back_does_not_make_a_dag_wait_for_the_old_time():
    made = agenda(facts(is_due=True), now=1_000_000)
    made.begun("a")
    made.ended("a", 1_000_000, trouble=WRONG)
    assert ready(made, 500) == ["a"]


def test_it_is_over_when_nothing_of_any_dag_runs_or_will_run():
    assert not Agenda().is_over
    assert not agenda().is_over
    assert agenda(facts("a", is_over=True), facts("b", is_over=True)).is_over
    assert not agenda(facts("a", is_over=True), facts("b", next_at=160)).is_over
    assert not agenda(facts(is_over=True, is_due=True)).is_over
    assert not agenda(facts(is_over=True), ("b", WRONG)).is_over
    made = agenda(facts(is_over=True, is_due=True))
    made.begun("a")
    assert not made.is_over
    made.ended("a", 110, facts(is_over=True))
    assert made.is_over


def test_a_file_that_is_removed_while_its_shift_runs_is_forgotten():
    made = agenda(facts("a", is_due=True), facts("b"))
    made.begun("a")
    made.survey([facts("b")], 110)
    made.learned("a", facts("a", next_at=120), 110)
    made.ended("a", 115, facts("a", next_at=120))
    assert ready(made, 130) == []
    assert list(made.entries) == ["b"]


def test_a_file_that_is_broken_for_a_moment_comes_back_to_the_shift_that_still_runs():
    made = agenda(facts("f:a", is_due=True, in_order=True))
    made.begun("f:a")
    made.survey([("f", WRONG)], 110)
    made.survey([facts("f:a", is_due=True, in_order=True)], 112)
    assert ready(made, 112) == []
    made.ended("f:a", 115, facts("f:a", next_at=120, in_order=True))
    assert ready(made, 120) == ["f:a"]


@given(
    step=st.integers(1, 40),
    takes=st.lists(st.integers(0, 100), min_size=1, max_size=8),
    in_order=st.booleans(),
    looks=st.integers(1, 7),
)
def test_no_interval_waits_longer_than_its_own_dag_demands(step: int, takes: list[int], in_order: bool, looks: int):
    """Shifts of any length, looks as rare as may be: each interval has a shift that begins behind its end, at once."""
    made, now, begun, running = agenda(facts(next_at=100 + step, in_order=in_order)), 100, [], []
    created = 100
    while len(begun) < len(takes) and now < 2_000:
        for end in [one for one in running if one <= now]:
            running.remove(end)
            made.ended("a", now, facts(next_at=created + step, in_order=in_order))
        for _name in made.ready(now):
            made.begun("a")
            due = created + step
            created = now - (now - 100) % step  # what is complete by now is created in one go
            begun.append((now, due, bool(running)))
            running.append(now + takes[len(begun) - 1])
            made.learned("a", facts(next_at=created + step, in_order=in_order), now)
            break
        wake_at = made.wake_at()
        ends = [one for one in running if one > now]
        now = min([max(now, one) for one in (wake_at, *ends) if one is not None and one > now] or [now + looks])
    for at, due, beside in begun:
        assert at >= due
        assert not (in_order and beside)
        assert in_order or at == due
