"""`bfill audit` and `bfill audit verify`: the chain of who did what, read and checked."""

from __future__ import annotations

from backfill_cli.app.context import AppContext
from backfill_cli.core.auditing import attempts_digest, check_chain, head_text
from backfill_cli.core.audits import AuditResult, AuditVerdict
from backfill_cli.core.ports import Reader
from backfill_cli.core.ranges import When
from backfill_cli.core.records import AuditRow
from backfill_cli.core.when import first_second, last_second
from backfill_cli.core.zones import clock_of


def audit(
    ctx: AppContext,
    *,
    actor: str | None = None,
    action: str | None = None,
    target: str | None = None,
    since: When | None = None,
    until: When | None = None,
    limit: int | None = None,
) -> AuditResult:
    """Return the entries that match, oldest first; with a limit the latest so many.

    Args:
        actor, action: Whole words.
        target: A backfill id or a dag_id.
        since, until: Both included; a date is the whole day, a naive instant wall time, in the settings' zone.
    """
    clock = clock_of(ctx.settings.timezone)
    low = None if since is None else first_second(since, clock) * 1_000_000
    high = None if until is None else last_second(until, clock) * 1_000_000 + 999_999

    def read(reader: Reader) -> AuditResult:
        rows = list(reader.audit(actor=actor, action=action, target=target, since=low, until=high))
        chosen = rows if limit is None else rows[max(0, len(rows) - limit) :]
        return AuditResult(chosen, head_text(reader.audit_head()))

    with ctx.store(write=False) as store:
        return store.read(read)


def verify(ctx: AppContext, *, expect_head: str | None = None) -> AuditVerdict:
    """Check the chain from its first entry, and the attempts of every closed backfill against their digest.

    Args:
        expect_head: `seq:hash` somebody kept; the chain must contain it. A shorter hash is compared as far as it goes.
    """
    with ctx.store(write=False) as store:
        return store.read(lambda reader: _verify(reader, expect_head))


def _verify(reader: Reader, expect_head: str | None) -> AuditVerdict:
    checked, bad, finding, head = check_chain(reader.audit())
    text = head_text(head)
    if bad is not None:
        return AuditVerdict(checked, text, 0, bad.seq, finding)
    if expect_head is not None:
        finding = _expected(reader, expect_head)
        if finding:
            return AuditVerdict(checked, text, 0, None, finding)
    # A resumed backfill is closed more than once; the last digest covers all of its attempts.
    closings = {row.target: row for row in reader.audit() if "attempts_digest" in row.details}
    for row in closings.values():
        finding = _attempts_finding(reader, row)
        if finding:
            return AuditVerdict(checked, text, len(closings), row.seq, finding)
    return AuditVerdict(checked, text, len(closings))


def _expected(reader: Reader, expect_head: str) -> str:
    seq_text, _, digest = expect_head.partition(":")
    if not seq_text.isdigit() or not digest:
        return f"'{expect_head}' is not a head; one looks like 1042:9f3c81d2"
    found = next(iter(reader.audit(after=int(seq_text) - 1, limit=1)), None)
    if found is None or found.seq != int(seq_text):
        return f"entry {seq_text} is missing: the chain ends before the head that was kept"
    return "" if found.hash.startswith(digest) else f"entry {seq_text} is not the one that was kept"


def _attempts_finding(reader: Reader, row: AuditRow) -> str:
    backfill = reader.backfill(row.target)
    if backfill is None:
        return f"entry {row.seq} closes {row.target}, which is not in the store"
    if backfill.first is None or backfill.last is None:
        return ""
    now = attempts_digest(reader.attempts(backfill.dag_id, backfill.first, backfill.last, backfill_id=row.target))
    same = all(row.details.get(key) == value for key, value in now.items())
    return "" if same else f"the attempts of {row.target} are not those that entry {row.seq} closed"
