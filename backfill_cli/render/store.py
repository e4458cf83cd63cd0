"""The screens of `store check`, `store backup` and `store prune`."""

from __future__ import annotations

from collections.abc import Iterator

from rich.text import Text

from backfill_cli.core.upkeep import BackupResult, CheckResult, PruneResult, Severity
from backfill_cli.render.parts import closing, folded
from backfill_cli.render.run import short_head
from backfill_cli.render.text import Part, columns, line
from backfill_cli.render.theme import BOLD, DIM, WARN, look
from backfill_cli.render.words import count, moment, near_path

_MARKS: dict[Severity, tuple[str, str]] = {
    Severity.DAMAGE: ("✗", "bold red"),
    Severity.HISTORY: ("✗", "bold red"),
    Severity.WARNING: ("!", WARN),
    Severity.NOTE: ("·", DIM),
}
_PARTS = {
    "place": "its place, the disk, SQLite",
    "file": "a bfill store",
    "schema": "tables, columns, indexes, views",
    "pages": "every page of the file",
    "rows": "every row",
    "counters": "counters, against the rows",
    "leftovers": "what dead processes left",
    "history": "the audit chain, and what it attests",
}


def render_check(result: CheckResult, width: int) -> Iterator[Text]:
    """Return what was looked at, what was found, and the verdict."""
    yield line(" ", (near_path(result.location), BOLD), "   ", (_facts(result), DIM))
    rows: list[list[Part]] = []
    for part in result.parts:
        seen = look("success" if part.state == "ok" else "skipped")
        mark = _MARKS[part.worst] if part.worst else (seen.symbol, seen.style)
        rows.append([mark, part.name, (_PARTS.get(part.name, ""), DIM), (part.told or part.state, DIM)])
    yield from columns(rows, indent=2)
    for one in result.findings:
        symbol, style = _MARKS[one.severity]
        yield from folded(one.message, width, first=(f" {symbol} ", style), rest="   ")
        if one.hint:
            yield from folded(one.hint, width, first=("   → ", DIM), rest="     ")
    yield _verdict(result)
    if result.audit_head:
        yield line((" audit head ", DIM), short_head(result.audit_head))


def render_backup(result: BackupResult, width: int) -> Iterator[Text]:
    """Return where the copy is, and the head it ends with."""
    seen = look("success")
    yield line(" ", (f"{seen.symbol} copied", seen.style), f"   {near_path(result.target)}   {_bytes(result.size)}")
    yield line(("   every page of the copy was looked at, and it is on the disk", DIM))
    if result.audit_head:
        yield line((" audit head ", DIM), short_head(result.audit_head))
        verify = f"bfill audit verify --store {near_path(result.target)} --expect-head {result.audit_head}"
        yield line((" check it later: ", DIM), verify)


def render_prune(result: PruneResult, width: int) -> Iterator[Text]:
    """Return what went, or would go, by DAG, and what stays."""
    if not result.pruned:
        yield line(" ", ("nothing to prune", BOLD), f"   nothing that succeeded ended before {moment(result.before)}")
        return
    total = result.total
    what = "would go" if result.dry_run else "removed"
    yield line(" ", (what, BOLD), f"   of what succeeded and ended before {moment(result.before)}")
    lines = [*result.pruned, *([total] if len(result.pruned) > 1 else [])]
    rows: list[list[Part]] = [["", *((one, DIM) for one in ("tries", "XComs", "logs", "planned dates", "of dates"))]]
    rows += [
        [one.dag_id or ("all", BOLD), *(f"{number:,}" for number in (one.attempts, one.xcoms, one.logs)),
         f"{one.planned_dates:,}", (f"{one.dates:,}", DIM)]
        for one in lines
    ]  # fmt: skip
    yield from columns(rows, indent=3)
    yield line(("   the ledger stays: every dag_run, every task's last state, every audit entry", DIM))
    if result.freed is not None:
        yield line((" disk       ", DIM), f"{_bytes(result.freed)} given back")
    if result.audit_head and not result.dry_run:
        yield line((" audit head ", DIM), short_head(result.audit_head))
    yield from closing(result.next_command)


def _verdict(result: CheckResult) -> Text:
    missed = sum(1 for part in result.parts if part.state == "not reached")
    words = {0: "the store is sound", 4: "the store is damaged"}.get(result.exit_code, "the history does not verify")
    seen = look("success" if result.exit_code == 0 else "failed")
    if missed:
        words = "the store cannot be read" if result.exit_code else "the store is empty"
    rest = f"   {count(missed, 'part')} could not be reached" if missed else ""
    return line(" ", (f"{seen.symbol} {words}", seen.style), rest)


def _facts(result: CheckResult) -> str:
    facts = result.facts
    told = [f"schema {facts['schema']}"] if "schema" in facts else []
    if facts.get("bytes"):
        told.append(_bytes(facts["bytes"]))
    told.append(f"SQLite {facts['sqlite']} ({facts['sqlite_from']})")
    return ", ".join(told)


def _bytes(number: int) -> str:
    """Return a size in its largest fitting unit: `128 KiB`."""
    for unit, size in (("GiB", 2**30), ("MiB", 2**20), ("KiB", 2**10)):
        if number >= size:
            return f"{number / size:.1f} {unit}".replace(".0 ", " ")
    return f"{number} B"
