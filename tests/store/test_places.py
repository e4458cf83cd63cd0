"""Where a store lies: the nearest mount above it, and what others could reach."""

from __future__ import annotations

from pathlib import Path

import pytest

from backfill_cli.store.places import FileSystem, exposed, file_system, free_bytes

MOUNTS = """\
21 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw
30 21 0:40 / /srv rw shared:2 - xfs /dev/sdb1 rw
31 30 0:41 / /srv/share rw shared:3 - nfs4 server:/export rw
32 21 0:42 / /mnt/with\\040blank rw - fuse.sshfs host:/ rw
33 30 0:43 / /srv/share rw shared:4 - tmpfs tmpfs rw
broken line
"""


@pytest.mark.parametrize(
    ("path", "found"),
    [
        ("/home/ana/.bfill", FileSystem("ext4", "/")),
        ("/srv/.bfill", FileSystem("xfs", "/srv")),
        ("/srv/shared", FileSystem("xfs", "/srv")),
        ("/srv/share/.bfill", FileSystem("tmpfs", "/srv/share")),
        ("/mnt/with blank/.bfill", FileSystem("fuse.sshfs", "/mnt/with blank")),
    ],
)
def test_the_nearest_mount_counts_and_of_two_at_one_place_the_last(
    tmp_path: Path, path: str, found: FileSystem
) -> None:
    mounts = tmp_path / "mountinfo"
    mounts.write_text(MOUNTS)
    assert file_system(Path(path), mounts) == found


def test_network_file_systems_are_known() -> None:
    assert FileSystem("nfs4", "/").is_network
    assert FileSystem("fuse.sshfs", "/").is_network
    assert not FileSystem("ext4", "/").is_network
    assert not FileSystem("", "").is_network


def test_without_a_list_of_mounts_nothing_is_claimed(tmp_path: Path) -> None:
    assert file_system(tmp_path, tmp_path / "nothing") == FileSystem("", "")
    assert free_bytes(tmp_path / "nothing") is None


def test_the_root_of_this_machine_has_a_file_system() -> None:
    assert file_system(Path("/")).mount == "/"


def test_modes_and_links_are_told(tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.mkdir(0o700)
    store = home / "bfill.db"
    store.touch(0o600)
    assert list(exposed(store)) == []
    store.chmod(0o640)
    (home / "logs").symlink_to(tmp_path)
    (home / "bfill.db.before-2").touch(0o600)
    (home / "bfill.db.before-2").chmod(0o604)
    assert [(one.what, one.path.name, one.detail) for one in exposed(store)] == [
        ("link", "logs", str(tmp_path)),
        ("mode", "bfill.db", "0640"),
        ("mode", "bfill.db.before-2", "0604"),
    ]
