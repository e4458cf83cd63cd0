"""The file beside the store that keeps the heads of the audit chain: `bfill.db.heads`.

Owns the file: made with mode 0600, only ever appended to, never through a symbolic link, and of bounded size. What a
line says, and what it proves, is `core/heads.py`. It is written after the commit, so it can lag behind the chain and
never runs ahead of it; it is not synced, because a line that a power cut takes is a head less, and no false one.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Sequence
from pathlib import Path

from backfill_cli.errors import StoreError
from backfill_cli.store.problems import IO

MOST_BYTES = 256 * 1024
"""Size at which the file is shortened, to some 2,500 lines."""

_KEPT_EACH_END = 500
_FLAGS = os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK
"""Not through a link, not into a task's hands, and without waiting for the other end of a planted pipe."""


class HeadFile:
    """The heads of the store at `path`, in a file beside it."""

    def __init__(self, path: Path) -> None:
        self.path = path.with_name(path.name + ".heads")

    def refuse_other(self) -> None:
        """Raise StoreError when something other than a plain file stands in its place: it would not be written."""
        try:
            mode = self.path.lstat().st_mode
        except OSError:
            return
        if not stat.S_ISREG(mode):
            kind = "a symbolic link" if stat.S_ISLNK(mode) else "no plain file"
            raise StoreError(
                f"the audit heads of the store cannot be kept: {self.path} is {kind}",
                hint=f"look what it is, and move it away: mv '{self.path}' '{self.path}.old'",
                code=IO.code,
            )

    def append(self, lines: Sequence[str]) -> bool:
        """Append lines in one write; whether it could be done. What they are about is committed in any case."""
        try:
            descriptor = os.open(self.path, os.O_RDWR | os.O_APPEND | os.O_CREAT | _FLAGS, 0o600)
        except OSError:
            return False
        try:
            found = os.fstat(descriptor)
            if not stat.S_ISREG(found.st_mode):
                return False
            if not found.st_size:
                os.fchmod(descriptor, 0o600)
            text = "".join(lines).encode()
            if found.st_size and os.pread(descriptor, 1, found.st_size - 1) != b"\n":
                text = b"\n" + text  # half a line, left by a power cut or a full disk
            written = os.write(descriptor, text)
            if found.st_size > MOST_BYTES:
                self._shorten()
            return written == len(text)
        except OSError:
            return False
        finally:
            os.close(descriptor)

    def lines(self) -> list[str] | None:
        """Return its lines; None when there is no such file.

        Raises:
            StoreError: It is there and cannot be read.
        """
        self.refuse_other()
        try:
            descriptor = os.open(self.path, os.O_RDONLY | _FLAGS)
        except FileNotFoundError:
            return None
        except OSError as error:
            raise self._unreadable(error) from error
        try:
            with os.fdopen(descriptor, "rb") as file:
                return file.read(4 * MOST_BYTES).decode("ascii", "replace").split("\n")
        except OSError as error:
            raise self._unreadable(error) from error

    def _shorten(self) -> None:
        """Keep the first lines, which show a chain written anew, and the last, which show a cut tail.

        A line that another process appends meanwhile is lost: a head less, like one of a process that was killed.
        """
        lines = [line for line in self.lines() or () if line]
        if len(lines) <= 2 * _KEPT_EACH_END:
            return
        shorter = self.path.with_name(f"{self.path.name}.{os.getpid()}")
        descriptor = os.open(shorter, os.O_WRONLY | os.O_CREAT | os.O_EXCL | _FLAGS, 0o600)
        try:
            kept = [*lines[:_KEPT_EACH_END], *lines[-_KEPT_EACH_END:]]
            os.write(descriptor, "".join(f"{line}\n" for line in kept).encode())
        finally:
            os.close(descriptor)
        shorter.replace(self.path)

    def _unreadable(self, error: OSError) -> StoreError:
        return StoreError(
            f"{self.path} cannot be read: {error.strerror or error}",
            hint="make it readable for you: it keeps the heads of the audit chain",
            code=IO.code,
        )
