"""One try of one task: all that a worker ever runs.

Owns `run_attempt(invocation, bench) -> AttemptReport`: it gathers the context, hands the work to its runner, catches
whatever the task raises and says in one line how the try ended. It writes no state and takes no lock; its only trace is
the log file. What a new kind of work needs is a row in `RUNNERS`.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

from backfill_cli import clock
from backfill_cli.core.context import Context, RunFacts, running_in
from backfill_cli.core.graph import NO_CALLBACKS, Callback, Dag, Task
from backfill_cli.core.invocations import AttemptReport, DagRef, Invocation
from backfill_cli.core.masking import SECRETS
from backfill_cli.core.refusals import refusal
from backfill_cli.core.signals import FailTask, RateLimited, RetryLater, SkipTask
from backfill_cli.core.states import Outcome
from backfill_cli.core.work import PythonWork, ShellWork, SqlWork
from backfill_cli.core.xcoms import RETURN_VALUE, TaskInstanceView
from backfill_cli.engine.cancelling import AttemptCancelled, AttemptTimeout, Key, Register
from backfill_cli.engine.lineage import NO_LINEAGE, Lineage
from backfill_cli.engine.logs import AttemptLog, LogLost, speaking
from backfill_cli.errors import BfillError

REASON_LENGTH = 500
"""Characters of a reason that are kept; the log has the rest."""


@dataclass(frozen=True, slots=True)
class Bench:
    """What a worker has at hand besides the invocation; made once a process.

    Args:
        dag_of: The DAG behind a reference; loads it once in a process of its own.
        variables, connections: By name; values that are `secret:` references are read when asked for.
        reveal: Returns conf values with `secret:` references read.
        register: What runs in this process and how to end it.
        on_overdue: Called when a Python task's time is over and its thread has not returned.
        environ: What commands inherit: the environment as it was when the run began. What a Python task changes in it
            reaches no command, because it would reach those of all other dates too.
        lineage: What everything that is started here inherits.
    """

    dag_of: Callable[[DagRef], Dag]
    variables: Mapping[str, str] = field(default_factory=dict)
    connections: Mapping[str, str] = field(default_factory=dict)
    reveal: Callable[[Mapping[str, Any]], Mapping[str, Any]] = dict
    register: Register = field(default_factory=Register)
    on_overdue: Callable[[Key, int], None] | None = None
    environ: Mapping[str, str] = field(default_factory=lambda: dict(os.environ))
    lineage: Lineage = NO_LINEAGE


class Attempt(NamedTuple):
    """A try in progress, as runners see it."""

    task: Task
    dag: Dag
    invocation: Invocation
    context: Context
    ti: TaskInstanceView
    log: AttemptLog
    bench: Bench

    @property
    def key(self) -> Key:
        return self.invocation.logical_date, self.invocation.task_id


class Result(NamedTuple):
    """What a runner comes back with: the value to push (None: nothing), and what it decided about the tasks behind."""

    value: Any = None
    follow: tuple[str, ...] | None = None
    skip_behind: str | None = None


class ShellFailed(Exception):
    """A command ended with a status that is a failure; the message says which."""


class ShellDeferred(Exception):
    """A command ended with the status that means "not now"; `delay_s` is the time it said, None without one."""

    def __init__(self, message: str, delay_s: float | None) -> None:
        super().__init__(message)
        self.delay_s = delay_s


def run_attempt(invocation: Invocation, bench: Bench) -> AttemptReport:
    """Run one try to its end and return how it ended. Never raises what the task raises."""
    started_at = clock.now_us()
    log = AttemptLog(invocation.log_path)
    with speaking(log):
        try:
            dag = bench.dag_of(invocation.dag)
            task = dag.tasks[invocation.task_id]
            context, ti = _context(invocation, dag, task, bench)
        except BfillError as error:
            log.line(f"{error}" + (f" ({error.hint})" if error.hint else ""))
            return _report(invocation, Outcome.FAILED, started_at, _one_line(str(error)))
        attempt = Attempt(task, dag, invocation, context, ti, log, bench)
        with running_in(context):
            return _run(attempt, started_at)


def _run(attempt: Attempt, started_at: int) -> AttemptReport:
    invocation, task = attempt.invocation, attempt.task
    pushed, result, delay_s = attempt.ti.pushed, Result(), None
    outcome, reason, failure = Outcome.SUCCESS, None, None
    try:
        _call(task.callbacks.on_execute, attempt)
        result = _runner(attempt)(attempt)
        if task.do_xcom_push and result.value is not None:
            attempt.ti.xcom_push(RETURN_VALUE, result.value)
        attempt.log.check()
    except BaseException as error:  # noqa: BLE001  (whatever a task raises is how its try ended)
        outcome, reason, delay_s = _judge(error, attempt)
        failure = error
        if outcome not in (Outcome.SKIPPED, Outcome.DEFERRED):
            _explain(error, attempt)
        result = Result()
    is_refusal = outcome is Outcome.DEFERRED and not isinstance(failure, RateLimited)
    is_last = outcome is Outcome.RETRY and invocation.spent >= task.retry.retries
    if task.callbacks != NO_CALLBACKS:
        told = attempt.context if failure is None else attempt.context.also(exception=failure, reason=reason)
        _call_back(Outcome.FAILED if is_last else outcome, attempt._replace(context=told))
    report = _report(invocation, outcome, started_at, reason, pushed, delay_s, result)
    return replace(report, is_refusal=True) if is_refusal else report


def _context(invocation: Invocation, dag: Dag, task: Task, bench: Bench) -> tuple[Context, TaskInstanceView]:
    facts = RunFacts(
        dag_id=dag.dag_id,
        timezone=dag.timezone,
        schedule=dag.schedule,
        logical_date=invocation.logical_date,
        data_interval_end=invocation.data_interval_end,
        run_id=invocation.run_id,
        run_type=invocation.run_type,
        conf=bench.reveal(invocation.conf) if invocation.conf else invocation.conf,
        params={**dag.params, **task.params},
        task_id=task.task_id,
        try_number=invocation.try_number,
        max_tries=task.retry.retries,
        previous_success=invocation.previous_success,
        variables=bench.variables,
        connections=bench.connections,
        xcoms=invocation.xcoms,
        dag_start=dag.start_date,
        logical_dates=invocation.logical_dates,
    )
    ti = TaskInstanceView(facts)
    return Context(facts, ti=ti), ti


def _runner(attempt: Attempt) -> Callable[[Attempt], Result]:
    from backfill_cli.engine.runners import run_python_task, run_shell_task

    match attempt.task.work:
        case PythonWork():
            return run_python_task
        case ShellWork():
            return run_shell_task
        case SqlWork():
            from backfill_cli.engine.sql import run_sql_task

            return run_sql_task
        case _:
            return lambda _attempt: Result()


def _judge(error: BaseException, attempt: Attempt) -> tuple[Outcome, str, float | None]:
    """Return the outcome an exception means, the reason in one line, and the delay it asks for."""
    match error:
        case SkipTask():
            return Outcome.SKIPPED, _one_line(str(error) or "skipped by the task"), None
        case FailTask():
            return Outcome.FAILED, _one_line(str(error) or "FailTask"), None
        case RetryLater():
            return Outcome.RETRY, _one_line(str(error)), error.delay_s
        case RateLimited():
            return Outcome.DEFERRED, _one_line(str(error)), error.delay_s
        case AttemptTimeout():
            return Outcome.RETRY, f"timed out after {attempt.task.execution_timeout_s:g} s", None
        case AttemptCancelled():  # nothing is known against the task: no callback, no retry used
            return Outcome.LOST, "cancelled", None
        case ShellFailed() | LogLost():
            return Outcome.RETRY, _one_line(str(error)), None
        case BfillError():  # a template, an XCom, a missing secret: trying again changes nothing
            return Outcome.FAILED, _one_line(str(error)), None
        case ShellDeferred():
            return Outcome.DEFERRED, _one_line(str(error)), error.delay_s
        case _ if attempt.bench.register.was_stopped(_status(error)):  # subprocess, which shares bfill's own group
            return Outcome.LOST, "cancelled", None
        case _:
            text = str(error).strip()
            told = _one_line(f"{type(error).__name__}: {text}" if text else type(error).__name__)
            refused = refusal(error, clock.now_us() / 1_000_000)
            if refused is not None:
                attempt.log.line(f"{told}: HTTP {refused.status}, which uses no try")
                return Outcome.DEFERRED, told, refused.delay_s
            return Outcome.RETRY, told, None


def _status(error: BaseException) -> int:
    """Return the exit status an exception tells of (subprocess.CalledProcessError); 0 for all others."""
    status = getattr(error, "returncode", 0)
    return status if isinstance(status, int) else 0


def _explain(error: BaseException, attempt: Attempt) -> None:
    """Write to the log what a person who debugs the task wants to read."""
    log = attempt.log
    match error:
        case BfillError():
            log.line(f"{error}" + (f" ({error.hint})" if error.hint else ""))
        case AttemptTimeout():
            log.line(f"timed out after {attempt.task.execution_timeout_s:g} s")
        case AttemptCancelled():
            log.line("cancelled")
        case ShellFailed() | FailTask() | RetryLater() | LogLost():
            log.line(str(error) or type(error).__name__)
        case _:
            import traceback

            # Our own frames on top say nothing about the task.
            frames = error.__traceback__
            while frames is not None and os.sep + "backfill_cli" + os.sep in frames.tb_frame.f_code.co_filename:
                frames = frames.tb_next
            log.note("".join(traceback.format_exception(error.with_traceback(frames))))


def _call_back(outcome: Outcome, attempt: Attempt) -> None:
    calls = attempt.task.callbacks
    match outcome:
        case Outcome.SUCCESS:
            _call(calls.on_success, attempt, guarded=True)
        case Outcome.FAILED:
            _call(calls.on_failure, attempt, guarded=True)
        case Outcome.RETRY:
            _call(calls.on_retry, attempt, guarded=True)
        case Outcome.SKIPPED:
            _call(calls.on_skipped, attempt, guarded=True)


def _call(callbacks: tuple[Callback, ...], attempt: Attempt, *, guarded: bool = False) -> None:
    """Call each; a guarded one that raises is noted in the log and changes nothing about the try."""
    for callback in callbacks:
        try:
            callback(attempt.context)
        except BaseException as error:
            if not guarded:
                raise
            attempt.log.line(f"callback {getattr(callback, '__name__', callback)} failed: {error!r}")


def _report(
    invocation: Invocation,
    outcome: Outcome,
    started_at: int,
    reason: str | None,
    xcoms: Mapping[str, str] | None = None,
    delay_s: float | None = None,
    result: Result | None = None,
) -> AttemptReport:
    return AttemptReport(
        invocation.logical_date,
        invocation.task_id,
        invocation.try_number,
        outcome,
        started_at,
        clock.now_us(),
        reason,
        xcoms or {},
        delay_s,
        result.follow if result else None,
        result.skip_behind if result else None,
    )


def _one_line(text: str) -> str:
    """Return a reason as it is kept: secrets masked before anything is cut off, then on one line."""
    line = " ".join(SECRETS.text(text).split())
    return line if len(line) <= REASON_LENGTH else line[: REASON_LENGTH - 1] + "…"
