"""The lines of `--events`: what a consumer may rely on, in the order things happened."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from backfill_cli.core.agenda import Trouble
from backfill_cli.core.listening import ProgressCounts
from backfill_cli.core.records import AttemptRow, Batch
from backfill_cli.core.results import DateResult
from backfill_cli.core.scheduling import ScheduleResult
from backfill_cli.core.states import Outcome, RunState, TaskState
from backfill_cli.errors import StoreError
from backfill_cli.render.events import SCHEMA, EventListener
from backfill_cli.render.scheduler_events import SchedulerEvents
from backfill_cli.render.scheduler_events import Stream as SchedulerStream
from render.play import instance, play, run_row, start_of
from render.samples import ID, NOW_US, days, run_failed

DATES = days("2024-03-01", "2024-03-04")
DATE = DATES[0]
COUNTS = ProgressCounts(4, 0, 0, 0, 1, 1)
SECOND = 1_000_000


class Stream:
    """What was written, call by call."""

    def __init__(self) -> None:
        self.writes: list[str] = []

    @property
    def events(self) -> list[dict]:
        text = "".join(self.writes)
        assert text.endswith("\n")
        return [json.loads(line) for line in text.splitlines()]

    def names(self) -> list[str]:
        return [one["event"] for one in self.events]


def listener() -> tuple[EventListener, Stream]:
    stream = Stream()
    return EventListener(stream.writes.append), stream


def attempt(
    outcome: Outcome, *, tries: int = 1, begun: int = NOW_US, seconds: float = 1, task: str = "load"
) -> AttemptRow:
    ended = begun + int(seconds * SECOND)
    return AttemptRow(DATE, task, tries, begun, ended, outcome, "HTTP 503" if outcome != "success" else None, "v", ID)


def test_the_first_line_alone_has_the_schema_and_every_line_an_event_and_a_utc_instant():
    listening, stream = listener()
    play(listening, DATES, fails=frozenset(DATES[1:2]))
    listening.finished(run_failed())
    first, *rest = stream.events
    assert first["schema"] == SCHEMA
    assert (first["event"], first["backfill_id"], first["total_dates"]) == ("backfill_started", ID, 4)
    assert not any("schema" in one for one in rest)
    assert all(one["event"] and one["at"].endswith("+00:00") for one in stream.events)
    assert stream.names()[-1] == "backfill_finished"


def test_a_batch_is_one_write_so_that_a_reader_never_sees_half_of_it():
    listening, stream = listener()
    listening.on_start(start_of(DATES, NOW_US))
    listening.on_batch(Batch(opened=[run_row(one, RunState.RUNNING) for one in DATES]), COUNTS, NOW_US)
    listening.on_batch(Batch(), COUNTS, NOW_US)
    assert len(stream.writes) == 2
    assert stream.names() == ["backfill_started", *["run_opened"] * 4]


def test_a_try_that_ended_in_the_batch_it_began_in_is_told_with_its_start():
    """Both are one write in the store; a consumer that pairs them must not notice."""
    listening, stream = listener()
    listening.on_batch(Batch(attempts=[attempt(Outcome.SUCCESS)]), COUNTS, NOW_US)
    started, ended = stream.events
    assert (started["event"], ended["event"]) == ("attempt_started", "attempt_ended")
    assert started["try_number"] == ended["try_number"] == 1
    assert (ended["outcome"], ended["reason"], ended["duration_s"]) == ("success", None, 1.0)


def test_a_long_try_is_told_when_it_starts_and_when_it_ends_once_each():
    listening, stream = listener()
    running = Batch(instances=[instance(DATE, "load", TaskState.RUNNING, NOW_US)])
    listening.on_batch(running, COUNTS, NOW_US)
    listening.on_batch(running, COUNTS, NOW_US)
    listening.on_batch(Batch(attempts=[attempt(Outcome.FAILED)]), COUNTS, NOW_US + SECOND)
    assert stream.names() == ["attempt_started", "attempt_ended"]


def test_a_try_that_will_be_repeated_says_when():
    listening, stream = listener()
    waiting = instance(DATE, "load", TaskState.UP_FOR_RETRY, NOW_US)._replace(retry_at=NOW_US + 5 * SECOND)
    listening.on_batch(Batch(instances=[waiting], attempts=[attempt(Outcome.RETRY)]), COUNTS, NOW_US)
    assert stream.events[-1]["outcome"] == "retry"
    assert stream.events[-1]["retry_at"] > stream.events[-1]["at"]


def test_a_late_report_is_an_end_without_a_start():
    listening, stream = listener()
    listening.on_batch(Batch(attempts=[attempt(Outcome.LATE)]), COUNTS, NOW_US)
    assert [(one["event"], one["outcome"]) for one in stream.events] == [("attempt_ended", "late")]


def test_a_task_that_never_ran_is_settled_and_one_that_skipped_itself_is_not_told_twice():
    listening, stream = listener()
    batch = Batch(
        instances=[
            instance(DATE, "load", TaskState.SKIPPED, NOW_US),
            instance(DATE, "publish", TaskState.UPSTREAM_FAILED, NOW_US, reason="an upstream failed"),
        ],
        attempts=[attempt(Outcome.SKIPPED)],
    )
    listening.on_batch(batch, COUNTS, NOW_US)
    settled = [one for one in stream.events if one["event"] == "task_settled"]
    assert [(one["task_id"], one["state"]) for one in settled] == [("publish", "upstream_failed")]


def test_within_a_batch_things_are_told_in_the_order_they_happened():
    listening, stream = listener()
    batch = Batch(
        opened=[run_row(DATES[1], RunState.RUNNING)._replace(started_at=NOW_US + 3 * SECOND)],
        runs=[run_row(DATE, RunState.SUCCESS)._replace(started_at=NOW_US, ended_at=NOW_US + 2 * SECOND)],
        attempts=[
            attempt(Outcome.SUCCESS, task="b", begun=NOW_US + SECOND),
            attempt(Outcome.SUCCESS, task="a"),
        ],
    )
    listening.on_batch(batch, COUNTS, NOW_US)
    moments = [one["at"] for one in stream.events]
    assert moments == sorted(moments)
    assert stream.names()[-2:] == ["run_finished", "run_opened"]


def test_the_last_line_has_the_totals_of_run_json_and_no_dates():
    listening, stream = listener()
    result = run_failed()
    listening.finished(result)
    [last] = stream.events
    wanted = {
        key: value for key, value in result.data().items() if key not in ("results", "failures", "reexecuted", "chunks")
    }
    assert wanted.items() <= last.items()
    assert (last["schema"], last["exit_code"]) == (SCHEMA, result.exit_code)
    assert "results" not in last


def test_a_stop_and_an_error_are_told():
    listening, stream = listener()
    listening.on_stopping(15, 3, "stopped by signal 15")
    listening.aborted(StoreError("store x is full", hint="free some space", code="store-full"))
    stopping, aborted = stream.events
    assert (stopping["signal"], stopping["running_tasks"]) == (15, 3)
    assert aborted["exit_code"] == 4
    assert aborted["error"]["code"] == "store-full"


def test_whatever_a_reason_holds_an_event_stays_one_line_of_ascii():
    listening, stream = listener()
    nasty = attempt(Outcome.FAILED)._replace(reason="\x1b[31m\n\u2028{}\ud800")
    listening.on_batch(Batch(attempts=[nasty]), COUNTS, NOW_US)
    assert len("".join(stream.writes).splitlines()) == 2
    assert "".join(stream.writes).isascii()


def test_tries_that_are_over_are_forgotten():
    """A set of all tries would grow with the backfill."""
    listening, _ = listener()
    for _ in range(100):
        listening.on_batch(Batch(instances=[instance(DATE, "load", TaskState.RUNNING, NOW_US)]), COUNTS, NOW_US)
        listening.on_batch(Batch(attempts=[attempt(Outcome.SUCCESS)]), COUNTS, NOW_US)
    assert not listening._started


def test_blocked_dates_are_told_by_name_before_the_totals_and_not_without_end():
    """The totals have the number of all of them; the last line stays the last."""
    dates = [
        DateResult(datetime(2024, 3, 1, tzinfo=UTC) + timedelta(days=day), f"id {day}", state, None, "load waits")
        for day, state in enumerate(["success", "failed", *["blocked"] * 150])
    ]
    listening, stream = listener()
    listening.finished(replace(run_failed(), results=dates, blocked=150))
    assert stream.names() == ["run_blocked"] * 100 + ["backfill_finished"]
    first = stream.events[0]
    assert (first["logical_date"], first["run_id"], first["reason"]) == (
        "2024-03-03T00:00:00+00:00", "id 2", "load waits"
    )  # fmt: skip
    assert stream.events[-1]["blocked"] == 150
    of_many = Stream()
    EventListener(of_many.writes.append, of_many=True).finished(replace(run_failed(), results=dates, blocked=150))
    assert {(one["dag_id"], one["backfill_id"]) for one in of_many.events} == {(run_failed().dag_id, ID)}


def test_each_stream_of_a_scheduler_is_opened_by_what_it_gets_first():
    """A target that comes later has a whole stream too; nobody is told of a pass in which nothing happened."""
    file, target = Stream(), Stream()
    there = [SchedulerStream(file.writes.append, is_whole=True)]
    events = SchedulerEvents(lambda: there)
    events.trouble("a", Trouble("bad", "", 3))
    there.append(SchedulerStream(target.writes.append))
    events.trouble("a", None)
    assert file.names() == ["scheduler_started", "dag_broken", "dag_mended"]
    assert target.names() == ["scheduler_started", "dag_mended"]
    assert [one.get("schema") for one in target.events] == [SCHEMA, None]
    file, target = Stream(), Stream()
    there[:] = [SchedulerStream(file.writes.append, is_whole=True), SchedulerStream(target.writes.append)]
    events.stopped(ScheduleResult(()))
    assert (file.names(), target.writes) == (["scheduler_started", "scheduler_stopped"], [])
