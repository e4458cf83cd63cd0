"""What may be left of a folder when the power goes: the states a disk can be in after a cut of a recorded run.

Owns the model. Nothing is known to be on the disk before an fsync of it has returned:

- Of a file, all that was written before its last fsync is there. Of what came later any part may be: each write whole,
  not at all, or torn at sectors of 512 bytes; each change of length too. Where a file has grown without its data, zeros
  or rubbish stand. (Any order needs nothing more: what a sector holds in the end is what one of the writes put there.)
- A name (create, unlink, rename, mkdir) is there after an fsync of its folder; an fsync of the file does not keep it.
  Of later changes of a folder any part may have happened.

That is stricter than any file system in use, as far as SQLite's documented assumption goes (sqlite.org/psow.html: a
write does not damage the bytes beside it).

Sources: T. Pillai et al., "All File Systems Are Not Created Equal: On the Complexity of Crafting Crash-Consistent
Applications", OSDI 2014 (ALICE: tearing, reordering, and directory entries as states of their own); J. Mohan et al.,
"Finding Crash-Consistency Bugs with Bounded Black-Box Crash Testing", OSDI 2018 (CrashMonkey: cuts of a recorded run,
held against what had been promised by then).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path, PurePath
from random import Random
from typing import NamedTuple, TypeVar

from promises.strace import Call

SECTOR = 512
WAYS = ("lost", "kept", "prefix", "part", "torn")
"""What a disk does with what nobody waited for: one way for a whole cut."""

T = TypeVar("T")


class Change(NamedTuple):
    """A change of a file's content; no data is a change of its length to `offset`."""

    offset: int
    data: bytes | None


@dataclass
class File:
    """The content that is on the disk for certain, and what followed."""

    synced: bytearray = field(default_factory=bytearray)
    later: list[Change] = field(default_factory=list)

    @property
    def length(self) -> int:
        """The length a process sees."""
        length = len(self.synced)
        for change in self.later:
            length = change.offset if change.data is None else max(length, change.offset + len(change.data))
        return length

    def sync(self, upto: int) -> None:
        for change in self.later[:upto]:
            _change(self.synced, change)
        del self.later[:upto]

    def after_cut(self, way: str, random: Random) -> bytes:
        if way == "torn":
            changes = [piece for change in self.later for piece in self._torn(change, random)]
        else:
            changes = _left(self.later, way, random)
        content = bytearray(self.synced)
        for change in changes:
            _change(content, change)
        return bytes(content)

    def _torn(self, change: Change, random: Random) -> Iterable[Change]:
        if change.data is None:
            return [change] if random.random() < 0.5 else []
        pieces = []
        at = 0
        while at < len(change.data):
            # Sectors are counted from the start of the file, wherever the write begins.
            end = min(len(change.data), at + SECTOR - (change.offset + at) % SECTOR)
            fate = random.random()
            if fate < 0.5:
                pieces.append(Change(change.offset + at, change.data[at:end]))
            elif fate < 0.6 and change.offset + at >= len(self.synced):
                pieces.append(Change(change.offset + at, random.randbytes(end - at)))
            at = end
        return pieces


@dataclass
class Folder:
    """The names that are on the disk for certain, those a process sees, and the changes between."""

    synced: dict[str, Node] = field(default_factory=dict)
    seen: dict[str, Node] = field(default_factory=dict)
    later: list[tuple[str, Node | None]] = field(default_factory=list)

    def name(self, name: str, node: Node | None) -> None:
        self.later.append((name, node))
        _name(self.seen, name, node)

    def sync(self, upto: int) -> None:
        for name, node in self.later[:upto]:
            _name(self.synced, name, node)
        del self.later[:upto]

    def after_cut(self, way: str, random: Random) -> dict[str, Node]:
        names = dict(self.synced)
        for name, node in _left(self.later, "part" if way == "torn" else way, random):
            _name(names, name, node)
        return names


Node = File | Folder


def _left(later: list[T], way: str, random: Random) -> list[T]:
    match way:
        case "lost":
            return []
        case "kept":
            return later
        case "prefix":
            return later[: random.randint(0, len(later))]
        case _:
            return [one for one in later if random.random() < 0.5]


def _change(content: bytearray, change: Change) -> None:
    offset, data = change
    content.extend(bytes(max(0, offset - len(content))))
    if data is None:
        del content[offset:]
    else:
        content[offset : offset + len(data)] = data


def _name(names: dict[str, Node], name: str, node: Node | None) -> None:
    if node is None:
        names.pop(name, None)
    else:
        names[name] = node


