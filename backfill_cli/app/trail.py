"""Writing the audit trail: one entry, in the transaction of the change it records.

Owns the way from a use case to the next entry of the chain (`core/auditing.py` says what an entry holds).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from backfill_cli.app.actor import host_name, mask_conf, origin, user_name
from backfill_cli.app.context import AppContext
from backfill_cli.core.auditing import canonical, head_text, next_entry
from backfill_cli.core.masking import SECRETS
from backfill_cli.core.options import BackfillOptions
from backfill_cli.core.ports import Writer


class Asker(NamedTuple):
    """Who asked for what this process does: somebody at another terminal, perhaps on another host.

    Args:
        origin: Where the request came from, as `actor.origin` says it there.
    """

    actor: str
    host: str
    origin: Mapping[str, Any]


def record(
    ctx: AppContext,
    writer: Writer,
    action: str,
    target: str,
    *,
    outcome: str,
    reason: str | None = None,
    details: Mapping[str, Any],
    proof: Mapping[str, Any] | None = None,
    by: Asker | None = None,
) -> str:
    """Append an entry and return the chain's new head as text. Secrets do not get in, whatever was typed.

    Args:
        proof: Digests from `attesting.py`, which join the details as they are.
        by: Who asked, where that is not this process.
    """
    by = by or Asker(user_name(ctx.environ), host_name(), origin(ctx.environ, ctx.command))
    entry = next_entry(
        writer.audit_head(),
        at=ctx.clock.now_us(),
        actor=by.actor,
        host=by.host,
        action=action,
        target=target,
        reason=None if reason is None else SECRETS.text(reason),
        outcome=outcome,
        details={**SECRETS.value({**by.origin, **details}), **(proof or {})},
    )
    writer.add_audit(entry)
    return head_text((entry.seq, entry.hash))


def command_of(options: BackfillOptions) -> str:
    """Return the command that runs these options: the action of its entries."""
    if options.scheduled:
        return "scheduler"
    return "rerun-failed" if options.rerun_failed else "run"


def conf_details(conf: Mapping[str, Any] | None) -> dict[str, Any]:
    """Return what an entry says of a conf: the keys with secrets masked, and a digest of the whole."""
    if not conf:
        return {}
    from hashlib import sha256

    return {"conf": mask_conf(conf), "conf_digest": sha256(canonical(mask_conf(conf)).encode()).hexdigest()[:16]}
