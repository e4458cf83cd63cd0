"""A disk that fails at a chosen system call of a run, and what bfill must say and keep then.

Owns the injection (strace gives the call an error in place of carrying it out) and `break_once`: one failure, the
command's answer to it, and the same command again on a sound disk.
"""

from __future__ import annotations

import json
import shutil
from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path
from random import Random
from typing import Any, NamedTuple

from blackbox.world import Forker, Project, Ran

from promises.recordings import DAG, RUN, Claim, claims_of, hold
from promises.strace import Traced, trace

CALLS = "pwrite64,write,fsync,fdatasync,ftruncate,fallocate,openat,mkdir,unlink,fchmod,flock,pread64,mmap"
ERRORS = {
    "pwrite64": ("ENOSPC", "EIO", "EDQUOT"),
    "write": ("ENOSPC", "EIO", "EDQUOT"),
    "openat": ("ENOSPC", "EIO", "EDQUOT", "EROFS"),
    "mkdir": ("ENOSPC", "EIO", "EDQUOT", "EROFS"),
    "ftruncate": ("ENOSPC", "EIO"),
    "fsync": ("EIO", "ENOSPC", "EDQUOT"),
    "unlink": ("EIO", "EROFS"),
    "flock": ("ENOLCK", "EIO"),
    "mmap": ("ENOMEM",),
}
"""What each call may say; the others fail with EIO."""

FILES = ("", "/bfill.db", "/bfill.db-wal", "/bfill.db-shm", "/bfill.db-journal", "/bfill.db.heads", "/locks")
"""Where calls fail, below the store's folder. Tasks, their logs and the reports write elsewhere."""

See = Callable[..., None]


class Stage(NamedTuple):
    """A store to break, as a folder to copy; how often a run on it makes each call; and the bfill that runs."""

    name: str
    store: Path | None
    calls: Mapping[str, int]
    forker: Forker


def set_up(project: Project, stage: Stage | None) -> None:
    """Put the DAG, and the store of a stage, into a project."""
    project.write("dags/cut.py", DAG)
    if stage is not None and stage.store is not None:
        shutil.copytree(stage.store, project.store.parent)


def count_calls(project: Project) -> Counter[str]:
    """Run to the end, and count the calls that could have failed."""
    traced = _trace(project)
    traced.ran.exits(0)
    return Counter(call.name for call in traced.calls() if call.name in CALLS.split(","))


def break_once(stage: Stage, project: Project, random: Random, see: See, forker: Forker | None = None) -> None:
    """Let one call fail, or it and all that follow, and hold what bfill (or another one) does against the promise."""
    set_up(project, stage)
    project.forker = forker or stage.forker
    # Half of the failures meet a write: there are most of them, and they are what a full disk refuses.
    name = "pwrite64" if random.random() < 0.5 else random.choice(sorted(stage.calls))
    error = random.choice(ERRORS.get(name, ("EIO",)))
    number = random.randint(1, stage.calls[name])
    lasts = random.random() < 0.5
    what = f"{name}:error={error}:when={number}{'+' if lasts else ''}"
    traced = _trace(project, "-e", f"inject={what}")
    hit = [call for call in traced.calls() if call.injected]
    if hit:
        see(f"{error} from {name}")
    refused = answer(traced.ran, f"{stage.name}, {what}")
    if not refused:
        states = [row["state"] for row in project.rows("SELECT state FROM backfills")]
        assert set(states) == {"success"}, (f"{stage.name}, {what}", states)
    see("refused with exit 4" if refused else "no harm done, exit 0" if hit else "not met, exit 0")
    go_on(project, f"{stage.name}, {what}", see, refused=refused)


def answer(ran: Ran, told: str) -> str:
    """Return the code of the error a run ended with, empty when it went well; anything but those two is a failure."""
    assert ran.code in (0, 4), (told, ran)
    assert "Traceback" not in ran.out + ran.err, (told, ran)
    if ran.code == 0:
        return ""
    error: dict[str, Any] = json.loads(ran.out)["error"]
    assert error["kind"] == "store", (told, error)
    assert "\n" not in error["message"] and len(error["hint"]) > 10, (told, error)
    code: str = error["code"]
    return code


def go_on(project: Project, told: str, see: See, *, refused: str = "") -> None:
    """Run the same command on a sound disk: nothing is lost, and what runs again is listed."""
    claims = claims_of(project)
    for name in ("witness", "events"):
        if (project.folder / name).exists():
            (project.folder / name).rename(project.folder / f"{name}.before")
    again = project.bfill(*RUN)
    assert again.code == 0, (told, refused, again)
    hold(project, claims, told)
    listed = {(one["logical_date"][:10], one["task_id"]) for one in again.data["reexecuted"]}
    assert _interrupted(project, claims) <= listed, (told, _interrupted(project, claims), listed)
    see("tries interrupted, run again and listed", len(listed))
    heads = [one.value for one in claims if one.kind == "head"]
    if heads or len(claims) % 3 == 0:
        verified = project.bfill("audit", "verify", "--json", *(("--expect-head", str(heads[-1])) if heads else ()))
        assert verified.code == 0, (told, verified)


def _interrupted(project: Project, claims: list[Claim]) -> set[tuple[str, str]]:
    """Return the tries that had begun and whose end is not on record."""
    lost = {
        (row["logical_date"][:10], row["task_id"], row["try_number"])
        for row in project.attempts("cut")
        if row["outcome"] == "lost"
    }
    return {
        (one.day, one.task_id)
        for one in claims
        if one.kind == "try" and one.value is None and (one.day, one.task_id, one.try_number) in lost
    }


def _trace(project: Project, *options: str) -> Traced:
    folder = project.store.parent
    places = [word for one in FILES for word in ("-P", f"{folder}{one}")]
    return trace(project, *RUN, "--events", "events", options=(*places, "-e", f"trace={CALLS}", *options))
