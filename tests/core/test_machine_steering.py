"""The machine steered while it runs: paused, let go on, given more or fewer dates at once, stopped."""

from __future__ import annotations

from builders import Play, day, make_dag, make_limits, make_task
from hypothesis import given
from hypothesis import strategies as st

from backfill_cli.core.states import TaskState
from backfill_cli.core.work import EmptyWork

DATES = [day(number) for number in range(1, 7)]


def test_a_paused_machine_opens_no_date_starts_no_task_and_is_not_over() -> None:
    play = Play(make_dag(make_task("a"), make_task("b", after="a")), DATES[:2], limits=make_limits(1))
    play.turn()
    play.machine.pause()
    play.machine.set_parallel(2)
    assert not play.end("a", date=DATES[0]).submissions
    assert (play.machine.room, play.machine.is_drained) == (0, False)
    play.machine.set_parallel(1)
    play.machine.resume()
    assert [one.task.task_id for one in play.turn().submissions] == ["b"]


def test_a_pause_holds_an_empty_task_back_too() -> None:
    play = Play(make_dag(make_task("a"), make_task("b", after="a", work=EmptyWork())))
    play.turn()
    play.machine.pause()
    play.end("a")
    assert play.state("b") is TaskState.SCHEDULED
    play.machine.resume()
    play.turn()
    play.end("b")
    assert play.is_over


def test_fewer_at_once_ends_nothing_and_opens_nothing_until_there_is_room() -> None:
    play = Play(make_dag(), DATES, limits=make_limits(6))
    play.machine.set_parallel(4)
    play.turn()
    play.machine.set_parallel(2)
    assert (len(play.machine.runs), play.machine.room) == (4, -2)
    for number in range(3):
        play.end("a", date=DATES[number])
    assert len(play.machine.runs) == 2


@given(moves=st.lists(st.one_of(st.sampled_from(["pause", "resume", "end", "turn"]), st.integers(1, 6)), max_size=40))
def test_whatever_is_asked_nothing_starts_in_a_pause_and_all_is_done_in_the_end(moves: list[str | int]) -> None:
    """And no date is opened beyond the number of the moment."""
    play = Play(make_dag(make_task("a"), make_task("b", after="a")), DATES, limits=make_limits(6))
    machine = play.machine
    for move in [*moves, "resume"]:
        opened, started, before = len(machine.runs), len(play.started), set(machine.runs)
        if isinstance(move, int):
            machine.set_parallel(move)
        elif move == "pause":
            machine.pause()
        elif move == "resume":
            machine.resume()
        elif move == "end" and play.flying:
            date, task_id = next(iter(play.flying))
            play.report(date, task_id)
        play.turn()
        assert len(machine.runs) <= max(opened, machine.limits.parallel)
        assert not (machine.paused and (len(play.started) > started or set(machine.runs) - before))
    play.run()
    assert (machine.completed, play.is_over) == (len(DATES), True)
    assert len(play.started) == len(set(play.started)) == 2 * len(DATES)
