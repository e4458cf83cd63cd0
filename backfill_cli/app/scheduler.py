"""`bfill scheduler --once`: one pass over the DAGs; what is due at a moment is created and run to its end.

Owns the look at every DAG, and what each comes to. What is due of one, and how it runs, is `app/shifts.py`; DAGs that
run side by side have a process each (`app/crew.py`).
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterable, Iterator, Sequence
from functools import partial
from pathlib import Path
from signal import Signals
from typing import TYPE_CHECKING, NamedTuple

from backfill_cli.app.context import AppContext
from backfill_cli.app.crew import Crew, Gone, Line, Member, Refused
from backfill_cli.app.dues import Outlook, Stretch, may_be_due, outlook_of
from backfill_cli.app.orphans import Orphans
from backfill_cli.app.pools import slots_of
from backfill_cli.app.shifts import NothingDue, work_shift
from backfill_cli.app.targets import find_target
from backfill_cli.app.warming import RUNNING, warm
from backfill_cli.app.warnings import refuse_impossible
from backfill_cli.core.listening import Listener
from backfill_cli.core.options import BackfillOptions
from backfill_cli.core.results import BackfillResult
from backfill_cli.core.scheduling import ScheduleOptions, ScheduleResult, Standing, Watcher
from backfill_cli.errors import BackendError, BfillError, UsageProblem
from backfill_cli.interrupts import remember

if TYPE_CHECKING:
    from backfill_cli.core.graph import Dag
    from backfill_cli.core.when import When
    from backfill_cli.loader.resolve import Resolved


_REVERSED = "reversed-stretch"


class Said(NamedTuple):
    """What a listener of a shift has to tell, on its way to the scheduler's process."""

    whom: str
    text: str


class _Due(NamedTuple):
    """A DAG with something to do.

    Args:
        place: In the result.
        folder: Where its tasks import from.
    """

    place: int
    target: Resolved
    stretch: Stretch
    folder: Path | None


def schedule_once(
    ctx: AppContext,
    options: ScheduleOptions,
    listeners: Sequence[Listener] = (),
    watcher: Watcher | None = None,
) -> ScheduleResult:
    """Run what is due of every DAG to its end, or to a stop; several DAGs side by side where processes can be made.

    A DAG that cannot be loaded or run never holds another one back: its error stands in the result.

    Args:
        listeners: Hear every shift, in this process; with them one DAG runs after the other.
        watcher: Hears shifts wherever they run.
    """
    from backfill_cli.loader.imports import folder_in_use

    check_asked(options)
    found: list[Standing | None] = []
    due: list[_Due] = []
    for name, label in [(name, name) for name in dict.fromkeys(options.dags)] or _all(ctx, found):
        try:
            target = find_sound(ctx, name)
            stretch = _stretch(ctx, options, target.dag.timezone)
            outlook = _look(ctx, target.dag, stretch)
        except BfillError as error:
            if error.code == _REVERSED:  # what was typed is wrong, and no DAG
                raise
            found.append(broken(label, str(error), error.hint, error.exit_code))
            continue
        if outlook is None:
            due.append(_Due(len(found), target, stretch, folder_in_use()))
            found.append(None)
        else:
            found.append(_standing(target.dag, outlook))
    if len(due) > 1 and not listeners and watcher is not None and Crew.is_possible():
        stopped_by = _side_by_side(ctx, due, options, watcher, found)
    else:
        stopped_by = _one_by_one(ctx, due, options, listeners, watcher, found)
    return ScheduleResult([one for one in found if one is not None], stopped_by)


def find_sound(ctx: AppContext, name: str) -> Resolved:
    """Return the DAG of a name. Raises BfillError also when nobody could run it."""
    with ctx.store(write=False) as store:
        target = find_target(ctx, BackfillOptions(dag_id=name), store)
        refuse_impossible(target.dag, slots_of(ctx.settings, store), may_be_held=True)
    return target


def check_asked(options: ScheduleOptions) -> None:
    """Refuse what no DAG could be run with, whether or not one is due. Raises UsageProblem or BackendError."""
    from backfill_cli.engine.backends import check_backend

    Orphans(options.orphans)
    check_backend(options.executor or "thread")


def broken(name: str, message: str, hint: str, exit_code: int) -> Standing:
    """Return how a DAG stands that could not be looked at or run."""
    return Standing(name, error=message, hint=hint, error_code=exit_code)


def _all(ctx: AppContext, found: list[Standing | None]) -> list[tuple[str, str]]:
    """Return what names each DAG of the dags folders, and what it is called; what does not load is an error."""
    names = []
    for name, dag in listed(ctx):
        if isinstance(dag, BfillError):
            found.append(broken(name, str(dag), dag.hint, dag.exit_code))
        else:
            names.append((name, name if dag is None else dag.dag_id))
    return names


