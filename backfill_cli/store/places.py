"""Where a store lies: its file system, the room on it, and who may read what is there.

Owns what the operating system says about a place; what it means for a store is for `store check` to tell.

Source: sqlite.org/wal.html, "all processes using a database must be on the same host computer"; sqlite.org/howtocorrupt
section 2.1 on network file systems whose locks do not lock; proc_pid_mountinfo(5).
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

NETWORK = frozenset(
    ["nfs", "nfs4", "cifs", "smb3", "smbfs", "9p", "afs", "ceph", "glusterfs", "lustre", "gpfs", "beegfs", "ocfs2"]
    + ["gfs2", "davfs", "vboxsf", "vmhgfs", "prl_fs", "drvfs", "webdav", "afpfs"]
    + [f"fuse.{one}" for one in ("sshfs", "s3fs", "rclone", "gcsfuse", "glusterfs", "davfs", "smbnetfs", "vmhgfs-fuse")]
)
"""File systems that other hosts can write to, or that hand locks on to something that may not keep them."""

_MOUNTS = Path("/proc/self/mountinfo")


class FileSystem(NamedTuple):
    """The file system of a path: its kind as the kernel names it ("" where it does not say), and where it begins."""

    kind: str
    mount: str

    @property
    def is_network(self) -> bool:
        return self.kind in NETWORK


class OpenTo(NamedTuple):
    """Something beside the store that others than its owner could reach.

    Args:
        what: `link`, `mode` or `owner`.
    """

    what: str
    path: Path
    detail: str


def file_system(path: Path, mounts: Path = _MOUNTS) -> FileSystem:
    """Return the file system of a path: of all mounts above it the nearest, and of those at one place the last."""
    asked = os.path.realpath(path)
    found = FileSystem("", "")
    try:
        lines = mounts.read_text(encoding="utf-8", errors="surrogateescape").splitlines()
    except OSError:
        return found
    for line in lines:
        before, _, behind = line.partition(" - ")
        fields, kind = before.split(" "), behind.split(" ")[0]
        if len(fields) < 5 or not kind:
            continue
        mount = _unescaped(fields[4])
        if (asked == mount or asked.startswith(mount.rstrip("/") + "/")) and len(mount) >= len(found.mount):
            found = FileSystem(kind, mount)
    return found


def free_bytes(folder: Path) -> int | None:
    """Return the bytes this user can still write there; None when nobody says."""
    try:
        found = os.statvfs(folder)
    except OSError:
        return None
    return found.f_bavail * found.f_frsize


def exposed(store: Path) -> Iterator[OpenTo]:
    """Yield what is not private among a store's file, its companions and its folders; each at most once."""
    companions = [store.with_name(store.name + end) for end in ("", "-wal", "-shm", "-journal", ".heads")]
    companions += sorted(store.parent.glob(f"{store.name}.before-*"))
    folders = [store.parent, store.parent / "locks", store.parent / "logs"]
    for path in (*folders, *companions):
        try:
            found = path.lstat()
        except OSError:
            continue
        if stat.S_ISLNK(found.st_mode):
            yield OpenTo("link", path, str(path.readlink()))
        elif found.st_uid != os.geteuid() and os.geteuid() != 0:
            yield OpenTo("owner", path, f"uid {found.st_uid}")
        elif found.st_mode & 0o077:
            yield OpenTo("mode", path, f"{stat.S_IMODE(found.st_mode):04o}")


def _unescaped(text: str) -> str:
    for escape, char in (("\\040", " "), ("\\011", "\t"), ("\\012", "\n"), ("\\134", "\\")):
        text = text.replace(escape, char)
    return text
