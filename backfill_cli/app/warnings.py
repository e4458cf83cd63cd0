"""What a plan warns about, and what it refuses: found before anything runs.

Owns the list of checks, each a function that yields problems. They look at definitions and settings, never at dates one
by one, so that a plan of a million dates is checked as fast as one of ten.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from shlex import quote
from typing import TYPE_CHECKING

from backfill_cli.app.actor import secret_keys
from backfill_cli.app.secrets import references
from backfill_cli.core.graph import join_hints, near_hint
from backfill_cli.core.masking import SHORTEST, is_maskable
from backfill_cli.core.options import BackfillOptions
from backfill_cli.core.planning import is_left_to_another
from backfill_cli.core.pools import UNLIMITED
from backfill_cli.core.problems import Problem
from backfill_cli.core.records import Action
from backfill_cli.core.templates import Place
from backfill_cli.core.work import PythonWork, ShellWork, SqlWork
from backfill_cli.errors import MacroError, UnknownPoolError

if TYPE_CHECKING:
    from backfill_cli.app.context import AppContext
    from backfill_cli.core.graph import Dag, Task
    from backfill_cli.core.planning import PlanSummary
    from backfill_cli.core.ports import Store
    from backfill_cli.loader.resolve import Resolved
    from backfill_cli.loader.settings import Settings


def refuse_impossible(dag: Dag, pools: Mapping[str, int], *, may_be_held: bool = False) -> None:
    """Refuse what could only fail: a pool that does not exist or is too small. Raises UnknownPoolError.

    Args:
        pools: Name → slots of every pool there is (`app/pools.py`); -1 is unlimited.
        may_be_held: A pool of 0 slots is no refusal: somebody holds its tasks for now, and they wait.
    """
    for task in dag.tasks.values():
        if task.pool not in pools:
            raise UnknownPoolError(
                f"task '{task.task_id}' uses pool '{task.pool}', which does not exist",
                hint=join_hints(near_hint(task.pool, pools), f"or make it: bfill pools set {quote(task.pool)} 4"),
                where=task.where,
            )
        size = pools[task.pool]
        if size != UNLIMITED and task.pool_slots > size and not (may_be_held and not size):
            slots = "1 slot" if task.pool_slots == 1 else f"{task.pool_slots} slots"
            held, fewer = ("", ", or give the task fewer pool_slots") if size else (": it holds all its tasks", "")
            raise UnknownPoolError(
                f"task '{task.task_id}' needs {slots} of pool '{task.pool}', which has {size}{held}",
                hint=f"bfill pools set {quote(task.pool)} {task.pool_slots}{fewer}",
                code="pool-too-small",
                where=task.where,
            )


def left_to_others(summary: PlanSummary) -> list[Problem]:
    """Return a note for each backfill that dates of the plan are left to."""
    return [
        Problem("left-to-another", f"{group.count:,} {'date is' if group.count == 1 else 'dates are'} {group.reason}")
        for group in summary.groups
        if is_left_to_another(group.reason)
    ]


def warnings_for(ctx: AppContext, target: Resolved, options: BackfillOptions, summary: PlanSummary) -> list[Problem]:
    """Return what a person should know before these dates run.

    Raises:
        MacroError: A template cannot be used, or in strict mode names something unknown.
    """
    dag = target.dag
    return [
        *_template_warnings(dag, ctx.settings, options, summary),
        *_other_days(dag, summary),
        *_clock_changes(dag, summary),
        *_soft_timeouts(dag, options),
        *_capped(dag, options),
        *_too_many(ctx.settings, options, summary),
        *_secrets(options),
        *_short_secrets(ctx, options),
    ]


def template_problems(
    dag: Dag, settings: Settings, options: BackfillOptions, *, keeps_conf: bool = False
) -> Iterator[Problem]:
    """Yield names in templates that will stay as written.

    Args:
        keeps_conf: The conf is not known here: each date has its own. Nothing is said of its keys.

    Raises:
        MacroError: A template cannot be used, or names something unknown and the DAG is strict.
    """
    from backfill_cli.core.linting import lint_field

    conf = None if keeps_conf else frozenset(options.conf or {})
    for task in dag.tasks.values():
        for text, place in templates_of(task):
            try:
                notes = lint_field(
                    text,
                    place,
                    conf_keys=conf,
                    param_keys={*dag.params, *task.params},
                    variable_names=settings.variables,
                    connection_names=settings.connections,
                    upstream_ids=dag.ancestors(task.task_id),
                )
            except MacroError as error:
                inside = ", ".join(filter(None, [f"task '{task.task_id}'", error.where]))
                error.where = f"{task.where}: {inside}" if task.where else inside
                raise
            for note in notes:
                message = f"{task.task_id}: {note.message}"
                if dag.strict_templates:
                    raise MacroError(message, hint=note.hint, code=note.code, where=task.where)
                yield Problem(note.code, message, note.hint)


def _template_warnings(
    dag: Dag, settings: Settings, options: BackfillOptions, summary: PlanSummary
) -> Iterator[Problem]:
    """The same for dates that will run: one that has a dag_run keeps its conf, which may have the key."""
    keeps_conf = options.conf is None and not summary.counts[Action.CREATE]
    yield from template_problems(dag, settings, options, keeps_conf=keeps_conf)


def templates_of(task: Task) -> Iterator[tuple[str, Place]]:
    """Yield the template fields of a task as (text, place)."""
    match task.work:
        case ShellWork() as work:
            yield work.command, Place.SHELL
            for value in (*work.env.values(), work.cwd or ""):
                yield value, Place.PLAIN
        case SqlWork() as work:
            for statement in work.sql:
                yield statement, Place.SQL
            yield from _strings(work.parameters)
        case PythonWork() as work:
            yield from _strings(work.args)
            yield from _strings(work.kwargs)
        case _:
            return


def _strings(value: object) -> Iterator[tuple[str, Place]]:
    match value:
        case str():
            yield value, Place.PLAIN
        case list() | tuple():
            for one in value:
                yield from _strings(one)
        case dict():
            for one in value.values():
                yield from _strings(one)


def _other_days(dag: Dag, summary: PlanSummary) -> Iterator[Problem]:
    """`ds` is the UTC date: the best known off-by-one-day bug (semantics section 7)."""
    import re

    from backfill_cli.core.instants import instant
    from backfill_cli.core.zones import local_date

    uses = re.compile(r"\bds(?:_nodash)?\b")
    in_templates = any(
        "{{" in text and uses.search(text) for task in dag.tasks.values() for text, _ in templates_of(task)
    )
    in_python = any(
        isinstance(task.work, PythonWork) and {"ds", "ds_nodash"} & set(task.work.macros) for task in dag.tasks.values()
    )
    if not in_templates and not in_python:
        return
    for row in (*summary.head, *summary.tail):
        utc, local = instant(row.logical_date).date(), local_date(row.logical_date, dag.timezone)
        if utc != local:
            yield Problem(
                "ds-is-utc",
                f"ds is the UTC date, so {local} renders {utc}; local_ds renders {local}",
                "write {{ local_ds }} for the date in the DAG's zone",
            )
            return


def _clock_changes(dag: Dag, summary: PlanSummary) -> Iterator[Problem]:
    from backfill_cli.core.notes import clock_change_notes

    if dag.schedule.kind not in ("cron", "calendar") or summary.first is None or summary.last is None:
        return
    low, high = sorted((summary.first, summary.last))
    yield from clock_change_notes(low, high, dag.timezone)


def _soft_timeouts(dag: Dag, options: BackfillOptions) -> Iterator[Problem]:
    soft = [
        task.task_id
        for task in dag.tasks.values()
        if task.execution_timeout_s is not None
        and isinstance(task.work, PythonWork)
        and task.work.decides != "shell"
        and (task.executor or options.executor or "thread") == "thread"
    ]
    if soft:
        yield Problem(
            "soft-timeout",
            f"the execution_timeout of {', '.join(soft)} is cooperative: a thread ends at its next bytecode",
            "a call that blocks in C code (a socket, a sleep) returns first; --executor process really ends it",
        )


def _capped(dag: Dag, options: BackfillOptions) -> Iterator[Problem]:
    if options.max_parallel_runs > dag.max_active_runs:
        yield Problem(
            "parallel-capped",
            f"--parallel {options.max_parallel_runs} is capped by the DAG's max_active_runs={dag.max_active_runs}",
            "raise max_active_runs in the DAG file to run more dates together",
        )


def _too_many(settings: Settings, options: BackfillOptions, summary: PlanSummary) -> Iterator[Problem]:
    limit = settings.max_runs if options.max_runs is None else options.max_runs
    if summary.to_run > limit:
        yield Problem(
            "over-max-runs",
            f"{summary.to_run:,} dates are more than the {limit:,} that one command runs",
            f"add --max-runs {summary.to_run}, or "
            + ("plan fewer of them" if options.backfill_id else f"take fewer: --limit {limit}"),
        )


def _secrets(options: BackfillOptions) -> Iterator[Problem]:
    for key in secret_keys(options.conf or {}):
        yield Problem(
            "secret-in-conf",
            f"the conf key '{key}' looks secret; its value is masked where it is shown, but kept in the store",
            f"keep it outside: --conf {key}=secret:ENV_NAME reads the environment when a task runs",
        )


def _short_secrets(ctx: AppContext, options: BackfillOptions) -> Iterator[Problem]:
    """Of secrets this process can see now: a reference may well be set only where the tasks run."""
    values = [*ctx.settings.connections.values(), *ctx.settings.variables.values(), options.conf or {}]
    for name in dict.fromkeys(references(values)):
        if ctx.environ.get(name) and not is_maskable(ctx.environ[name]):
            yield Problem(
                "short-secret",
                f"the secret in {name} cannot be told from ordinary text, and is not masked in logs",
                f"take one of at least {SHORTEST} characters that is no everyday word",
            )


def open_folder_warnings(store: Store) -> Iterator[Problem]:
    """Yield `open-folder` for the store's folder and the one above: who may write there may exchange the store."""
    import stat
    from pathlib import Path

    folder = Path(store.logs).parent
    for one in (folder, folder.parent) if folder.is_absolute() else ():
        try:
            mode = one.stat().st_mode
        except OSError:  # not there yet: what bfill makes is private
            continue
        if mode & stat.S_IWOTH and not mode & stat.S_ISVTX:
            yield Problem(
                "open-folder",
                f"anybody on this machine can replace the store: {one} is writable for all",
                f"chmod o-w {one}",
            )


def moved_warnings(target: Resolved, store: Store) -> Iterator[Problem]:
    """Yield `dag-moved` when this dag_id has a history from another file, whether or not anything will run."""
    dag = target.dag
    known = store.read(lambda reader: reader.dag(dag.dag_id))
    if known is not None and known.path != dag.path:
        before, now = (path or "a --command" for path in (known.path, dag.path))
        yield Problem(
            "dag-moved",
            f"'{dag.dag_id}' was loaded from {before} before, now from {now}; its history stays with the id",
            "give one of them another dag_id if they are not the same DAG",
        )
