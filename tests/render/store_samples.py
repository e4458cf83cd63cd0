"""Results of `store check`, `store backup` and `store prune`, made up."""

from __future__ import annotations

from backfill_cli.core.problems import Problem
from backfill_cli.core.upkeep import BackupResult, CheckResult, Finding, Part, Pruned, PruneResult, Severity

HEAD = "1042:9f3c81d2e0a4b7c6d5e4f3a2b1c0d9e8f7a6b5c4d3e2f1a0b9c8d7e6f5a4b3c2"
FACTS = {"sqlite": "3.51.3", "sqlite_from": "pysqlite3", "sound_wal": True, "schema": 2, "bytes": 68_157_440}


def check_good() -> CheckResult:
    """Sound, with a note and a warning."""
    note = Finding(
        "dead-owner",
        Severity.NOTE,
        "pid 4711 on etl-2 is gone and still holds dates",
        "nothing to do: the next command that writes gives back what it held",
    )
    mode = Finding(
        "exposed-mode",
        Severity.WARNING,
        "/srv/etl/.bfill/bfill.db has mode 0644: others can look into it",
        "chmod go= /srv/etl/.bfill/bfill.db",
    )
    parts = [
        Part("file", "ok"),
        Part("place", "found", "ext4", Severity.WARNING),
        Part("schema", "ok"),
        Part("pages", "ok"),
        Part("rows", "ok", "1,284,119 rows"),
        Part("counters", "ok"),
        Part("leftovers", "found", "", Severity.NOTE),
        Part("history", "ok", "1,042 entries"),
    ]
    return CheckResult("/srv/etl/.bfill/bfill.db", parts, [mode, note], FACTS, HEAD)


def check_bad() -> CheckResult:
    """A row that no bfill wrote, and an entry that was changed."""
    row = Finding(
        "store-damaged",
        Severity.DAMAGE,
        "the store is damaged: table dag_runs holds a value it cannot have: 'sucess'",
        "restore a backup, or look at it with: bfill store check",
    )
    entry = Finding(
        "entry-changed",
        Severity.HISTORY,
        "entry 17 was changed after it was written",
        "see all of it: bfill audit verify",
    )
    parts = [
        *check_good().parts[:4],
        Part("rows", "found", "88 rows", Severity.DAMAGE),
        *check_good().parts[5:7],
        Part("history", "found", "16 entries", Severity.HISTORY),
    ]
    return CheckResult("/srv/etl/.bfill/bfill.db", parts, [row, entry], FACTS, "16:0a1b2c3d4e5f")


def check_unreadable() -> CheckResult:
    """Another program's file."""
    foreign = Finding(
        "store-not-bfill",
        Severity.DAMAGE,
        "store /srv/etl/notes.db is not a bfill store",
        "name another file with --store",
    )
    parts = [Part("file", "found", "", Severity.DAMAGE), Part("place", "ok", "")]
    parts += [Part(name, "not reached") for name in ("schema", "pages", "rows", "counters", "leftovers", "history")]
    facts = {name: FACTS[name] for name in ("sqlite", "sqlite_from", "sound_wal")}
    return CheckResult("/srv/etl/notes.db", parts, [foreign], facts, "")


def backup() -> BackupResult:
    """A copy of 65 MiB."""
    return BackupResult("/srv/etl/.bfill/bfill.db", "/backups/bfill-2024-04-01.db", 68_157_440, HEAD)


def _pruned() -> list[Pruned]:
    return [
        Pruned("daily_sales", 0, 86_400, 365, 1_512, 1_460, 12, 365, 1_512),
        Pruned("stock", 0, 86_400, 52, 52, 0, 1, 52, 40),
    ]


def prune() -> PruneResult:
    """Two DAGs."""
    return PruneResult("/srv/etl/.bfill/bfill.db", 1_704_067_200_000_000, _pruned(), False, HEAD, 21_233_664)


def prune_dry() -> PruneResult:
    """One DAG, nothing removed; the disk was not asked."""
    location = "/srv/etl/.bfill/bfill.db"
    command = "bfill store prune --older-than 90d --dag daily_sales --yes"
    return PruneResult(location, 1_704_067_200_000_000, _pruned()[:1], True, HEAD, next_command=command)


def prune_nothing() -> PruneResult:
    """Nothing so old, and a remark."""
    remark = (Problem("not-shrunk", "the room that was won is used again", "wait"),)
    return PruneResult("/srv/etl/.bfill/bfill.db", 1_704_067_200_000_000, [], False, HEAD, problems=remark)


SAMPLES = {
    "store-check-good": ("store check", check_good),
    "store-check-bad": ("store check", check_bad),
    "store-check-unreadable": ("store check", check_unreadable),
    "store-backup": ("store backup", backup),
    "store-prune": ("store prune", prune),
    "store-prune-dry": ("store prune", prune_dry),
    "store-prune-nothing": ("store prune", prune_nothing),
}
