"""The backfill machine: events in, rows and submissions out. Every scheduling decision of a run is made here.

Owns a window of open dag_runs and the rules by which their task instances move: trigger rules, the past, retries,
pools, limits, timeouts, stopping. It reads no clock and starts nothing. The coordinator feeds it what happened
(`open`, `on_started`, `on_report`, `on_time`, `stop`) and what people want of it (`pause`, `set_parallel`,
`leave_out`), then calls `take`, commits the rows of the `Step`, and only then submits. So a whole backfill can be
played with a fake clock and no database, and a crash between any two turns leaves a store that says what may have been
running.

An event moves what it is about and puts what may follow from it on a list; `_propagate` works the list off. Chains of
tasks, and of dates that wait for each other, may thus be longer than any stack.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Collection, Mapping

from backfill_cli.core.changes import Changes, Key
from backfill_cli.core.context import PreviousSuccess
from backfill_cli.core.graph import NO_CALLBACKS, Dag
from backfill_cli.core.invocations import AttemptReport
from backfill_cli.core.listening import ProgressCounts
from backfill_cli.core.predecessors import Predecessors, ask_the_past, waiting_for
from backfill_cli.core.progress import OpenRun, RunSpec
from backfill_cli.core.rates import Pace
from backfill_cli.core.records import Counts
from backfill_cli.core.restoring import absorb, restore
from backfill_cli.core.rules import Upstream, Verdict, cut_off, decide, watched_by
from backfill_cli.core.settling import block, finish, time_out
from backfill_cli.core.slots import Slots
from backfill_cli.core.states import Event, Outcome, RunState, TaskState, advance
from backfill_cli.core.steps import Flight, Limits, Step, Submission
from backfill_cli.core.successes import Successes
from backfill_cli.core.throttle import Throttle
from backfill_cli.core.timers import Timers
from backfill_cli.core.tries import begin_try, end_try, stopped_try
from backfill_cli.core.waiting import waiting_reasons, waits_of
from backfill_cli.core.waits import Waits
from backfill_cli.core.work import EmptyWork

__all__ = ["BackfillMachine", "Flight", "Limits", "Step", "Submission"]

MICROSECONDS = 1_000_000


class BackfillMachine:
    """The state of one backfill while it runs.

    Args:
        dag: What runs.
        limits: How much at once.
        backfill_id, owner: Written into every row.
        total: Dates to be worked on, those included that are done already.
        done: What an interrupted backfill had behind it.
        backwards: Newest first; then no run waits for another one of this backfill.
        throttle: What keeps ready tasks back besides slots; None is nothing, for now.
    """

    def __init__(
        self,
        dag: Dag,
        limits: Limits,
        *,
        backfill_id: str,
        owner: str,
        total: int,
        done: Counts = Counts(),  # noqa: B008  (a tuple: it cannot change)
        backwards: bool = False,
        throttle: Throttle | None = None,
    ) -> None:
        self.dag = dag
        self.limits = limits
        self.backfill_id = backfill_id
        self.owner = owner
        self.total = total
        self.completed, self.failed, self.blocked = done.completed, done.failed, 0
        self.stopping = self.aborting = self.paused = False
        self.share: int | None = None  # dates that others leave to this run; None: it shares them with nobody
        self.runs: dict[int, OpenRun] = {}
        self._backwards = backwards
        self._predecessors = Predecessors(dag)
        self._successes = Successes(backwards=backwards)
        self._timers = Timers(self.runs)
        self.slots = Slots(dag, limits, self.runs, throttle)
        self._changes = Changes(dag.version, backfill_id, owner)
        self._cancellations: list[Key] = []
        self._to_consider: deque[tuple[OpenRun, str]] = deque()
        self._to_settle: deque[OpenRun] = deque()
        tasks = dag.tasks.values()
        self._first = tuple(
            task.task_id
            for task in tasks
            if decide(task.trigger_rule, Upstream(len(task.upstream))) is not Verdict.WAIT
        )
        self._depends_on_past = frozenset(task.task_id for task in tasks if watched_by(task, ()))
        self._instant = frozenset(
            task.task_id for task in tasks if isinstance(task.work, EmptyWork) and task.callbacks == NO_CALLBACKS
        )

    # what the coordinator asks

    @property
    def room(self) -> int:
        """How many more dag_runs may be opened now."""
        adaptive = self.slots.throttle.adaptive
        most = self.limits.parallel if adaptive is None else min(self.limits.parallel, adaptive.parallel)
        if self.share is not None:
            most = min(most, self.share)
        return 0 if self.stopping or self.paused else most - len(self.runs)

    @property
    def flights(self) -> Mapping[Key, Flight]:
        """The tries that were submitted and have not reported."""
        return self.slots.flights

    @property
    def is_drained(self) -> bool:
        """Nothing is in flight, and nothing more will start by itself."""
        return not self.flights and (self.stopping or not self.runs)

    def counts(self) -> ProgressCounts:
        return ProgressCounts(self.total, self.completed, self.failed, self.blocked, len(self.runs), len(self.flights))

    # what happened

    def open(self, spec: RunSpec, now: int) -> None:
        """Take a date into the window: clear what is to be cleared, and let its tasks begin.

        Args:
            spec: The date and what the store knows of it.
            now: Epoch microseconds.
        """
        run = self._predecessors.open(spec)
        self.runs[run.logical_date] = run
        self._changes.opened(run)
        if spec.members:
            absorb(run, self._changes)
        if spec.instances:
            restore(run, spec, self.dag, self._changes)
            for task_id, one in run.instances.items():
                if one.state is TaskState.UP_FOR_RETRY:
                    run.active += 1
                    self._timers.retry(one.due_again(now), run.logical_date, task_id)
        for task_id in self.dag.tasks if spec.instances else self._first:
            self._to_consider.append((run, task_id))
        self._to_settle.append(run)
        self._propagate(now)

    def on_started(self, logical_date: int, task_id: str, try_number: int, at: int) -> None:
        """A worker began a try."""
        run = self.runs.get(logical_date)
        one = run.instances[task_id] if run else None
        if run and one and one.try_number == try_number and one.state is TaskState.QUEUED:
            one.state = advance(one.state, Event.STARTED)
            one.started_at = at
            self._changes.instance(logical_date, task_id, one)

    def on_report(self, report: AttemptReport, now: int) -> None:
        """A try ended. A report for an older try, or for one that was given up, is recorded as late."""
        run = self.runs.get(report.logical_date)
        # Without a run it was given up meanwhile: dagrun_timeout. Its slots were held until now.
        if not self.slots.end(stopped_try(report) if self.aborting else report) or run is None:
            self._changes.attempt(report, Outcome.LATE)
            return
        run.active -= 1
        one = run.instances[report.task_id]
        if one.state is TaskState.QUEUED:
            one.state = advance(one.state, Event.STARTED)
        self._end_try(run, stopped_try(report) if self.aborting else self.slots.judge(report), now)
        self._propagate(now)

    def on_overdue(self, logical_date: int, task_id: str, try_number: int) -> None:
        """A Python task's time is over, but its thread has not returned: it holds its slot until it does."""
        run = self.runs.get(logical_date)
        one = run.instances[task_id] if run else None
        if one and one.try_number == try_number and one.state in (TaskState.QUEUED, TaskState.RUNNING):
            one.reason = "timed out, still running"
            self._changes.instance(logical_date, task_id, one)

    def on_time(self, now: int) -> None:
        """Let what is due by `now` (epoch µs) happen: retries, and dag_runs whose time is up."""
        self.slots.throttle.on_time(now)
        for run, task_id in self._timers.due(now):
            if task_id is None:
                self._cancellations += time_out(run, self.dag, now, self.flights, self._changes)
                self._to_settle.append(run)
            elif (one := run.instances[task_id]).state is TaskState.UP_FOR_RETRY:
                one.state = advance(one.state, Event.RETRY_DUE)
                one.retry_at = None
                run.active -= 1
                self._changes.instance(run.logical_date, task_id, one)
                self._to_consider.append((run, task_id))
        self._propagate(now)

    def stop(self, *, abort: bool = False) -> None:
        """Start nothing new. With `abort`, a try that ends badly from now on counts as lost, not as failed."""
        self.stopping = True
        self.aborting = self.aborting or abort

    def pause(self) -> None:
        """Start nothing new until `resume`; what runs ends by itself, and retries that come due wait with the rest."""
        self.paused = True

    def resume(self) -> None:
        """Go on where `pause` left off."""
        self.paused = False

    def set_parallel(self, parallel: int) -> None:
        """Let so many dag_runs be open together from now on. With more open than that they end by themselves."""
        self.limits = self.limits._replace(parallel=parallel)
        if (adaptive := self.slots.throttle.adaptive) is not None:
            adaptive.bound(parallel)

    def leave_out(self, dates: Collection[int], now: int) -> None:
        """Do without dates that are not done, between two turns; those that are open, with nothing begun, close."""
        self.total -= len(dates)
        for run in [self.runs.pop(date) for date in dates if date in self.runs]:
            run.is_closed = True
            self.slots.forget(run)
            for follower in self._predecessors.leave_out(run):
                self._to_consider.extend(waiting_for(follower, self.dag.tasks))
        self._propagate(now)

    # what follows

    def take(self, now: int) -> Step:
        """Return what changed since the last call and what may start now; an empty step when nothing did."""
        submissions = [] if self.stopping or self.paused else self._dispatch(now)
        batch = self._changes.take(self.completed, self.failed)
        cancellations, self._cancellations = self._cancellations, []
        # Nobody who may not start has to be woken for: a limit that nobody reserves starts of is due at every moment.
        held_until = None if self.stopping or self.paused else self.slots.next_at(now)
        due = [at for at in (self._timers.next_at(), held_until) if at is not None]
        return Step(batch, submissions, cancellations, min(due, default=None))

    def lacking(self, now: int) -> Mapping[Pace, int]:
        """Return the starts that are to be reserved, for who could start now, epoch µs; before `take`."""
        return {} if self.stopping or self.paused else self.slots.lacking(now)

    def has_probe(self, pool: str, now: int) -> bool:
        """Return whether a task of the pool would start now (epoch µs), but for the pool's breaker."""
        return not (self.stopping or self.paused) and self.slots.has_probe(pool, now)

    def next_retry_at(self) -> int | None:
        """Return when the next retry is due, epoch microseconds; None without one."""
        return min(self._timers.retries(), default=None)

    def waiting(self, now: int = 0) -> dict[str, int]:
        """Return how many tasks wait at `now` (epoch µs), by the reason in words; for the progress line."""
        return waiting_reasons(self.slots, self.runs.values(), len(self._timers.retries()), self.dag, now)

    def waits(self, now: int) -> Waits | None:
        """Return the same with some of the tasks by name; None when nothing waits."""
        return waits_of(self.slots, self.runs.values(), len(self._timers.retries()), self.dag, now)

    def usable(self, pool: str) -> int:
        """Return how many slots of a pool could ever be used at once; none when nothing more starts."""
        return 0 if self.stopping or self.paused else self.slots.usable(pool, self.limits.parallel)

    def _dispatch(self, now: int) -> list[Submission]:
        submissions = []
        for run, ready in self.slots.take(now):
            one = begin_try(run, ready.task_id, now, self._changes)
            self._mark_running(run, now)
            self.slots.begin(run, ready, one.try_number)
            task = self.dag.tasks[ready.task_id]
            submissions.append(Submission(run, task, one.try_number, one.spent, self._previous_success(run)))
        return submissions

    def _previous_success(self, run: OpenRun) -> PreviousSuccess | None:
        return self._successes.before(run.logical_date, run.previous_success)

    def _mark_running(self, run: OpenRun, now: int) -> None:
        if run.state is RunState.RUNNING:
            return
        run.state, run.started_at, run.reason = RunState.RUNNING, now, None
        self._changes.run(run)
        if self.dag.dagrun_timeout_s is not None:
            self._timers.timeout(now + int(self.dag.dagrun_timeout_s * MICROSECONDS), run.logical_date)

    def _end_try(self, run: OpenRun, report: AttemptReport, now: int) -> None:
        task = self.dag.tasks[report.task_id]
        one = run.instances[report.task_id]
        # While stopping, too, a loss says nothing against the task: the signal may have been for all of the session.
        stopped = self.aborting or (self.stopping and report.outcome is Outcome.LOST)
        event = end_try(run, task, report, self._changes, aborting=stopped)
        if event is Event.SUCCEEDED and (report.follow is not None or report.skip_behind):
            self._skip_unfollowed(run, report, now)
        self._move(run, task.task_id, event, now)
        if one.state is TaskState.UP_FOR_RETRY:
            delay = report.delay_s
            if delay is None:
                delay = task.retry.delay_after(one.spent, f"{self.dag.dag_id}/{run.logical_date}/{task.task_id}")
            one.retry_at = report.ended_at + int(delay * MICROSECONDS)
            run.active += 1
            self._timers.retry(one.retry_at, run.logical_date, task.task_id)
        elif one.state is TaskState.SCHEDULED:
            self._to_consider.append((run, task.task_id))

    def _skip_unfollowed(self, run: OpenRun, report: AttemptReport, now: int) -> None:
        """Skip what a branch did not choose, or what a short circuit cut off."""
        for task_id in cut_off(self.dag, report):
            one = run.instances[task_id]
            if one.state is TaskState.SCHEDULED and not one.is_ready:
                one.reason = f"skipped by {report.task_id}"
                self._move(run, task_id, Event.SKIPPED, now)

    def _move(self, run: OpenRun, task_id: str, event: Event, now: int) -> None:
        """Take a task instance to its next state, and list what may follow from that."""
        one = run.instances[task_id]
        one.state = advance(one.state, event)
        self._changes.instance(run.logical_date, task_id, one)
        if not one.state.is_terminal:
            return
        if one.ended_at is None:
            one.ended_at = now
        if task_id in run.past_waiting:
            run.past_waiting.discard(task_id)
            run.active -= 1
        run.stuck.pop(task_id, None)
        run.note_end(self.dag, task_id)
        for behind in self.dag.downstream[task_id]:
            self._to_consider.append((run, behind))
        for follower in run.followers:
            self._to_consider.extend(waiting_for(follower, (task_id, *self.dag.tasks[task_id].upstream)))
        self._to_settle.append(run)

    def _propagate(self, now: int) -> None:
        """Let what has happened have its effects, near and far, until nothing moves any more."""
        to_consider, to_settle = self._to_consider, self._to_settle
        while to_consider or to_settle:
            while to_consider:
                run, task_id = to_consider.popleft()
                self._consider(run, task_id, now)
            if to_settle:
                self._settle(to_settle.popleft(), now)

    def _consider(self, run: OpenRun, task_id: str, now: int) -> None:
        """Ask the rules about a task that has not begun, and do what they say."""
        one = run.instances[task_id]
        if one.state is not TaskState.SCHEDULED or one.is_ready or run.is_closed:
            return
        task = self.dag.tasks[task_id]
        match decide(task.trigger_rule, one.upstream()):
            case Verdict.WAIT:
                return
            case Verdict.SKIP:
                one.reason = "an upstream was skipped" if one.skipped else f"trigger rule {task.trigger_rule}"
                self._move(run, task_id, Event.SKIPPED, now)
                return
            case Verdict.UPSTREAM_FAILED:
                one.reason = "an upstream failed"
                self._move(run, task_id, Event.UPSTREAM_FAILED, now)
                return
        if task_id in self._depends_on_past and not (past := ask_the_past(run, task, self.dag)).met:
            if not past.waits:
                self._to_settle.append(run)
            return
        run.active += 1
        one.is_ready = True
        if task_id in self._instant and not (self.stopping or self.paused):
            self._pass_through(run, task_id, now)
            return
        self.slots.wait(run, task)

    def _pass_through(self, run: OpenRun, task_id: str, now: int) -> None:
        """Finish an empty task on the spot: it joins or forks, and needs neither a slot nor a worker."""
        one = begin_try(run, task_id, now, self._changes)
        self._mark_running(run, now)
        one.state = advance(one.state, Event.STARTED)
        run.active -= 1
        self._end_try(run, AttemptReport(run.logical_date, task_id, one.try_number, Outcome.SUCCESS, now, now), now)

    def _settle(self, run: OpenRun, now: int) -> None:
        """Close a run that is finished, or that nothing in this backfill can move on."""
        if run.is_closed or run.active:
            return
        if not run.unfinished:
            self._mark_running(run, now)
            outcome = finish(run, self.dag, now)
            if outcome is RunState.SUCCESS:
                self.completed += run.dates
            else:
                self.failed += run.dates
            if run.state is RunState.SUCCESS:
                success = PreviousSuccess(run.logical_date, run.data_interval_end, run.started_at)
                self._successes.note(success, self.runs)
            self._changes.outcome(run, outcome)
        else:
            self.blocked += run.dates
            block(run, self.dag)
        run.is_closed = True
        run.previous = None
        del self.runs[run.logical_date]
        self._changes.run(run)
        for follower in run.followers:
            self._to_consider.extend(waiting_for(follower, self.dag.tasks))
        run.followers = []