class Disk:
    """A folder as the calls of a run leave it; what was in it before is of no interest, and none of it is touched.

    Args:
        root: The folder.
        ignoring: Paths below these, relative to the root, are not kept.
    """

    def __init__(self, root: Path, ignoring: tuple[str, ...] = ()) -> None:
        self._root = root
        self._ignoring = ignoring
        self.top = Folder()

    def play(self, calls: Iterable[Call], until: int) -> None:
        """Take every call that began before the place `until`; an fsync counts when it had returned by then."""
        waiting: list[tuple[int, Node, int]] = []
        for call in calls:
            if call.began >= until:
                break
            waiting = _returned(waiting, call.began)
            if call.result >= 0:
                node = self._take(call)
                if node is not None:
                    waiting.append((call.ended, node, len(node.later)))
        _returned(waiting, until)

    def cut(self, folder: Path, way: str, random: Random) -> int:
        """Put one state the power may leave into an empty folder; return how many writes were up to chance."""
        return _put(self.top, folder, way, random)

    def _take(self, call: Call) -> Node | None:
        """Carry out one call; return what it syncs, if it does."""
        match call.name, call.arguments:
            case "openat", (str(folder), bytes(path), str(flags), *_):
                self._open(_join(folder, path), flags)
            case "mkdir", (bytes(path), *_):
                self._rename(path, Folder())
            case "mkdirat", (str(folder), bytes(path), *_):
                self._rename(_join(folder, path), Folder())
            case "unlink", (bytes(path),):
                self._rename(path, None)
            case "unlinkat", (str(folder), bytes(path), *_):
                self._rename(_join(folder, path), None)
            case "rename", (bytes(old), bytes(new)):
                node = self._find(old.decode())
                self._rename(old, None)
                self._rename(new, node)
            case "pwrite64", (str(path), bytes(data), _, str(offset)):
                self._write(path, Change(int(offset), data[: call.result]))
            case "write", (str(path), bytes(data), _):
                self._write(path, None, data[: call.result])
            case "ftruncate", (str(path), str(length)):
                self._write(path, Change(int(length), None))
            case (("fsync" | "fdatasync"), (str(path),)):
                return self._find(path)
            case _:
                text = repr(call.arguments)
                # A call the model does not know must not pass for one that changes nothing.
                assert str(self._root) not in text or self._is_ignored(text), (call.name, text[:300])
        return None

    def _open(self, path: bytes, flags: str) -> None:
        if "O_CREAT" in flags and self._find(path.decode()) is None:
            self._rename(path, File())
        if "O_TRUNC" in flags:
            self._write(path.decode(), Change(0, None))

    def _write(self, path: str, change: Change | None, appended: bytes = b"") -> None:
        node = self._find(path)
        if isinstance(node, File):
            # `write` is used on files that are opened to append.
            node.later.append(Change(node.length, appended) if change is None else change)

    def _rename(self, path: bytes, node: Node | None) -> None:
        parts = self._parts(path.decode())
        folder = self._walk(parts[:-1]) if parts else None
        if isinstance(folder, Folder):
            folder.name(parts[-1], node)

    def _find(self, path: str) -> Node | None:
        parts = self._parts(path)
        return self._walk(parts) if parts or path == str(self._root) else None

    def _walk(self, parts: tuple[str, ...]) -> Node | None:
        node: Node | None = self.top
        for part in parts:
            node = node.seen.get(part) if isinstance(node, Folder) else None
        return node

    def _parts(self, path: str) -> tuple[str, ...]:
        """Return the names below the root; none for what is elsewhere or ignored."""
        place = PurePath(path)
        if not place.is_relative_to(self._root) or self._is_ignored(path):
            return ()
        return place.relative_to(self._root).parts

    def _is_ignored(self, path: str) -> bool:
        return any(f"{self._root}/{one}" in path for one in self._ignoring)


def _join(folder: str, path: bytes) -> bytes:
    """Return a path that is given relative to an open folder."""
    return path if path.startswith(b"/") else f"{folder}/".encode() + path


def _returned(waiting: list[tuple[int, Node, int]], place: int) -> list[tuple[int, Node, int]]:
    """Sync what an fsync that has returned by now was about; return those that have not."""
    left = []
    for ended, node, upto in waiting:
        if ended < place:
            node.sync(upto)
        else:
            left.append((ended, node, upto))
    return left


def _put(node: Folder, folder: Path, way: str, random: Random) -> int:
    chances = 0
    for name, one in node.after_cut(way, random).items():
        path = folder / name
        if isinstance(one, Folder):
            path.mkdir()
            chances += _put(one, path, way, random)
        else:
            path.write_bytes(one.after_cut(way, random))
            chances += len(one.later)
    return chances
