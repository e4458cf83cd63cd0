"""What a date waits for in the run before it, read from the store (semantics section 4).

Owns the previous dag_run as the past rules see it, for a run that is fed; and the dates of a plan that would be
blocked, found before anything runs, with the command that repairs it. What a rule says is `core/rules.py`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from itertools import islice
from typing import TYPE_CHECKING, NamedTuple

from backfill_cli.app.batches import Batches, gone
from backfill_cli.app.commands import command_line
from backfill_cli.app.naming import naming
from backfill_cli.core.clearing import cleared_by, tasks_to_run
from backfill_cli.core.following import Follower, PastWatch, counts_as_past
from backfill_cli.core.options import BackfillOptions
from backfill_cli.core.planning import BLOCKED, unfinished_because
from backfill_cli.core.problems import Problem
from backfill_cli.core.records import RunRow
from backfill_cli.core.rules import ABSENT, Past, PastRun, past_of
from backfill_cli.core.states import FAILURES, RunState, TaskState
from backfill_cli.core.wording import waits_for
from backfill_cli.core.zones import clock_of

if TYPE_CHECKING:
    from backfill_cli.app.plan import Prepared
    from backfill_cli.core.graph import Dag
    from backfill_cli.core.ports import Reader, Store

WOULD_BLOCK = "would-block"
"""Its hint is words, a colon, and the command that repairs it."""

_SHOWN = 3
_BACK = 10_000
"""Blocked dates walked back to the one they all wait for."""

_FOR_EVER = 2**62
_WHERE_FAILED = "--where failed --where upstream_failed"


def run_before(reader: Reader, dag: Dag, logical_date: int) -> RunRow | None:
    """Return the latest dag_run before a date that counts as the previous one (rule 3)."""
    return reader.run_before(dag.dag_id, logical_date, skip_manual=dag.catchup)


def past_run(reader: Reader, dag: Dag, run: RunRow, *, is_open: bool = False) -> PastRun:
    """Return a dag_run as the past rules see it: the previous one of another.

    Args:
        is_open: A living process works on it: what is not done there may yet be done.
    """
    place = Batches(reader, dag.dag_id).place_of(run.logical_date, run.batch)
    instances = gone(run, dag) if place is None else reader.instances(dag.dag_id, place, place)
    states = {one.task_id: one.state for one in instances}
    absent = [task_id for task_id in dag.tasks if task_id not in states]
    ever = frozenset(one for one in absent if reader.ever_ran(dag.dag_id, one, run.logical_date))
    return PastRun(run.logical_date, states, is_open, run.state.is_terminal, ever)


def watch_past(dag: Dag, first: int, store: Store) -> PastWatch | None:
    """Return what is to look at the rows of a plan from `first` on; None when no task waits on the past."""
    if not dag.waits_on_past:
        return None
    return PastWatch(dag, store.read(lambda reader: run_before(reader, dag, first)))


def would_block(prepared: Prepared, first: int | None, watch: PastWatch | None, store: Store) -> list[Problem]:
    """Return `would-block` for the first few dates of a plan that would wait in vain: for what, and what repairs it.

    Args:
        first: The plan's first date; it may have been told to ignore the past.
        watch: After the whole plan has passed by.
    """
    ignored = first if prepared.options.ignore_first_depends_on_past else None
    followers = [one for one in watch.followers if one.row.logical_date != ignored] if watch else []
    dag, show = prepared.part, clock_of(prepared.dag.timezone).show

    def look(reader: Reader) -> Iterator[Problem]:
        found = blocked_dates(reader, dag, prepared.options, followers)
        for one in islice(found, _SHOWN):
            behind = one.follower.behind
            dates = f"{'' if one.follower.is_sure else 'up to '}{behind:,} {'date' if behind == 1 else 'dates'}"
            more = f" and {dates} behind it" if behind else ""
            date = show(one.follower.row.logical_date)
            message = f"{date}{more} would be blocked: {waits_for(one.task_id, one.past, dag)}"
            yield Problem(WOULD_BLOCK, message, _repair(reader, prepared, one))

    return store.read(lambda reader: list(look(reader))) if followers else []


class Blocked(NamedTuple):
    """A date that would be blocked: its first task that would wait in vain, and for what."""

    follower: Follower
    task_id: str
    past: Past


def blocked_dates(
    reader: Reader, dag: Dag, options: BackfillOptions, followers: Iterable[Follower]
) -> Iterator[Blocked]:
    """Yield the followers that would be blocked, as the store stands now: of a chain the first."""
    chain = 0
    for follower in followers:
        if follower.chain == chain:
            continue
        date = follower.row.logical_date
        instances = list(reader.instances(dag.dag_id, date, date))
        cleared = cleared_by(
            follower.row.action,
            follower.row.state or RunState.QUEUED,
            instances,
            dag,
            rerun_failed=options.rerun_failed,
            whole_run=options.whole_run,
        )
        previous = past_run(reader, dag, follower.previous)
        if follower.is_resumed:
            if options.rerun_failed:  # it runs again what has failed there
                continue
            previous = _best_case(dag, previous)
        for task_id in tasks_to_run(dag, instances, cleared):
            past = past_of(dag.tasks[task_id], dag.downstream[task_id], previous)
            if not past.met:
                yield Blocked(follower, task_id, past)
                chain = follower.chain
                break


def _best_case(dag: Dag, run: PastRun) -> PastRun:
    """A dag_run that is gone on with, as it will be at best: what failed stays failed, all else succeeds."""
    failed = {task_id: state for task_id, state in run.states.items() if state in FAILURES}
    return PastRun(run.logical_date, {**dict.fromkeys(dag.tasks, TaskState.SUCCESS), **failed})


def _repair(reader: Reader, prepared: Prepared, blocked: Blocked) -> str:
    """The command that lets the date go on, in words."""
    dag, run = prepared.dag, blocked.follower.previous
    if run.owner is not None and prepared.policy.is_live(run.owner):
        return f"another process runs it; wait, and look again: bfill status {run.backfill_id or ''}".rstrip()
    has_failed = blocked.past.state in FAILURES
    root = run if has_failed else _root(reader, dag, run)
    asked = naming(prepared.options, dag, root.logical_date, run.logical_date)
    if root.state is RunState.FAILED:
        return f"repair it first: {command_line('rerun-failed', asked)}"
    if has_failed:  # the date is none the less success, or gone on with: rerun-failed takes failed dates
        return f"clear what failed there and run it again: {command_line('reset', asked)} {_WHERE_FAILED}"
    if blocked.past.state == ABSENT:
        asked = replace(asked, tasks=(blocked.past.task_id,), reprocess=frozenset({"success"}))
    return f"run it first: {command_line('run', asked)}"


def _root(reader: Reader, dag: Dag, run: RunRow) -> RunRow:
    """The dag_run that a blocked one waits for, through others that are blocked as well; itself when it is not."""
    earlier = reader.runs(dag.dag_id, -_FOR_EVER, run.logical_date, backwards=True)
    for one in islice((one for one in earlier if counts_as_past(dag, one)), _BACK):
        run = one
        if one.state.is_terminal or unfinished_because(one) != BLOCKED:
            break
    return run
