"""`bfill store prune`: what succeeded long ago keeps its place in the ledger, and loses its details.

Owns the order: the history must verify before anything goes, since what is attested anew behind a forged row would look
genuine; removal, new digests and the audit entry are one transaction; logs follow it, and the room is given back last.
A prune that is killed has removed everything or nothing of the store; logs it left are found by the next one.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import TYPE_CHECKING

from backfill_cli.app.context import AppContext
from backfill_cli.core.auditing import head_text
from backfill_cli.core.durations import parse_duration
from backfill_cli.core.instants import iso, iso_us
from backfill_cli.core.problems import Problem
from backfill_cli.core.upkeep import Pruned, PruneResult
from backfill_cli.core.when import first_second, parse_when
from backfill_cli.core.zones import clock_of
from backfill_cli.errors import AuditError, NotFoundError, RefusedError, StoreError, UsageProblem

if TYPE_CHECKING:
    from backfill_cli.core.ports import Reader, Store, Writer

Confirm = Callable[[str], bool]


def prune(
    ctx: AppContext,
    older_than: str,
    *,
    dag_id: str | None = None,
    dry_run: bool = False,
    yes: bool = False,
    reason: str | None = None,
    confirm: Confirm | None = None,
) -> PruneResult:
    """Remove tries, XComs, logs and planned dates of what succeeded and ended before a moment.

    Args:
        older_than: `90d`, `12w`, `48h` back from now, or a date or instant: what ended before it goes.
        dag_id: Of this DAG alone.
        dry_run: Only say what would go.
        confirm: Asked with the counts, unless `yes`; without it and without yes it is refused.

    Raises:
        ConflictError: A living process works on dates this is about.
        AuditError: The history does not verify: pruning would hide what is wrong with it.
        RefusedError: Nobody confirmed.
    """
    before = _cutoff(ctx, older_than)
    with ctx.store(write=False) as store:
        found = store.read(lambda reader: [_find(reader, one, before) for one in _dags(reader, dag_id)])
        _count_logs(store, found, before)
        head = head_text(store.read(lambda reader: reader.audit_head()))
        location = store.location
    found = [one for one in found if one]
    if dry_run or not found:
        return PruneResult(location, before, found, dry_run, head, next_command=_next(older_than, dag_id, found))
    _require_history(ctx)
    if not yes:
        _ask(found, before, confirm)

    def work(writer: Writer) -> tuple[list[Pruned], str]:
        return _remove(ctx, writer, dag_id, before, older_than, reason)

    with ctx.store(write=True) as store:
        removed, head = store.write(work)
        _remove_logs(store, removed, before)
    freed, problems = _shrink(ctx)
    return PruneResult(location, before, [one for one in removed if one], False, head, freed, problems)


def _cutoff(ctx: AppContext, text: str) -> int:
    """The instant everything must have ended before, epoch microseconds."""
    now = ctx.clock.now_us()
    # `3m` might be meant as months: nobody prunes by the minute.
    age = parse_duration(text) if not {"m", "s"} & set(text.lower()) else None
    if age is not None:
        return now - age // timedelta(microseconds=1)
    try:
        return first_second(parse_when(text), clock_of(ctx.settings.timezone)) * 1_000_000
    except UsageProblem:
        raise UsageProblem(
            f"--older-than {text!r} is neither an age nor a date",
            hint="write 90d, 12w, 48h or 2024-01-31",
            code="bad-age",
        ) from None


def _dags(reader: Reader, dag_id: str | None) -> list[str]:
    known = [row.dag_id for row in reader.dags()]
    if dag_id is None:
        return known
    if dag_id not in known:
        from backfill_cli.core.graph import near_hint

        raise NotFoundError(f"nothing of DAG '{dag_id}' is in the store", hint=near_hint(dag_id, known))
    return [dag_id]


def _find(reader: Reader, dag_id: str, before: int) -> Pruned:
    """What may go of a DAG. Raises ConflictError when a living process works on any of these dates."""
    from backfill_cli.app.overlaps import conflict
    from backfill_cli.store import pruning

    found = pruning.find(reader, dag_id, before)
    if found.first is not None and found.last is not None:
        for other in reader.overlapping(dag_id, found.first, found.last):
            raise conflict(reader, other, other.first or 0, other.last or 0)
    return found


def _require_history(ctx: AppContext) -> None:
    from backfill_cli.app.audit import verify

    verdict = verify(ctx)
    if verdict.findings:
        raise AuditError(
            f"the history does not verify: {verdict.finding}",
            hint="see: bfill audit verify; nothing is pruned before that is understood",
            code="history-broken",
        )


def _remove(
    ctx: AppContext, writer: Writer, dag_id: str | None, before: int, older_than: str, reason: str | None
) -> tuple[list[Pruned], str]:
    from backfill_cli.app.attesting import reattest
    from backfill_cli.app.trail import record
    from backfill_cli.store import pruning

    removed = []
    head = head_text(writer.audit_head())
    for one in _dags(writer, dag_id):
        found = _find(writer, one, before)
        removed.append(found)
        if found.first is None or found.last is None:
            continue
        digest = pruning.remove(writer, one, before)
        details = {
            "dag_id": one,
            "older_than": older_than,
            "before": iso_us(before),
            "range": [iso(found.first), iso(found.last)],
            **{name: number for name, number in found.counts().items() if name != "logs"},
            "removed_digest": digest,
            **reattest(writer, one, found.first, found.last),
        }
        head = record(ctx, writer, "prune", one, outcome="removed", reason=reason, details=details)
    return removed, head


def _count_logs(store: Store, found: Sequence[Pruned], before: int) -> None:
    from backfill_cli.app.old_logs import old_logs

    for one in found:
        one.logs = sum(1 for _ in old_logs(store, one.dag_id, before))


def _remove_logs(store: Store, removed: Sequence[Pruned], before: int) -> None:
    from backfill_cli.app.old_logs import old_logs, remove_log

    for one in removed:
        one.logs = sum(remove_log(path) for path in old_logs(store, one.dag_id, before))


def _shrink(ctx: AppContext) -> tuple[int | None, tuple[Problem, ...]]:
    from backfill_cli.store.opening import store_path
    from backfill_cli.store.pruning import shrink

    path = store_path(ctx.settings.store)
    if path is None:
        return None, ()
    try:
        return shrink(path), ()
    except StoreError as error:
        what = f"the room that was won is used again, but not given back to the disk: {error.message}"
        return None, (Problem("not-shrunk", what, error.hint),)


def _ask(found: Sequence[Pruned], before: int, confirm: Confirm | None) -> None:
    total = PruneResult("", before, found, True, "").total
    what = (
        f"{total.attempts:,} tries, {total.xcoms:,} XComs and {total.logs:,} logs of {total.dates:,} dates, and "
        f"{total.planned_dates:,} planned dates, of what ended before {iso_us(before)}"
    )
    if confirm is None:
        raise RefusedError(f"this would remove {what}", hint="add --yes to do it, --dry-run to look", code="needs-yes")
    if not confirm(f"Remove {what}?"):
        raise RefusedError("nothing was removed", hint="answer y, or add --yes", code="not-confirmed")


def _next(older_than: str, dag_id: str | None, found: Sequence[Pruned]) -> str:
    if not found:
        return ""
    return f"bfill store prune --older-than {older_than}" + (f" --dag {dag_id}" if dag_id else "") + " --yes"
