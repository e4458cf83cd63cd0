"""Proof of life: a kernel lock per coordinating process, held for as long as it lives, and one for its children.

Owns `<store folder>/locks/<owner>.lock` and `<owner>.children`. The kernel drops a `flock` when the last descriptor of
the open file that took it is closed, however its process died; clocks and process ids, which jump and are used again,
decide nothing. The first lock stays in the process. The descriptor of the second is handed to every child, so that it
is held for as long as the process or anything it has started lives: after a kill the next command knows of orphans
(`engine/orphans.py`). No lock is taken on the store file itself: closing any descriptor of that file would drop
SQLite's own POSIX locks on it.

A process on another host cannot be asked; it counts as alive, and its operator is named in the conflict.
"""

from __future__ import annotations

import errno
import fcntl
import os
import re
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple
from weakref import WeakSet

from backfill_cli.errors import StoreError
from backfill_cli.store.problems import one_line, refused

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")


class _Held(NamedTuple):
    """The descriptors of one owner's locks; -1 where there are no files."""

    own: int
    children: int


class OwnerLocks:
    """The locks of one store. Without a folder (a store in memory) this process is all there is."""

    def __init__(self, folder: Path | None) -> None:
        self._folder = folder
        self._held: dict[str, _Held] = {}
        _all.add(self)

    def hold(self, owner: str) -> None:
        """Take the locks of an owner id that nobody used before.

        Raises:
            StoreError: A lock file cannot be made, or the file system knows no locks.
        """
        if owner in self._held:
            return
        if self._folder is None:
            self._held[owner] = _Held(-1, -1)
            return
        path = self._path(owner)
        try:
            make_private_folder(self._folder)
            _sweep(self._folder)
            own = _take(path)
            try:
                children = _take(self._children(owner))
                os.write(children, f"{os.getpid()} {os.getpgrp()} {os.getsid(0)}\n".encode())
                # Inherited also by what a task starts on its own (os.system, fork), where nobody passes it on.
                os.set_inheritable(children, True)
            except BaseException:
                os.close(own)
                raise
        except OSError as error:
            raise refused(error, str(self._folder.parent)) from error
        self._held[owner] = _Held(own, children)

    def heirloom(self, owner: str) -> int | None:
        """Return the descriptor that every child of a held owner is to inherit; None where there is no file."""
        held = self._held.get(owner)
        return None if held is None or held.children < 0 else held.children

    def children_path(self, owner: str) -> Path | None:
        """Return the file whose lock an owner's children inherit; None where there can be none."""
        return None if self._folder is None or not _NAME.fullmatch(owner) else self._children(owner)

    def has_children(self, owner: str) -> bool:
        """Return whether a process or anything it has started lives, as the kernel knows it."""
        path = self.children_path(owner)
        return path is not None and is_locked(path)

    def release(self, owner: str) -> None:
        """Give the locks back and remove their files; nothing happens when they are not held."""
        held = self._held.pop(owner, None)
        if held is None or held.own < 0:
            return
        # Unlinked while still held: whoever opens it between the two would see a lock nobody answers for.
        self._remove(owner)
        os.close(held.own)
        os.close(held.children)

    def forget(self, owner: str) -> None:
        """Remove the files of a dead owner that has been recovered: nobody asks for it again."""
        if self._folder is not None and owner not in self._held and _NAME.fullmatch(owner):
            self._remove(owner)

    def _remove(self, owner: str) -> None:
        for path in (self._path(owner), self._children(owner)):
            with suppress(OSError):  # a disk that failed meanwhile; a file that stays says nothing once nobody holds it
                path.unlink(missing_ok=True)

    def after_fork(self) -> None:
        """In a forked child: it is not the owner, and must not keep it alive; that it lives, the other lock says."""
        held, self._held = self._held, {}
        for one in held.values():
            if one.own >= 0:
                os.close(one.own)

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
        return is_locked(self._path(owner))

    def _path(self, owner: str) -> Path:
        if self._folder is None or not _NAME.fullmatch(owner):
            raise StoreError(f"'{one_line(owner)}' cannot name a lock file", hint="owner ids are letters, digits and -")
        return self._folder / f"{owner}.lock"

    def _children(self, owner: str) -> Path:
        return self._path(owner).with_suffix(".children")


_all: WeakSet[OwnerLocks] = WeakSet()


def _after_fork() -> None:
    for one in list(_all):
        one.after_fork()


os.register_at_fork(after_in_child=_after_fork)


def is_locked(path: Path) -> bool:
    """Return whether somebody holds a lock file. Raises StoreError when it cannot be asked."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK)
    except FileNotFoundError:
        return False
    except OSError as error:
        raise refused(error, str(path)) from error
    try:
        # Shared: two processes that ask at once must not take each other for the owner.
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)
    return False


def _take(path: Path) -> int:
    """Make a lock file, lock it, and return its descriptor."""
    while True:
        # O_NOFOLLOW: a planted symbolic link must not lead to a file elsewhere.
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        try:
            os.fchmod(descriptor, 0o600)
            # May wait for a moment while a neighbour's probe holds the shared lock.
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            if _is_at(path, descriptor):
                return descriptor
        except BaseException:
            os.close(descriptor)
            raise
        # Swept away between the two calls: a lock on a file without a name proves nothing to anybody.
        os.close(descriptor)


def _sweep(folder: Path) -> None:
    """Remove what nobody holds: a process killed before it was an owner, or when it was none any more, left it.

    A file is removed only under its own lock, so that whoever is about to take that lock sees it go (`_take`). Of a
    dead owner that is not recovered yet a missing file says the same as an unlocked one.
    """
    for path in folder.iterdir():
        with suppress(OSError):  # held, or somebody else's: rubbish that stays is no reason to fail
            descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK)
            try:
                # Shared, as who asks takes it: an exclusive one would look like a living owner for a moment.
                fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
                if path.suffix in (".lock", ".children") and _is_at(path, descriptor):
                    path.unlink()
            finally:
                os.close(descriptor)


def _is_at(path: Path, descriptor: int) -> bool:
    """Return whether an open file is still the one of that name."""
    try:
        return os.path.samestat(path.lstat(), os.fstat(descriptor))
    except FileNotFoundError:
        return False


def make_private_folder(folder: Path) -> None:
    """Make a folder and those above it that only this user can enter, whatever the umask; existing ones stay.

    Their names are on the disk when this returns: a store is no safer from a power cut than the folder it is in.
    """
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
        sync_folder(folder.parent)


def sync_folder(folder: Path) -> None:
    """Wait until the names in a folder are on the disk; an fsync of a file does not keep its name (fsync(2))."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.ENOTSUP):  # a file system that knows no such thing
            raise
    finally:
        os.close(descriptor)
