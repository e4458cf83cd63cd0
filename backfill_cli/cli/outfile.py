"""A file that a command leaves behind: private, whole or not at all, and never where a link leads.

Owns `refuse_target`, asked before the work is done, and `private_file`. A report tells who did what on which host: it
is for the one who asked for it, 0600 whatever the umask.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from backfill_cli.errors import UsageProblem


def refuse_target(flag: str, path: Path, *, streams_too: bool = False) -> int | None:
    """Raise UsageProblem unless a plain file can stand there; returns the mode of what does, None when nothing does.

    Args:
        streams_too: A pipe or a device will do as well, as it does for what is written while it happens.
    """
    if not path.parent.is_dir():
        raise UsageProblem(
            f"{flag} {path}: there is no folder {path.parent}", hint=f"mkdir -p {path.parent}", code="no-folder"
        )
    try:
        mode = path.lstat().st_mode
    except FileNotFoundError:
        return None
    except OSError as error:
        raise UsageProblem(f"{flag} {path}: {error.strerror}", hint="check the path and its permissions") from error
    is_stream = not (stat.S_ISREG(mode) or stat.S_ISLNK(mode) or stat.S_ISDIR(mode))
    if not stat.S_ISREG(mode) and not (streams_too and is_stream):
        kinds = {stat.S_IFLNK: "a symbolic link", stat.S_IFDIR: "a folder"}
        kind = kinds.get(stat.S_IFMT(mode), "a device, a pipe or a socket")
        raise UsageProblem(
            f"{flag} {path} is {kind}; only a plain file is replaced",
            hint=f"name another file, or write to standard output: {flag} -",
            code="bad-target",
        )
    return mode


def refuse_store(flag: str, path: Path, store: str) -> None:
    """Raise UsageProblem when the path is the store or one of the files SQLite keeps beside it."""
    kept = Path(os.path.realpath(store))
    asked = Path(os.path.realpath(path))
    if asked.parent == kept.parent and asked.name.removesuffix("-wal").removesuffix("-shm") == kept.name:
        raise UsageProblem(f"{flag} {path} is the store", hint="name another file", code="bad-target")


@contextmanager
def private_file(flag: str, path: Path) -> Iterator[IO[str]]:
    """Open a new text file (UTF-8, 0600) beside the path, and put it there in one step when the block ends well.

    Raises:
        UsageProblem: The folder cannot be written.
        OSError: The disk is full or failing; what stood at the path still stands there.
    """
    from tempfile import mkstemp

    try:
        # Made 0600, under a name nobody could have planted a link at.
        descriptor, made = mkstemp(prefix=".bfill-", suffix=".tmp", dir=path.parent)
    except OSError as error:
        raise UsageProblem(
            f"{flag} {path}: {error.strerror}", hint="name a file in a folder you can write", code="bad-target"
        ) from error
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8", newline="") as file:
            os.fchmod(descriptor, 0o600)  # a umask of 777 would leave its owner outside
            yield file
            file.flush()
            os.fsync(file.fileno())
        # Replaces a link that appeared meanwhile, and never follows it.
        Path(made).replace(path)
    except BaseException:
        Path(made).unlink(missing_ok=True)
        raise
