"""The one loop that owns a running backfill: it feeds the machine, commits what follows, and submits.

Owns the inbox, the order of things, and the clock's place in them. A turn takes all that waits in the inbox, opens the
dates there is room for, and asks the machine for a step; the step's rows are committed in one transaction, and only
then do its tries leave for the executor. So whatever a worker may be doing, the store already says so.

It says nothing about SQL, flags or colours, and knows no executor by name: a backend takes an invocation, and the
report comes into the inbox, that of a worker that vanished included.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from contextlib import suppress
from dataclasses import replace
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING, Protocol

from backfill_cli.core.graph import Task
from backfill_cli.core.halting import NO_HALT, Halt
from backfill_cli.core.invocations import AttemptReport, DagRef
from backfill_cli.core.listening import Listener, PaceChange, ProgressCounts
from backfill_cli.core.machine import BackfillMachine, Step
from backfill_cli.core.ports import Clock, Store
from backfill_cli.core.progress import RunSpec
from backfill_cli.core.records import Claim
from backfill_cli.core.states import Outcome, TaskState
from backfill_cli.engine.attempt import Bench
from backfill_cli.engine.backends import Backend
from backfill_cli.engine.callbacks import DagCallbacks
from backfill_cli.engine.cancelling import Key
from backfill_cli.engine.ending import Ending, Stopped
from backfill_cli.engine.invoking import Invocations
from backfill_cli.engine.messages import Checked, Message, Overdue, Started, StopAsked, lost
from backfill_cli.engine.pacing import Pacer
from backfill_cli.engine.polling import Poller, Polling

if TYPE_CHECKING:
    from backfill_cli.core.steering import Steered

TURN = 2_000
"""Events taken in one turn, at most: bounds a transaction, and how long a stop request can wait behind reports."""

OPENED_A_TURN = 500
"""Dates opened in one turn, at most: a DAG of empty tasks finishes them as fast as they open."""

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

    def to_come(self, dates: Collection[int]) -> frozenset[int]:
        """Return those of these dates of the backfill, which have no outcome, that have not been given yet."""
        ...

    def leave_out(self, dates: Collection[int], counts: ProgressCounts) -> None:
        """Give none of these dates any more, which the store leaves out by now.

        Args:
            counts: Where the backfill stands without them.
        """
        ...


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
        self._store = store
        self._claim = claim
        self._feed = feed
        self._fed = self._held = False
        self._backend_of = backend_of
        self.bench = replace(bench, on_overdue=self.tell_overdue)
        self._callbacks = DagCallbacks(machine.dag, self.bench, logs)
        self._invocations = Invocations(machine, claim.backfill_id, dag_ref, logs)
        self._clock = clock
        self._listeners = listeners
        self._polling = Polling(pollers, clock) if pollers else None
        self._look_at = 0.0
        self._linger_s = 0.0
        self._begun: dict[Key, tuple[float, Started]] = {}
        self._pacer = pacer
        self._ending = Ending(machine, self.bench.register, clock, grace_s, halt, listeners)

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
        self._ending.cancel(why, drain=drain)

    @property
    def cancelled(self) -> str | None:
        """Who has cancelled the run, in words; None when nobody has."""
        return self._ending.cancelled

    def to_come(self, dates: Collection[int]) -> frozenset[int]:
        """Return those of these dates without outcome that are still to be opened."""
        return self._feed.to_come(dates)

    def leave_out(self, dates: Collection[int]) -> None:
        """Do without dates that the store leaves out by now; nothing has begun in them. For pollers, between turns."""
        self.machine.leave_out(dates, self._clock.now_us())
        self._feed.leave_out(dates, self.machine.counts())

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
            self._ending.mind_the_halt(now)
            self._note_begun()
            self._open_dates(now)
            if self._pacer is not None:
                self._pacer.before_turn(self.machine, now, self.inbox.put)
                self._tell_pace(self._pacer.news())
                now = self._clock.now_us()  # a store that others write may have taken its time
            step = self.machine.take(now)
            self._commit(step, now)
            self._ending.tell_the_halt()
            self._submit(step)
            for key in step.cancellations:
                self.bench.register.cancel(key)
            if self._is_over():
                break
            self._listen(step.wake_at)
            self._ending.mind_the_stop()
        if self._pacer is not None:
            self._tell_pace(self._pacer.news())
        self._callbacks.finish(give_up=self._is_asked_to_leave)
        return self._ending.stopped()

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
            invocation = self._invocations.of(submission)
            try:
                self._backend_of(submission.task).submit(invocation, submission.task, self.bench, self.inbox.put)
            except RuntimeError as error:  # the pool is broken or shut down: this try was never begun
                self.inbox.put(lost(invocation, self._clock.now_us(), error))

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
        if begun_at is not None:
            pauses.append(begun_at - self._clock.monotonic())
        pauses += self._ending.pauses()
        return max(0.0, min(pauses))

    def _hear(self, message: Message) -> None:
        match message:
            case AttemptReport():
                self._begun.pop((message.logical_date, message.task_id), None)
                if message.outcome is Outcome.LOST:
                    self._ending.note_lost(message)
                self.machine.on_report(message, self._clock.now_us())
            case Started(key):
                self._begun[key] = self._clock.monotonic(), message
            case Overdue(key, try_number):
                self.machine.on_overdue(*key, try_number)
            case StopAsked(signal):
                self._ending.on_stop(signal)
            case Checked() if self._pacer is not None:
                self._pacer.heard(message, self._clock.now_us())

    def _is_asked_to_leave(self) -> bool:
        """Whether a stop came that nobody heard, because the loop is over: the first drains, the second leaves."""
        with suppress(Empty):
            while True:
                if isinstance(message := self.inbox.get_nowait(), StopAsked):
                    self._hear(message)
        self._ending.mind_the_stop()
        return self._ending.is_leaving

    def _is_over(self) -> bool:
        if self._ending.is_time_to_leave:
            return True
        return self.machine.is_drained and (self._fed or self.machine.stopping)
