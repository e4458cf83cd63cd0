"""The one loop that owns a running backfill: it feeds the machine, commits what follows, and submits.

Owns the inbox, the order of things, and the clock's place in them. A turn takes all that waits in the inbox, opens the
dates there is room for, and asks the machine for a step; the step's rows are committed in one transaction, and only
then do its tries leave for the executor. So whatever a worker may be doing, the store already says so.

It says nothing about SQL, flags or colours, and knows no executor by name: a backend takes an invocation, and the
report comes into the inbox, that of a worker that vanished included.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import replace
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING, NamedTuple, Protocol

from backfill_cli.core.graph import Task
from backfill_cli.core.halting import NO_HALT, Halt
from backfill_cli.core.instants import run_id
from backfill_cli.core.invocations import AttemptReport, DagRef, Invocation
from backfill_cli.core.listening import Listener, PaceChange
from backfill_cli.core.machine import BackfillMachine, Step, Submission
from backfill_cli.core.ports import Clock, Store
from backfill_cli.core.progress import OpenRun, RunSpec
from backfill_cli.core.records import Claim
from backfill_cli.core.states import Outcome, TaskState
from backfill_cli.core.work import PythonWork
from backfill_cli.core.xcoms import RETURN_VALUE
from backfill_cli.engine.attempt import Bench
from backfill_cli.engine.backends import Backend
from backfill_cli.engine.callbacks import DagCallbacks
from backfill_cli.engine.cancelling import Key
from backfill_cli.engine.messages import Checked, Message, Overdue, Started, StopAsked, lost
from backfill_cli.engine.pacing import Pacer
from backfill_cli.engine.polling import Poller, Polling

if TYPE_CHECKING:
    from backfill_cli.core.steering import Steered

GRACE_S = 30.0
"""Seconds that running tasks have after TERM or HUP, unless something else is set."""

TURN = 2_000
"""Events taken in one turn, at most: bounds a transaction, and how long a stop request can wait behind reports."""

OPENED_A_TURN = 500
"""Dates opened in one turn, at most: a DAG of empty tasks finishes them as fast as they open."""

ABORT_WAIT_S = 7.0
"""Seconds a stop at once waits for tries to end: process groups get SIGKILL within 5, threads may never return."""

LAST_WAIT_S = 1.0
"""Seconds it waits when it is asked for once more, and process groups get SIGKILL at once."""

LONGEST_LINGER_S = 0.005
"""Seconds, at most, that a turn waits for more to happen after the first message: less than anybody notices."""

BEGUN_AFTER_S = 0.05
"""Seconds a try runs before the store says `running` and not `queued`: one that ends sooner is written once less."""

LOOK_EVERY_S = 0.5
"""Seconds between two words to the listener about what waits."""

LONGEST_PAUSE_S = 60.0
"""Seconds between two looks at the clock, at most: steady time goes on in a machine that sleeps, waiting does not."""


class Feed(Protocol):
    """Where the dates to open come from, in the order they are to be opened."""

    def take(self, most: int) -> Sequence[RunSpec] | None:
        """Return up to `most` dates; fewer, or none, only when there are no more. None: nothing until a date ends."""
        ...


class Stopped(NamedTuple):
    """Why a run ended early.

    Args:
        signal: The first one; None when the run halted by itself.
        left_running: Tries whose threads had not returned.
        cut_off: Tries, as (logical_date, task_id, try_number), that a stop at once ended or that died of its signal.
        halted: Why it halted by itself, in words.
        is_cancelled: Somebody has cancelled it: what is left is not meant to be gone on with.
    """

    signal: int | None
    left_running: int
    cut_off: frozenset[tuple[int, str, int]] = frozenset()
    halted: str = ""
    is_cancelled: bool = False

    @property
    def reason(self) -> str:
        if self.signal is None or self.is_cancelled:
            return self.halted
        return f"stopped by signal {self.signal}"


class Coordinator:
    """Runs one backfill to its end, or to a stop.

    Args:
        machine: The backfill's state.
        claim: In whose name batches are written.
        feed: The dates.
        backend_of: Says which backend runs a task.
        dag_ref: What a worker finds the DAG by.
        logs: The folder for logs.
        grace_s: After a stop, seconds that running tasks have to end by themselves. None: GRACE_S, but as long as they
            take after INT, since whoever pressed Ctrl-C can press it again.
        halt: When the run ends itself.
        pollers: Who looks, twice a second, at what others have left for this run.
        pacer: Who reserves starts under limits of rate, and asks after health; None: nobody needs it.
    """

    def __init__(
        self,
        machine: BackfillMachine,
        *,
        store: Store,
        claim: Claim,
        feed: Feed,
        backend_of: Callable[[Task], Backend],
        bench: Bench,
        dag_ref: DagRef,
        logs: str,
        clock: Clock,
        grace_s: float | None,
        listeners: Sequence[Listener] = (),
        halt: Halt = NO_HALT,
        pacer: Pacer | None = None,
        pollers: Sequence[Poller] = (),
    ) -> None:
        self.machine = machine
        self.inbox: SimpleQueue[Message] = SimpleQueue()
        self.stopped_by: int | None = None
        self.halted: str | None = None
        self.is_cancelled = False
        self._store = store
        self._claim = claim
        self._feed = feed
        self._fed = self._held = False
        self._backend_of = backend_of
        self.bench = replace(bench, on_overdue=self.tell_overdue)
        self._callbacks = DagCallbacks(machine.dag, self.bench, logs)
        self._dag_ref = dag_ref
        self._logs = logs
        self._clock = clock
        self._grace_s = grace_s
        self._listeners = listeners
        self._polling = Polling(pollers, clock) if pollers else None
        self._abort_at: float | None = None
        self._leave_at: float | None = None
        self._cut_off: set[tuple[int, str, int]] = set()
        self._returning: dict[str, tuple[str, ...]] = {}
        self._look_at = 0.0
        self._linger_s = 0.0
        self._begun: dict[Key, tuple[float, Started]] = {}
        self._halt = halt
        self._pacer = pacer
        self._failed_before = machine.failed
        self._began_at = clock.monotonic()

    def ask_to_stop(self, signal: int) -> None:
        """Ask from a signal handler: the first drains, the second stops at once."""
        self.bench.register.stopping_for.add(signal)  # at once: a task may have died of the same one
        self.inbox.put(StopAsked(signal))

    def tell_overdue(self, key: Key, try_number: int) -> None:
        """Say, from a timer's thread, that a try's time is over and its thread has not returned."""
        self.inbox.put(Overdue(key, try_number))

    def cancel(self, why: str, *, drain: bool) -> None:
        """End the run: with `drain` running tries end by themselves, else at once. For pollers, between two turns.

        Args:
            why: Who cancelled it, and why if it was said.
        """
        self.is_cancelled, self.halted = True, why
        self.machine.stop()
        if not drain:
            self._abort()

    def announce(self, news: Steered) -> None:
        """Tell the listeners that somebody has steered the run. For pollers, between two turns."""
        for listener in self._listeners:
            listener.on_steered(news)

    @property
    def is_beginning(self) -> bool:
        """Whether a try was submitted of which nothing has been heard yet: it may be about to begin."""
        runs, heard = self.machine.runs, self._begun
        return any(
            key not in heard
            and (run := runs.get(key[0])) is not None
            and run.instances[key[1]].state is TaskState.QUEUED
            for key in self.machine.flights
        )

    def run(self) -> Stopped | None:
        """Loop until nothing is left to do, or a stop or halt has been carried out; then says why."""
        while True:
            if self._polling is not None:
                self._polling.look(self)
            now = self._clock.now_us()
            self.machine.on_time(now)
            self._mind_the_halt(now)
            self._note_begun()
            self._open_dates(now)
            if self._pacer is not None:
                self._pacer.before_turn(self.machine, now, self.inbox.put)
                self._tell_pace(self._pacer.news())
            step = self.machine.take(now)
            self._commit(step, now)
            self._submit(step)
            for key in step.cancellations:
                self.bench.register.cancel(key)
            if self._is_over():
                break
            self._listen(step.wake_at)
            self._mind_the_stop()
        if self._pacer is not None:
            self._tell_pace(self._pacer.news())
        self._callbacks.finish(give_up=self._is_asked_to_leave)
        if self.stopped_by is None and not self.halted:
            return None
        left = len(self.machine.flights)
        return Stopped(self.stopped_by, left, frozenset(self._cut_off), self.halted or "", self.is_cancelled)

    # one turn

    def _tell_pace(self, changes: Sequence[PaceChange]) -> None:
        for change in changes:
            for listener in self._listeners:
                listener.on_pace(change)

    def _note_begun(self) -> None:
        """Let the machine know which tries are running by now; when stopping at once, since others will read of it."""
        due = self._clock.monotonic() - (0.0 if self.machine.stopping else BEGUN_AFTER_S)
        while self._begun:
            key, (heard_at, started) = next(iter(self._begun.items()))  # the oldest: a dict keeps their order
            if heard_at > due:
                return
            del self._begun[key]
            self.machine.on_started(*key, started.try_number, started.at)

    def _open_dates(self, now: int) -> None:
        opened = 0
        while not self._fed and opened < OPENED_A_TURN and (room := self.machine.room) > 0:
            specs = self._feed.take(room)
            self._held = specs is None
            if specs is None:
                return
            self._fed = not specs
            for spec in specs:
                self.machine.open(spec, now)
            opened += len(specs)

    def _commit(self, step: Step, now: int) -> None:
        if not step.batch:
            return
        began = self._clock.monotonic()
        self._store.write(lambda writer: writer.save(self._claim, step.batch))
        # Group commit: waiting as long as a commit takes costs at most that, and what comes meanwhile shares the next.
        self._linger_s = min(LONGEST_LINGER_S, self._clock.monotonic() - began)
        self._callbacks.after(step.batch)
        counts = self.machine.counts()
        for listener in self._listeners:
            listener.on_batch(step.batch, counts, now)

    def _submit(self, step: Step) -> None:
        for submission in step.submissions:
            invocation = self._invocation(submission)
            try:
                self._backend_of(submission.task).submit(invocation, submission.task, self.bench, self.inbox.put)
            except RuntimeError as error:  # the pool is broken or shut down: this try was never begun
                self.inbox.put(lost(invocation, self._clock.now_us(), error))

    def _invocation(self, submission: Submission) -> Invocation:
        run = submission.run
        name = run_id(run.run_type, run.logical_date)
        task_id, try_number = submission.task.task_id, submission.try_number
        return Invocation(
            self._dag_ref,
            task_id,
            run.logical_date,
            run.data_interval_end,
            name,
            run.run_type,
            try_number,
            submission.spent,
            self._claim.backfill_id,
            run.conf,
            self._xcoms_of(run, task_id),
            submission.previous_success,
            f"{self._logs}/{self._dag_ref.dag_id}/{name}/{task_id}.{try_number}.log",
        )

    def _xcoms_of(self, run: OpenRun, task_id: str) -> dict[str, dict[str, str]]:
        """Return a copy, tasks in DAG order: the machine goes on filling its own while the worker reads.

        A Python task that returned None is not stored, which would cost a row a task; to those behind it its result is
        null all the same, not missing. It stands first: a pull that names no task takes the last that pushed something.
        """
        silent = [
            one
            for one in self._returning_before(task_id)
            if RETURN_VALUE not in run.xcoms.get(one, ()) and run.instances[one].state is TaskState.SUCCESS
        ]
        if not run.xcoms and not silent:
            return {}
        found: dict[str, dict[str, str]] = {one: {RETURN_VALUE: "null"} for one in silent}
        place = self.machine.dag.position
        for one in sorted(run.xcoms, key=lambda name: place.get(name, -1)):
            found[one] = {**found.pop(one, {}), **run.xcoms[one]}
        return found

    def _returning_before(self, task_id: str) -> tuple[str, ...]:
        """Return the Python tasks before a task whose result is pushed; looked up once a task."""
        known = self._returning.get(task_id)
        if known is None:
            before = self.machine.dag.ancestors(task_id)
            known = self._returning[task_id] = tuple(
                task.task_id
                for task in self.machine.dag.tasks.values()
                if task.task_id in before and task.do_xcom_push and isinstance(task.work, PythonWork)
            )
        return known

    def _listen(self, wake_at: int | None) -> None:
        """Wait for something to happen, then take all that has happened by now, and what comes right behind it."""
        try:
            if self._may_wait():
                self._hear(self.inbox.get(timeout=self._pause(wake_at)))
            linger_until = self._clock.monotonic() + self._linger_s
            for _ in range(TURN):
                self._hear(self._next(linger_until))
        except Empty:
            pass
        if self._listeners and self._clock.monotonic() >= self._look_at:
            self._look_at = self._clock.monotonic() + LOOK_EVERY_S
            waiting, next_retry_at = self.machine.waiting(self._clock.now_us()), self.machine.next_retry_at()
            for listener in self._listeners:
                listener.on_waiting(waiting, next_retry_at)

    def _next(self, linger_until: float) -> Message:
        """Return the next message. Raises Empty when there is none, nor one in flight that may come in time."""
        try:
            return self.inbox.get_nowait()
        except Empty:
            left = linger_until - self._clock.monotonic()
            if left <= 0 or not self.machine.flights:
                raise
            return self.inbox.get(timeout=left)

    def _may_wait(self) -> bool:
        return self._fed or self.machine.room <= 0 or (self._held and bool(self.machine.runs))

    def _pause(self, wake_at: int | None) -> float:
        pauses = [LOOK_EVERY_S if self._listeners else LONGEST_PAUSE_S]
        if self._polling is not None:
            pauses.append(self._polling.left_s())
        if wake_at is not None:
            pauses.append((wake_at - self._clock.now_us()) / 1_000_000)
        begun_at = next((heard_at + BEGUN_AFTER_S for heard_at, _ in self._begun.values()), None)
        pauses += [at - self._clock.monotonic() for at in (self._abort_at, self._leave_at, begun_at) if at is not None]
        if self.halted is None and (left_s := self._halt.left_s(self._running_s(), self._clock.now_us())) is not None:
            pauses.append(left_s)
        return max(0.0, min(pauses))

    def _hear(self, message: Message) -> None:
        match message:
            case AttemptReport():
                self._begun.pop((message.logical_date, message.task_id), None)
                if self.machine.stopping and message.outcome is Outcome.LOST:
                    self._cut_off.add((message.logical_date, message.task_id, message.try_number))
                self.machine.on_report(message, self._clock.now_us())
            case Started(key):
                self._begun[key] = self._clock.monotonic(), message
            case Overdue(key, try_number):
                self.machine.on_overdue(*key, try_number)
            case StopAsked(signal):
                self._on_stop(signal)
            case Checked() if self._pacer is not None:
                self._pacer.heard(message, self._clock.now_us())

    # stopping

    def _mind_the_halt(self, now: int) -> None:
        if self.machine.stopping:
            return
        self.halted = self._halt.why(self.machine.failed - self._failed_before, self._running_s(), now)
        if self.halted is not None:
            self.machine.stop()
            for listener in self._listeners:
                listener.on_stopping(None, len(self.machine.flights), self.halted)

    def _running_s(self) -> float:
        return self._clock.monotonic() - self._began_at

    def _on_stop(self, signal: int) -> None:
        from signal import SIGINT

        if self.stopped_by is not None:
            self._abort()
            return
        self.stopped_by = signal
        self.machine.stop()
        grace_s = GRACE_S if self._grace_s is None and signal != SIGINT else self._grace_s
        if grace_s is not None:
            self._abort_at = self._clock.monotonic() + grace_s
        for listener in self._listeners:
            listener.on_stopping(signal, len(self.machine.flights), f"stopped by signal {signal}")

    def _abort(self) -> None:
        self._abort_at = None
        now = self._clock.monotonic()
        if self._leave_at is not None:
            self._leave_at = min(self._leave_at, now + LAST_WAIT_S)
        else:
            self._leave_at = now + ABORT_WAIT_S
            self._cut_off |= {(*key, flight.try_number) for key, flight in self.machine.flights.items()}
            self.machine.stop(abort=True)
        # Asked again, what runs ends without any grace: whoever presses a third time has waited long enough.
        self.bench.register.cancel_all()

    def _mind_the_stop(self) -> None:
        if self._abort_at is not None and self._clock.monotonic() >= self._abort_at:
            self._abort()

    def _is_asked_to_leave(self) -> bool:
        """Whether a stop came that nobody heard, because the loop is over: the first drains, the second leaves."""
        with suppress(Empty):
            while True:
                if isinstance(message := self.inbox.get_nowait(), StopAsked):
                    self._hear(message)
        self._mind_the_stop()
        return self._leave_at is not None

    def _is_over(self) -> bool:
        if self._leave_at is not None and self._clock.monotonic() >= self._leave_at:
            return True
        return self.machine.is_drained and (self._fed or self.machine.stopping)
