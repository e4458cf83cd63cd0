"""What the children of a scheduler that stays do: look at all DAGs, or run one shift of one of them.

Owns the two pieces of work, each done in a process of its own: users' files are never loaded in the scheduler itself,
so what is loaded is what stands in them now, and nothing of an older version stays behind.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from backfill_cli.app.context import AppContext
from backfill_cli.app.crew import Line
from backfill_cli.app.dues import Stretch, is_held, mark_of, may_be_due, outlook_of
from backfill_cli.app.orphans import Orphans
from backfill_cli.app.pools import slots_of
from backfill_cli.app.recovering import write_recovered
from backfill_cli.app.scheduler import Said, find_sound, listed
from backfill_cli.app.shifts import NothingDue, work_shift
from backfill_cli.app.warnings import refuse_impossible
from backfill_cli.core.agenda import Facts, Trouble
from backfill_cli.core.masking import SECRETS
from backfill_cli.core.scheduling import ScheduleOptions, Standing, Watcher
from backfill_cli.errors import BfillError

if TYPE_CHECKING:
    from backfill_cli.core.graph import Dag
    from backfill_cli.core.ports import Reader
    from backfill_cli.core.results import BackfillResult


class Survey(NamedTuple):
    """What a look at all DAGs has found, in order.

    Args:
        trouble: Why what dead processes have left could not be given back.
    """

    found: tuple[Facts | tuple[str, Trouble], ...]
    trouble: Trouble | None


class Worked(NamedTuple):
    """How a shift ended, and how the DAG stands behind it."""

    standing: Standing
    facts: Facts


@dataclass(frozen=True, slots=True)
class Work:
    """What the children are to do, as the scheduler was asked.

    Args:
        until: The last moment that is looked at, epoch seconds; None is no last one.
    """

    ctx: AppContext
    options: ScheduleOptions
    watcher: Watcher
    until: int | None

    def survey(self, line: Line) -> None:
        """Look at every DAG; what dead processes have left is given back first, as far as it can be."""
        trouble = None
        try:
            self._recover()
        except BfillError as error:
            trouble = _trouble(error)
        line.send(Survey(tuple(self._survey()), trouble))

    def shift(self, name: str, line: Line) -> None:
        """Load a DAG, say how it stands, create what is due, run it, and say how it stands then."""
        target = find_sound(self.ctx, name)
        line.mind_parent()
        facts = self._facts(name, target.dag)
        line.send(facts)
        dag_id = target.dag.dag_id
        results: tuple[BackfillResult, ...] = ()
        if facts.is_due:
            listeners = self.watcher.listeners(dag_id, lambda whom, text: line.send(Said(whom, text)))
            try:
                results = (work_shift(self.ctx, target, self._stretch(), self.options, listeners),)
            except NothingDue:
                results = ()
            facts = self._facts(name, target.dag)
            # What is blocked, or was stopped, is gone on with when something changes, and with the next interval.
            if not results or any(one.blocked or one.remaining for one in results):
                facts = facts._replace(is_due=False)
        line.send(Worked(Standing(dag_id, facts.why, facts.timezone, facts.next_at, results), facts))

    def _recover(self) -> None:
        with self.ctx.store(write=False) as store:
            dead = store.read(lambda reader: [one for one in reader.owners() if not one.is_alive])
        if dead:
            orphans = Orphans(self.options.orphans, self.ctx.tell)
            with self.ctx.store(write=True) as store:
                write_recovered(self.ctx, store, orphans, lambda _writer: None)

    def _survey(self) -> Iterator[Facts | tuple[str, Trouble]]:
        named = [(name, None) for name in dict.fromkeys(self.options.dags)] or listed(self.ctx)
        for name, dag in named:
            try:
                if isinstance(dag, BfillError):
                    raise dag
                yield self._facts(name, find_sound(self.ctx, name).dag if dag is None else self._sound(dag))
            except BfillError as error:
                yield name, _trouble(error)

    def _sound(self, dag: Dag) -> Dag:
        with self.ctx.store(write=False) as store:
            refuse_impossible(dag, slots_of(self.ctx.settings, store), may_be_held=True)
        return dag

    def _facts(self, name: str, dag: Dag) -> Facts:
        stretch = self._stretch()

        def read(reader: Reader) -> Facts:
            outlook = outlook_of(reader, dag, stretch)
            is_due = not outlook.is_paused and may_be_due(reader, dag, stretch)
            held = not is_due and is_held(reader, dag, stretch)
            return Facts(
                name,
                dag.dag_id,
                dag.timezone,
                dag.path,
                outlook.next_at,
                outlook.why,
                is_due,
                held,
                outlook.is_paused,
                outlook.is_over,
                dag.waits_on_past,
                mark_of(reader, dag.dag_id, is_held=held),
            )

        with self.ctx.store(write=False) as store:
            return store.read(read)

    def _stretch(self) -> Stretch:
        now = self.ctx.clock.now_us() // 1_000_000
        now = now if self.until is None else min(now, self.until)
        return Stretch(now, now)


def _trouble(error: BfillError) -> Trouble:
    return Trouble(SECRETS.text(str(error)), SECRETS.text(error.hint), error.exit_code)
