"""Promise 4: a power cut keeps every acknowledged result, whatever the disk had not written yet."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from random import Random

import pytest
from blackbox.world import Forker, Project

from promises.harness import Trial, Trials, caught, mutated
from promises.power_cut import WAYS, Disk
from promises.recordings import Recording, cut_and_go_on, record
from promises.strace import Call, needs_strace

pytestmark = needs_strace

NewProject = Callable[[], Project]
Recorder = Callable[..., Recording]


@pytest.fixture(scope="module")
def recorded(new_project: NewProject, tmp_path_factory: pytest.TempPathFactory) -> Recorder:
    """A function that records a run of bfill, or of a copy with patches applied to it."""

    def make(name: str, patch: str | None = None) -> Recording:
        project = new_project()
        if patch is None:
            return record(project, name)
        with closing(Forker(mutated(patch, tmp_path_factory.mktemp("copy")))) as forker:
            project.forker = forker
            return record(project, name)

    return make


@pytest.fixture(scope="module")
def recordings(recorded: Recorder) -> list[Recording]:
    """The same run with every way the store keeps its journal."""
    return [
        recorded("write-ahead log"),
        recorded("write-ahead log, taken in often", "variant-small-log"),
        recorded("rollback journal", "variant-rollback-journal"),
    ]


@pytest.mark.promise(4, short=100, long=500)
def test_power_loss_keeps_what_was_acknowledged(
    trials: Trials, recordings: list[Recording], new_project: NewProject
) -> None:
    for trial in trials:
        cut_and_go_on(trial.random.choice(recordings), new_project, trial.random, trials.see)
    assert trials.seen["cuts with something unsynced"] > trials.count / 3, trials.seen


@pytest.mark.long
@pytest.mark.promise(4)
@pytest.mark.parametrize(
    "mutant",
    ["synchronous-normal", "synchronous-off", "submit-before-commit", "print-before-commit", "unsynced-folder"],
)
def test_the_harness_of_power_loss_catches(mutant: str, recorded: Recorder, new_project: NewProject) -> None:
    recording = recorded(mutant, mutant)

    def case(trial: Trial) -> None:
        cut_and_go_on(recording, new_project, trial.random, lambda *_: None)

    caught(case)


def test_a_cut_keeps_what_was_synced_and_nothing_else_for_certain(tmp_path: Path) -> None:
    """The model: an fsync of a file keeps its content, one of its folder its name; the rest is up to chance."""

    def call(name: str, *arguments: str | bytes, at: int) -> Call:
        return Call(1, name, arguments, 0 if name != "pwrite64" else len(arguments[1]), at, at, False)

    path = "/root/file"
    calls = [
        call("openat", "/", path.encode(), "O_RDWR|O_CREAT", at=0),
        call("pwrite64", path, b"a" * 1024, "1024", "0", at=1),
        call("fsync", path, at=2),
        call("fsync", "/root", at=3),
        call("pwrite64", path, b"b" * 1024, "1024", "512", at=4),
    ]
    seen: dict[int, set[bytes]] = {2: set(), 3: set(), 4: set(), 5: set()}
    for until, found in seen.items():
        for seed in range(60):
            folder = tmp_path / f"{until}-{seed}"
            folder.mkdir()
            disk = Disk(Path("/root"))
            disk.play(calls, until)
            disk.cut(folder, WAYS[seed % len(WAYS)], Random(seed))
            found.add((folder / "file").read_bytes() if (folder / "file").exists() else b"missing")
    a, b = b"a" * 512, b"b" * 512
    assert {b"missing", a + a} < seen[2], "nothing is certain before the first fsync"
    assert seen[3] == {b"missing", a + a}, "the content is, the name is not"
    assert seen[4] == {a + a}
    whole = {one for one in seen[5] if len(one) == 1536}
    assert {a + a, a + b + b} < seen[5] and a + a + b in whole, "a later write comes whole, torn or not at all"
    assert all(one.startswith(a) for one in seen[5]), "what was synced and not written again stays"
