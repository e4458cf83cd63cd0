"""`bfill store check`: everything that can be asked of a store, asked, and how far that came.

Owns the order of the parts and what they come to. A store that cannot be opened at all still gets an answer: what its
place is like, and why it could not be read. Nothing is written, repaired, migrated or made.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from backfill_cli.app.context import AppContext
from backfill_cli.core.upkeep import CheckResult, Finding, Part, Severity
from backfill_cli.errors import BfillError, StoreError

if TYPE_CHECKING:
    from backfill_cli.store.checking import Look, Tell

_ROOM = 64 * 2**20
"""Bytes below which a store is said to have little room, or its own size if that is more: what VACUUM takes."""

_INSIDE = ("schema", "pages", "rows", "counters", "leftovers")
"""What takes an open store, in order; functions of `store/checking.py`."""

_NO_STORE = frozenset({"no-store", "store-not-bfill", "store-io"})

OK, FOUND, NOT_REACHED = "ok", "found", "not reached"


class _Check:
    """A check under way."""

    def __init__(self, ctx: AppContext, location: str, path: Path | None, tell: Tell) -> None:
        self._ctx = ctx
        self._location = location
        self._path = path
        self._tell = tell
        self.parts: list[Part] = []
        self.findings: list[Finding] = []
        self.facts: dict[str, Any] = {}
        self.head = ""

    def run(self) -> CheckResult:
        """Run every part that can be reached."""
        with ExitStack() as open_ones:
            look = self._open(open_ones)
            self._part("place", self._place, lambda: str(self.facts.get("file_system") or ""))
            if look is not None:
                self._inside(look)
                self._history()
            else:
                self.parts += [Part(name, NOT_REACHED) for name in (*_INSIDE, "history")]
        return CheckResult(self._location, self.parts, self.findings, self.facts, self.head)

    def _part(self, name: str, what: Callable[[], Iterator[Finding]], told: Callable[[], str]) -> None:
        self._found(name, list(what()), told)

    def _found(self, name: str, found: Sequence[Finding], told: Callable[[], str] = str) -> None:
        """Note what a part has found; `told` says afterwards what it looked at."""
        self.findings += found
        worst = min((one.severity for one in found), key=list(Severity).index, default=None)
        self.parts.append(Part(name, FOUND if found else OK, told(), worst))

    def _place(self) -> Iterator[Finding]:
        """The file system, the room on it, the library, and who else could reach what lies there."""
        from backfill_cli.store import places

        yield from self._library()
        # Of a file that is another program's, or of none, it is nobody's business here who may read it.
        if self._path is None or any(one.code in _NO_STORE for one in self.findings):
            return
        yield from _exposed(places.exposed(self._path))
        disk = places.file_system(self._path.parent)
        self.facts["file_system"] = disk.kind or "unknown"
        if disk.is_network:
            what = f"the store lies on {disk.kind} ({disk.mount}), where locks and logs of SQLite are not safe"
            yield Finding(
                "network-file-system", Severity.WARNING, what, "move it to a disk of this machine: --store PATH"
            )
        free = places.free_bytes(self._path.parent)
        size = self._path.stat().st_size if self._path.is_file() else 0
        self.facts |= {"bytes": size, "free_bytes": free}
        if free is not None and free < max(_ROOM, size):
            what = f"{free:,} bytes are free on its disk, and the store has {size:,}"
            yield Finding(
                "little-room", Severity.WARNING, what, "free some space, or: bfill store prune --older-than 90d"
            )

    def _library(self) -> Iterator[Finding]:
        from backfill_cli.store import engines

        module = engines.driver()
        version = module.sqlite_version
        sound = engines.has_sound_wal(module.sqlite_version_info)
        self.facts |= {"sqlite": version, "sqlite_from": module.__name__.partition(".")[0], "sound_wal": sound}
        if not sound:
            what = f"SQLite {version} can damage a store with a write-ahead log (the WAL-reset bug); bfill does without"
            yield Finding(
                "sqlite-wal-reset", Severity.WARNING, what, "pip install pysqlite3, or a Python with SQLite 3.51.3"
            )

    def _open(self, open_ones: ExitStack) -> Look | None:
        from backfill_cli.store.checking import Look, damage
        from backfill_cli.store.copying import copied, is_unfinished
        from backfill_cli.store.opening import is_store_file
        from backfill_cli.store.problems import IO, problem

        found: list[Finding] = []
        look = None
        try:
            if self._path is None:
                raise StoreError(
                    "a store in memory cannot be checked", hint="name a file: --store PATH", code="no-store"
                )
            if not is_store_file(self._path):
                hint = "it is made by the first plan or run; or name another: --store PATH"
                raise StoreError(f"there is no store at {self._path}", hint=hint, code="no-store")
            if is_unfinished(self._path):
                what = "a killed process left a change to roll back; what follows is about a copy where that is done"
                hint = "nothing to do: the next command does it"
                found.append(Finding("unfinished", Severity.NOTE, what, hint))
                self._use(open_ones.enter_context(copied(self._path)))
            look = Look.at(self._path, self._tell)
            open_ones.callback(look.close)
            self.facts["schema"] = look.version()
            if not self.facts["schema"]:
                found.append(_empty(self._path))
                look = None
        except (StoreError, OSError) as error:
            known = error if isinstance(error, StoreError) else problem(IO, self._location, str(error))
            found.append(damage(known))
            look = None
        self._found("file", found)
        return look

    def _use(self, copy: Path) -> None:
        self._path = copy
        self._ctx = replace(self._ctx, settings=replace(self._ctx.settings, store=str(copy)))

    def _inside(self, look: Look) -> None:
        from backfill_cli.store import checking

        for name in _INSIDE:
            found = look.part(getattr(checking, name))
            self._found(name, found, lambda name=name: f"{look.seen.total():,} rows" if name == "rows" else "")  # type: ignore[misc]
        self.facts["rows"] = dict(look.seen)

    def _history(self) -> None:
        """The audit chain, and what it says about the rest."""
        from backfill_cli.app.audit import verify

        self._tell("history", 0)
        try:
            verdict = verify(self._ctx)
        except BfillError as error:
            unread = Finding(error.code, Severity.DAMAGE, error.message, error.hint)
            self._found("history", [unread], lambda: "could not be read to its end")
            return
        found = [
            Finding(one.code, Severity.HISTORY, one.what, "see all of it: bfill audit verify; then restore a backup")
            for one in verdict.findings
        ]
        found += [Finding(one.code, Severity.NOTE, one.message, one.hint) for one in verdict.problems]
        self.head = verdict.head
        self._found("history", found, lambda: f"{verdict.checked:,} entries")


def check(ctx: AppContext, *, tell: Tell | None = None) -> CheckResult:
    """Return what a check of the store finds.

    Args:
        tell: Hears what is being looked at, and how many rows of it have been.
    """
    from backfill_cli.store.opening import store_path

    location = ctx.settings.store
    path = store_path(location)
    return _Check(ctx, location if path is None else str(path), path, tell or (lambda what, seen: None)).run()


def _empty(path: Path) -> Finding:
    """What a store without tables is: new, or one that was something else when its heads were kept."""
    from backfill_cli.store.heads import HeadFile

    lines = sum(1 for one in HeadFile(path).lines() or () if one)
    if lines:
        what = f"nothing is in it, and the file beside it keeps {lines} heads of an audit chain"
        return Finding("empty", Severity.HISTORY, what, "restore a backup")
    return Finding("empty", Severity.NOTE, "nothing has been stored in it yet", "the next plan or run makes its tables")


def _exposed(found: Iterator[Any]) -> Iterator[Finding]:
    for one in found:
        if one.what == "link":
            what, hint = f"{one.path} is a symbolic link to {one.detail}", f"put the thing itself there: rm {one.path}"
        elif one.what == "owner":
            what, hint = f"{one.path} belongs to another user ({one.detail})", f"chown $USER {one.path}"
        else:
            what, hint = f"{one.path} has mode {one.detail}: others can look into it", f"chmod go= {one.path}"
        yield Finding(f"exposed-{one.what}", Severity.WARNING, what, hint)
