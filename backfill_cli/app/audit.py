"""`bfill audit` and `bfill audit verify`: the chain of who did what, read and checked."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping

from backfill_cli.app.context import AppContext
from backfill_cli.core.auditing import AttemptsDigest, check_chain, head_text
from backfill_cli.core.audits import AuditResult, AuditVerdict
from backfill_cli.core.intervals import Span, merge
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
        return store.read(lambda reader: verdict_of(reader, expect_head))


def verdict_of(reader: Reader, expect_head: str | None = None) -> AuditVerdict:
    """Return whether the chain of this snapshot holds, the attempts it closed included."""
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
    row, finding = _attempts_finding(reader, closings)
    return AuditVerdict(checked, text, len(closings), None if row is None else row.seq, finding)


def _expected(reader: Reader, expect_head: str) -> str:
    seq_text, _, digest = expect_head.partition(":")
    if not seq_text.isdigit() or not digest:
        return f"'{expect_head}' is not a head; one looks like 1042:9f3c81d2"
    found = next(iter(reader.audit(after=int(seq_text) - 1, limit=1)), None)
    if found is None or found.seq != int(seq_text):
        return f"entry {seq_text} is missing: the chain ends before the head that was kept"
    return "" if found.hash.startswith(digest) else f"entry {seq_text} is not the one that was kept"


def _attempts_finding(reader: Reader, closings: Mapping[str, AuditRow]) -> tuple[AuditRow | None, str]:
    """Return the first closing entry whose attempts are not those it closed, and what is wrong with it."""
    digests: dict[str, AttemptsDigest] = {}
    covered: dict[str, list[Span]] = defaultdict(list)
    for row in closings.values():
        backfill = reader.backfill(row.target)
        if backfill is None:
            return row, f"entry {row.seq} closes {row.target}, which is not in the store"
        if backfill.first is not None and backfill.last is not None:
            digests[row.target] = AttemptsDigest()
            covered[backfill.dag_id].append(Span(backfill.first, backfill.last + 1))
    # Each attempt is read once, however many backfills went over its date.
    for dag_id, spans in covered.items():
        for span in merge(spans):
            for attempt in reader.attempts(dag_id, span.start, span.end - 1):
                digest = digests.get(attempt.backfill_id or "")
                if digest is not None:
                    digest.add(attempt)
    for backfill_id, digest in digests.items():
        row = closings[backfill_id]
        if any(row.details.get(key) != value for key, value in digest.details().items()):
            return row, f"the attempts of {backfill_id} are not those that entry {row.seq} closed"
    return None, ""
