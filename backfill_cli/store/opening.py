"""From a location to an open store.

Owns paths, permissions and what may be opened at all: a file that is no bfill store, a newer one, a link or a folder is
refused before anything is written, as is one with a schema bfill did not make; one of an older schema is copied before
it is migrated. For reading, a store that does not exist is an empty one in memory and is not made; one of an older
schema is copied into memory and brought up to date there.
"""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path

from backfill_cli.errors import StoreError
from backfill_cli.store import engines, migrations
from backfill_cli.store.companions import refuse_foreign_log
from backfill_cli.store.connections import Connection
from backfill_cli.store.locks import make_private_folder, sync_folder
from backfill_cli.store.memory import MemoryStore
from backfill_cli.store.patience import PATIENCE_S, patiently
from backfill_cli.store.problems import FULL, IO, one_line, problem, refused, translate
from backfill_cli.store.sql import SqlStore

MEMORY = ":memory:"


def open_store(location: str, *, write: bool, patience_s: float = PATIENCE_S) -> SqlStore:
    """Return the store at a path or URL (`sqlite:///relative`, `sqlite:////absolute`, `:memory:`).

    Args:
        location: Folders on the way are made when `write` is set: 0700, the file 0600, whatever the umask.
        write: False opens read-only: the file keeps its bytes and its folder its listing.
        patience_s: Seconds that a transaction waits for other processes.

    Raises:
        StoreError: It cannot be opened, is damaged, foreign, newer, or of a kind this bfill does not know.
    """
    path = store_path(location)
    if path is None:
        return memory_store(writable=write)
    shown = str(path)
    try:
        exists = is_store_file(path)
        if write:
            refuse_links(path.parent)
            from backfill_cli.store.heads import HeadFile

            HeadFile(path).refuse_other()
        if write and not exists:
            _create(path)
    except OSError as error:
        raise refused(error, shown) from error
    if not exists and not write:
        return _stand_in(path)
    refuse_foreign_log(path)
    older = patiently(lambda: _prepare(path, write=write), patience_s)
    if older is not None:
        return older

    def connect(for_writing: bool) -> Connection:
        connection = engines.connect(shown, write=for_writing)
        if for_writing:
            engines.raise_journal(connection)
        return connection

    folder = path.parent
    return SqlStore(
        shown,
        folder=folder,
        logs=folder / "logs",
        connect=connect,
        writable=write,
        patience_s=patience_s,
        keeps_heads=True,
    )


def memory_store(*, writable: bool = True, logs: str | Path = "logs") -> MemoryStore:
    """Return an empty store in memory; `logs` is where its log files would go."""
    connection = engines.connect_memory()
    migrations.migrate(connection, MEMORY)
    return MemoryStore(connection, location=MEMORY, logs=Path(logs), writable=writable)


def store_path(location: str) -> Path | None:
    """Return the absolute path of a SQLite location, None for one in memory."""
    if location in (MEMORY, "sqlite://", "sqlite:///:memory:"):
        return None
    scheme, separator, rest = location.partition("://")
    if not separator:
        return Path(location).expanduser().absolute()
    if scheme == "sqlite" and rest.startswith("/") and len(rest) > 1 and "?" not in rest:
        return Path(rest[1:]).absolute()
    if scheme.partition("+")[0] in ("postgresql", "postgres"):
        raise StoreError(
            "a store on PostgreSQL is not supported yet", hint="name a file with --store, such as .bfill/bfill.db"
        )
    # Only the scheme is shown: the rest of a URL may hold a password.
    raise StoreError(
        f"'{one_line(scheme)}://…' is no location of a store", hint="a path, or sqlite:///PATH without parameters"
    )


def is_store_file(path: Path) -> bool:
    """Return whether there is a file to open. Raises StoreError for anything but a plain file."""
    try:
        mode = path.lstat().st_mode
    except FileNotFoundError:
        return False
    if stat.S_ISLNK(mode):
        # Followed, it would let whoever planted it choose the file that is written.
        raise StoreError(
            f"store {path} is a symbolic link", hint=f"name the file itself: --store {path.resolve()}", code=IO.code
        )
    if not stat.S_ISREG(mode):
        raise StoreError(f"store {path} is no plain file", hint="name a file with --store", code=IO.code)
    return True


def refuse_links(folder: Path) -> None:
    """Raise StoreError where a link could lead what is written beside a store to somewhere else.

    The folder itself may be a link that this user or root has made: that is how one moves it to another disk. Inside of
    it everything is bfill's own. Folders above it are whoever's chose the path.
    """
    for path, may_be_mine in ((folder, True), (folder / "logs", False), (folder / "locks", False)):
        try:
            found = path.lstat()
        except FileNotFoundError:
            continue
        is_mine = may_be_mine and found.st_uid in (0, os.geteuid())
        if stat.S_ISLNK(found.st_mode) and not (is_mine and path.is_dir()):
            whose = "" if not may_be_mine else " to nothing" if is_mine else f", made by uid {found.st_uid}"
            raise StoreError(
                f"{path} is a symbolic link{whose}",
                hint=f"remove it; to keep a store elsewhere, name it: --store {path.parent.resolve()}/bfill.db",
                code=IO.code,
            )


def _create(path: Path) -> None:
    """Make an empty file that only this user can read. SQLite gives its companions the same mode."""
    if not (path.parent.is_symlink() and path.parent.is_dir()):
        make_private_folder(path.parent)
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    except FileExistsError:
        # Another process was quicker. Opening the file again here would put SQLite's own locks on it at risk.
        return
    try:
        os.fchmod(descriptor, 0o600)
    finally:
        os.close(descriptor)
    sync_folder(path.parent)


def _prepare(path: Path, *, write: bool) -> MemoryStore | None:
    """Check what the file is, and migrate it if it may be written; return the stand-in for an older one."""
    try:
        connection = engines.connect(str(path), write=write)
        try:
            if not write:
                at_latest = migrations.version(connection, str(path)) == migrations.latest()
                return None if at_latest else _stand_in(path, connection)
            from backfill_cli.store.schema import require

            migrations.migrate(connection, str(path), before=lambda found: _keep_before(path, connection, found))
            require(connection, migrations.latest())
            return None
        finally:
            connection.close()
    except engines.driver_errors() as error:
        raise translate(error, str(path), written_in=path.parent if write else None) from error


def _keep_before(path: Path, connection: Connection, found: int) -> None:
    """Copy a store of an older schema to `NAME.before-N` beside it, N the schema it is about to get.

    Called under the lock of the migration. The copy stays until the next migration makes another.
    """
    import glob

    from backfill_cli.store.copying import copy_store
    from backfill_cli.store.schema import require

    require(connection, found)
    kept = path.with_name(f"{path.name}.before-{migrations.latest()}")
    older = engines.connect(str(path), write=False)
    try:
        copy_store(older, kept)
        for one in path.parent.glob(f"{glob.escape(path.name)}.before-*"):
            if one != kept and one.suffix.removeprefix(".before-").isdecimal():
                one.unlink()
    except OSError as error:
        kind = FULL if error.errno in (errno.ENOSPC, errno.EDQUOT) else IO
        raise problem(kind, str(path), f"no copy before its migration: {error.strerror or error}") from error
    finally:
        older.close()


def _stand_in(path: Path, older: Connection | None = None) -> MemoryStore:
    """Return a read-only store in memory, empty or with the content of one that is not migrated yet."""
    connection = engines.connect_memory()
    if older is not None:
        older.copy_into(connection)
    migrations.migrate(connection, str(path))
    return MemoryStore(connection, location=str(path), logs=path.parent / "logs", writable=False)
