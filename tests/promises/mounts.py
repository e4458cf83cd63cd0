"""Small, full and read-only file systems to put a store on; skipped with the reason where nothing may be mounted.

Owns `small_disk`, a tmpfs of a size that grows when asked, and `ReadOnly` ways to forbid writing.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest


def _mount(*words: str) -> subprocess.CompletedProcess[str]:
    return _run("mount", *words)


def _run(*words: str) -> subprocess.CompletedProcess[str]:
    try:
        return subprocess.run(words, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        return subprocess.CompletedProcess(words, 127, "", f"{words[0]} is not installed")


@cache
def why_no_mount() -> str:
    """Return why nothing can be mounted here; empty when something can."""
    if os.getuid() != 0:
        return "only root can mount a tmpfs"
    with TemporaryDirectory() as folder:
        tried = _mount("-t", "tmpfs", "-o", "size=64k", "tmpfs", folder)
        if tried.returncode == 0:
            _run("umount", folder)
        return tried.stderr.strip()


needs_mount = pytest.mark.skipif(bool(why_no_mount()), reason=why_no_mount() or "mounting works")


class Disk:
    """A mounted tmpfs."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def grow(self, size: str) -> None:
        done = _mount("-o", f"remount,size={size}", str(self.folder))
        assert done.returncode == 0, done.stderr

    def fill(self, *, leaving: int = 0) -> None:
        """Fill it, but for so many bytes."""
        with (self.folder / "ballast").open("ab", buffering=0) as file:
            found = os.statvfs(self.folder)
            file.write(bytes(max(0, found.f_bavail * found.f_frsize - leaving)))

    def make_room(self) -> None:
        (self.folder / "ballast").unlink()


@contextmanager
def small_disk(folder: Path, size: str) -> Iterator[Disk]:
    """Mount a tmpfs of a size (`96k`) at a folder while the block runs."""
    folder.mkdir(parents=True, exist_ok=True)
    done = _mount("-t", "tmpfs", "-o", f"size={size},mode=0700", "tmpfs", str(folder))
    assert done.returncode == 0, done.stderr
    try:
        yield Disk(folder)
    finally:
        _run("umount", "-l", str(folder))


@contextmanager
def mounted_read_only(folder: Path) -> Iterator[None]:
    """Make a folder read-only by a bind mount while the block runs."""
    for words in (("--bind", str(folder), str(folder)), ("-o", "remount,bind,ro", str(folder))):
        done = _mount(*words)
        assert done.returncode == 0, done.stderr
    try:
        yield
    finally:
        _run("umount", "-l", str(folder))


@contextmanager
def immutable(path: Path) -> Iterator[None]:
    """Set the immutable flag of a file while the block runs; skipped where the file system knows none."""
    done = _run("chattr", "+i", str(path))
    if done.returncode:
        pytest.skip(f"chattr +i does not work here: {done.stderr.strip()}")
    try:
        yield
    finally:
        _run("chattr", "-i", str(path))