def listed(ctx: AppContext) -> Iterator[tuple[str, Dag | BfillError | None]]:
    """Yield every DAG of the dags folders by what names it, or what is wrong with it; None is in several files."""
    from backfill_cli.loader.folders import list_dags

    found = list_dags(ctx.settings)
    places = Counter(one.dag_id for one in found)
    ambiguous: dict[str, None] = {}
    for one in found:
        if isinstance(one.dag, BfillError):
            yield one.dag_id or str(one.path), one.dag
        elif one.dag_id is not None and places[one.dag_id] > 1:
            ambiguous[one.dag_id] = None  # resolved by its id, which is refused: their histories would be one
        else:
            yield f"{one.path}:{one.dag_id}", one.dag
    for name in ambiguous:
        yield name, None


# running


def _one_by_one(
    ctx: AppContext,
    due: Iterable[_Due],
    options: ScheduleOptions,
    listeners: Sequence[Listener],
    watcher: Watcher | None,
    found: list[Standing | None],
) -> int | None:
    """Run one DAG after the other in this process; returns the signal that stopped it."""
    for one in due:
        dag_id = one.target.dag.dag_id
        more = () if watcher is None else watcher.listeners(dag_id, watcher.heard)
        try:
            standing = _pass(ctx, one, options, (*listeners, *more))
        except BfillError as error:
            standing = broken(dag_id, str(error), error.hint, error.exit_code)
        found[one.place] = standing
        if watcher is not None:
            watcher.on_shift(standing)
        if standing.stopped_by is not None:
            return standing.stopped_by
    return None


def _side_by_side(
    ctx: AppContext, due: Iterable[_Due], options: ScheduleOptions, watcher: Watcher, found: list[Standing | None]
) -> int | None:
    """Run each DAG in a process of its own, so many at once; returns the signal that stopped them."""

    def work(one: _Due, line: Line) -> None:
        line.mind_parent()
        listeners = watcher.listeners(one.target.dag.dag_id, lambda whom, text: line.send(Said(whom, text)))
        line.send(_pass(ctx, one, options, listeners))

    warm(RUNNING)
    waiting, stops = deque(due), list[int]()
    places: dict[Member, int] = {}
    with Crew(stops.append) as crew:
        while len(crew) or (waiting and not stops):
            while waiting and not stops and len(crew) < options.parallel:
                one = waiting.popleft()
                places[crew.start(one.target.dag.dag_id, partial(work, one))] = one.place
            for member, said in crew.hear(None):
                match said:
                    case Said():
                        watcher.heard(*said)
                    case Standing():
                        found[places[member]] = said
                        watcher.on_shift(said)
                    case Refused():
                        found[places[member]] = broken(member.name, *said)
                    case Gone(status) if found[places[member]] is None and not stops:
                        found[places[member]] = broken(member.name, *vanished(status))
    if not stops:
        return None
    remember(stops[0])
    return stops[0]


def vanished(status: int) -> tuple[str, str, int]:
    """Return what to say of a shift whose process ended without a word: message, hint and exit code."""
    how = f"was ended by {Signals(-status).name}" if status < 0 else f"left with exit status {status}"
    return f"the process that ran it {how}", "the next pass goes on with it", BackendError.exit_code


def _pass(ctx: AppContext, due: _Due, options: ScheduleOptions, listeners: Sequence[Listener]) -> Standing:
    from backfill_cli.loader.imports import use_folder

    if due.folder is not None:
        use_folder(due.folder)  # other files have been loaded since
    dag, stretch = due.target.dag, due.stretch
    results: list[BackfillResult] = []
    while (outlook := _look(ctx, dag, stretch)) is None:
        try:
            result = work_shift(ctx, due.target, stretch, options, listeners)
        except NothingDue:
            break
        results.append(result)
        if result.stopped_by is not None or result.blocked or result.remaining:
            break
    return _standing(dag, outlook or _outlook(ctx, dag, stretch), results)


def _look(ctx: AppContext, dag: Dag, stretch: Stretch) -> Outlook | None:
    """Return why nothing is due; None when something may be."""
    with ctx.store(write=False) as store:
        return store.read(lambda reader: None if may_be_due(reader, dag, stretch) else outlook_of(reader, dag, stretch))


def _outlook(ctx: AppContext, dag: Dag, stretch: Stretch) -> Outlook:
    with ctx.store(write=False) as store:
        return store.read(lambda reader: outlook_of(reader, dag, stretch))


def _standing(dag: Dag, outlook: Outlook, results: Sequence[BackfillResult] = ()) -> Standing:
    return Standing(dag.dag_id, outlook.why, dag.timezone, outlook.next_at, tuple(results))


def _stretch(ctx: AppContext, options: ScheduleOptions, timezone: str) -> Stretch:
    now = ctx.clock.now_us() // 1_000_000 if options.now is None else second_of(options.now, timezone)
    until = now if options.until is None else second_of(options.until, timezone)
    if until < now:
        raise UsageProblem("--until is before --now", hint="name the later moment with --until", code=_REVERSED)
    return Stretch(now, until)


def second_of(when: When, timezone: str) -> int:
    """Return an instant as epoch seconds; a date is its midnight, wall time is that of the zone."""
    from backfill_cli.core.when import first_second
    from backfill_cli.core.zones import clock_of

    return first_second(when, clock_of(timezone))
