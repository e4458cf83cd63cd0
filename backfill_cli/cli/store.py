"""`bfill store check`, `bfill store backup` and `bfill store prune`."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated

import typer

from backfill_cli.cli import streams
from backfill_cli.cli.bundles import spread
from backfill_cli.cli.groups import group
from backfill_cli.cli.help import Command
from backfill_cli.cli.output import Output
from backfill_cli.cli.shared import Looking, Shared

_PRUNE_EXAMPLES = """
bfill store prune --older-than 90d --dry-run
bfill store prune --older-than 90d --yes --reason "retention policy"
"""
_EXAMPLES = f"""
bfill store check
bfill store backup /backups/bfill-2024-04-01.db{_PRUNE_EXAMPLES}"""

_QUIET_S = 2.0
_EVERY_S = 0.2


@dataclass(frozen=True, slots=True)
class Keeping(Shared):
    """The shared options of commands that know no DAG: a conf cannot matter to them, and is accepted."""

    conf: Annotated[list[str] | None, typer.Option("--conf", hidden=True)] = None


app = group("The file where state lives: is it sound, a copy of it, and what of it may go.", _EXAMPLES)


@app.command(
    "check",
    cls=Command,
    short_help="Everything that can be asked of the store.",
    help="Look at all of the store and change nothing: pages, schema, every row, counters, history, leftovers, file"
    " modes, file system, SQLite. Exit 4 when it is damaged, 6 when only its history does not verify.",
    epilog="bfill store check\nbfill store check --store /backups/bfill-2024-04-01.db --json",
)
@spread
def check(*, shared: Looking) -> int:
    """Check, and say how far it came."""
    from backfill_cli.cli.service import service_for

    result = service_for(shared).store_check(tell=_teller(shared))
    return Output("store check", shared).result(result)


@app.command(
    "backup",
    cls=Command,
    short_help="A verified copy, made while others write.",
    help="Copy the store to FILE (0600) as it is at this instant, whoever is writing; look at every page of the copy,"
    " and sync it. The audit heads go to FILE.heads.",
    epilog="bfill store backup /backups/bfill-2024-04-01.db\nbfill store backup latest.db --yes",
)
@spread
def backup(
    target: Annotated[str, typer.Argument(metavar="FILE", help="Where to; an existing file only with --yes.")],
    *,
    shared: Keeping,
) -> int:
    """Copy."""
    from backfill_cli.cli.asking import confirmer
    from backfill_cli.cli.service import service_for

    result = service_for(shared).store_backup(target, yes=shared.yes, confirm=confirmer(shared))
    return Output("store backup", shared).result(result)


@app.command(
    "prune",
    cls=Command,
    short_help="Remove tries, XComs and logs of what succeeded long ago.",
    help="Remove tries, XComs, logs and planned dates of what succeeded and ended longer ago than AGE. The ledger"
    " stays: run still knows what is done. Failed dates keep everything until they are repaired. Asks first.",
    epilog=_PRUNE_EXAMPLES,
)
@spread
def prune(
    older_than: Annotated[
        str | None, typer.Option("--older-than", metavar="AGE|DATE", help="90d, 12w, 48h, or ended before 2024-01-31.")
    ] = None,
    dag: Annotated[str | None, typer.Option("--dag", metavar="DAG", help="Of this dag_id alone.")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would go; remove nothing.")] = False,
    *,
    shared: Keeping,
) -> int:
    """Remove, after asking."""
    from backfill_cli.cli.asking import confirmer
    from backfill_cli.cli.service import service_for
    from backfill_cli.errors import UsageProblem

    if older_than is None:
        raise UsageProblem(
            "bfill store prune needs --older-than", hint="say how old: --older-than 90d", code="missing-argument"
        )
    result = service_for(shared).store_prune(
        older_than, dag_id=dag, dry_run=dry_run, yes=shared.yes, reason=shared.reason, confirm=confirmer(shared)
    )
    return Output("store prune", shared).result(result)


def _teller(shared: Shared) -> Callable[[str, int], None] | None:
    """Return what shows how far a check is, on a terminal and once it takes long; None where nobody would see it."""
    if shared.quiet or shared.json or not streams.is_terminal(sys.stderr):
        return None
    started = shown = time.monotonic()

    def tell(what: str, seen: int) -> None:
        nonlocal shown
        now = time.monotonic()
        if now - started > _QUIET_S and now - shown > _EVERY_S:
            shown = now
            streams.write_quietly(sys.stderr, f"\r\x1b[Kchecking {what}" + (f" {seen:,}" if seen else "") + " …\r")

    return tell
