"""`bfill store backup FILE`: a copy of the store at one instant, made while others write.

Owns what a backup is: everything that was committed at that instant, looked at after it was copied, on the disk before
anybody is told, and the audit heads beside it. The source is only read, and gets no audit entry: a backup changes
nothing that the chain is about, and an entry would make every backup older than its store.
"""

from __future__ import annotations

import errno
from collections.abc import Callable, Sequence
from pathlib import Path

from backfill_cli.app.context import AppContext
from backfill_cli.core.auditing import head_text
from backfill_cli.core.problems import Problem
from backfill_cli.core.upkeep import BackupResult
from backfill_cli.errors import RefusedError, StoreError, UsageProblem

Confirm = Callable[[str], bool]


def backup(ctx: AppContext, target: Path, *, yes: bool = False, confirm: Confirm | None = None) -> BackupResult:
    """Copy the store to a file (0600), and the file of its audit heads to `FILE.heads`.

    Args:
        yes: Replace a file that stands there; else `confirm` is asked, and without it the backup is refused.

    Raises:
        UsageProblem: The target is no place for a file, or is the store itself.
        RefusedError: There is a file, and nobody said yes.
        StoreError: The store cannot be read to its end, or the copy cannot be written; no copy is left then.
    """
    from backfill_cli.store import engines
    from backfill_cli.store.copying import back_up
    from backfill_cli.store.opening import is_store_file, store_path
    from backfill_cli.store.problems import FULL, IO, problem, translate

    source = store_path(ctx.settings.store)
    if source is None or not is_store_file(source):
        raise StoreError(f"there is no store at {ctx.settings.store}", hint="name it with --store", code="no-store")
    target = target.expanduser().absolute()
    _refuse(source, target)
    if target.exists() and not yes:
        _ask(target, confirm)
    try:
        made = back_up(source, target)
    except engines.driver_errors() as error:
        raise translate(error, str(source)) from error
    except OSError as error:
        kind = FULL if error.errno in (errno.ENOSPC, errno.EDQUOT) else IO
        raise problem(kind, str(target), error.strerror or str(error)) from error
    return BackupResult(str(source), str(target), made.size, head_text(made.head), _problems(made.has_heads))


def _refuse(source: Path, target: Path) -> None:
    if target.resolve().parent == source.resolve().parent and target.name.startswith(source.name):
        for end in ("", "-wal", "-shm", "-journal", ".heads"):
            if target.name == source.name + end:
                raise UsageProblem(f"{target} is the store", hint="name another file", code="bad-target")
    if not target.parent.is_dir():
        hint = f"mkdir -p {target.parent}"
        raise UsageProblem(f"{target}: there is no folder {target.parent}", hint=hint, code="no-folder")
    if target.is_symlink() or (target.exists() and not target.is_file()):
        raise UsageProblem(f"{target} is no plain file", hint="name another file", code="bad-target")


def _ask(target: Path, confirm: Confirm | None) -> None:
    if confirm is None:
        raise RefusedError(f"{target} exists", hint="add --yes to replace it, or name another file", code="needs-yes")
    if not confirm(f"Replace {target}?"):
        raise RefusedError("nothing was copied", hint="answer y, or name another file", code="not-confirmed")


def _problems(has_heads: bool) -> Sequence[Problem]:
    if has_heads:
        return ()
    what = "the store has no file of audit heads, so neither has the backup: a chain written anew would not show"
    return (Problem("no-heads", what, "keep the head that is printed here: bfill audit verify --expect-head"),)
