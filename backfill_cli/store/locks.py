"""Proof of life: a kernel lock per coordinating process, held for as long as it lives.

Owns `<store folder>/locks/<owner>.lock`. The kernel drops a `flock` when the last descriptor of the process that took
it is closed, however it died; clocks and process ids, which jump and are used again, decide nothing. The lock is never
taken on the store file itself: closing any descriptor of that file would drop SQLite's own POSIX locks on it.

A process on another host cannot be asked; it counts as alive, and its operator is named in the conflict.
"""

from __future__ import annotations

import fcntl
import os
import re
from pathlib import Path

from backfill_cli.errors import StoreError
from backfill_cli.store.problems import IO, one_line, problem

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")


class OwnerLocks:
    """The locks of one store. Without a folder (a store in memory) this process is all there is."""

    def __init__(self, folder: Path | None) -> None:
        self._folder = folder
        self._held: dict[str, int] = {}

    def hold(self, owner: str) -> None:
        """Take the lock of an owner id that nobody used before.

        Raises:
            StoreError: The lock file cannot be made, or the file system knows no locks.
        """
        if owner in self._held:
            return
        if self._folder is None:
            self._held[owner] = -1
            return
        path = self._path(owner)
        try:
            make_private_folder(self._folder)
            # O_NOFOLLOW: a planted symbolic link must not lead to a file elsewhere.
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
            try:
                os.fchmod(descriptor, 0o600)
                # May wait for a moment while a neighbour's probe holds the shared lock.
                fcntl.flock(descriptor, fcntl.LOCK_EX)
            except BaseException:
                os.close(descriptor)
                raise
        except OSError as error:
            raise problem(IO, str(path), error.strerror or str(error)) from error
        self._held[owner] = descriptor

    def release(self, owner: str) -> None:
        """Give the lock back and remove its file; nothing happens when it is not held."""
        descriptor = self._held.pop(owner, None)
        if descriptor is None or descriptor < 0:
            return
        # Unlinked while still held: whoever opens it between the two would see a lock nobody answers for.
        self._path(owner).unlink(missing_ok=True)
        os.close(descriptor)

    def release_all(self) -> None:
        """Give every lock back; for closing the store."""
        for owner in tuple(self._held):
            self.release(owner)

    def is_alive(self, owner: str, host: str) -> bool:
        """Return whether the process behind an owner id lives, as the kernel knows it."""
        if owner in self._held:
            return True
        import socket  # no other command asks who lives

        if host != socket.gethostname():
            return True
        if self._folder is None or not _NAME.fullmatch(owner):
            return False
        try:
            descriptor = os.open(self._path(owner), os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK)
        except FileNotFoundError:
            return False
        except OSError as error:
            raise problem(IO, str(self._path(owner)), error.strerror or str(error)) from error
        try:
            # Shared: two processes that ask at once must not take each other for the owner.
            fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        finally:
            os.close(descriptor)
        return False

    def _path(self, owner: str) -> Path:
        if self._folder is None or not _NAME.fullmatch(owner):
            raise StoreError(f"'{one_line(owner)}' cannot name a lock file", hint="owner ids are letters, digits and -")
        return self._folder / f"{owner}.lock"


def make_private_folder(folder: Path) -> None:
    """Make a folder and those above it that only this user can enter, whatever the umask; existing ones stay."""
    if folder.is_dir() and not folder.is_symlink():
        return
    if not folder.parent.is_dir():
        make_private_folder(folder.parent)
    try:
        folder.mkdir(0o700)
    except FileExistsError:
        if folder.is_symlink() or not folder.is_dir():
            raise
    else:
        folder.chmod(0o700)
