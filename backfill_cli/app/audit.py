"""`bfill audit` and `bfill audit verify`: the chain of who did what, read and checked."""

from __future__ import annotations

from backfill_cli.app.context import AppContext
from backfill_cli.app.proving import verdict_of
from backfill_cli.core.auditing import head_text
from backfill_cli.core.audits import AuditResult, AuditVerdict
from backfill_cli.core.heads import Head, parse_head
from backfill_cli.core.ports import Reader
from backfill_cli.core.ranges import When
from backfill_cli.core.when import first_second, last_second
from backfill_cli.core.zones import clock_of
from backfill_cli.errors import UsageProblem


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
    """Check the chain from its first entry, the heads kept of it, and history against the digests in it.

    Args:
        expect_head: `seq:hash` somebody kept; the chain must contain it. A shorter hash is compared as far as it goes.

    Raises:
        UsageProblem: `expect_head` is no head.
    """
    expected = None if expect_head is None else _expected(expect_head)
    with ctx.store(write=False) as store:
        kept = store.kept_heads()
        return store.read(lambda reader: verdict_of(reader, kept, expected))


def _expected(text: str) -> Head:
    head = parse_head(text)
    if head is None:
        raise UsageProblem(
            f"--expect-head '{text}' is not a head",
            hint="give the number of the entry and at least 8 digits of its hash: --expect-head 1042:9f3c81d2",
            code="bad-head",
        )
    return head
