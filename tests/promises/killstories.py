"""What commands are killed, in which order: a run, a plan, a repair, a reprocessing, a reset (promises 1 and 2).

Owns `tell`, the case of both promises. Each story ends with a command that was left in peace, and with all the checks.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping

from blackbox.world import Project

from promises.harness import Trial
from promises.killchecks import check
from promises.killing import Story
from promises.killworld import model, random_shape

KINDS = ("run", "run", "run", "run", "run", "plan", "rerun-failed", "rerun-failed", "reprocess", "reset")
"""What is killed; most often a plain run."""


def tell(project: Project, trial: Trial, see: Callable[[str], None]) -> None:
    """A case of promises 1 and 2: kill commands in a project of its own, and check all that must hold."""
    random = trial.random
    shape = random_shape(random)
    shape.write(project.folder)
    (project.folder / "tmp").mkdir()
    project.env["TMPDIR"] = str(project.folder / "tmp")
    story = Story(project, shape, random, see, shape.lines())
    kind = random.choice(KINDS)
    see(f"kind: {kind}")
    STORIES[kind](story, random.choice((1, 2, 2, 3)))


def _run(story: Story, kills: int) -> None:
    ran = story.until_it_ends("run", *story.shape.words, *story.shape.how, kills=kills)
    check(story, ran)


def _plan(story: Story, kills: int) -> None:
    """A plan is stored once, however often storing it was interrupted; then its run is killed."""
    ran = story.until_it_ends("plan", *story.shape.words, "--parallel", str(story.shape.parallel), kills=kills)
    planned = ran.exits(0).data["backfill_id"]
    rows = story.project.rows("SELECT backfill_id, state FROM backfills")
    assert rows == [{"backfill_id": planned, "state": "planned"}]
    words = random_words(story, planned)
    ran = story.until_it_ends("run", *words, *story.shape.how[2:], kills=1)
    check(story, ran)
    assert ran.data["backfill_id"] == planned or ran.data["skipped"]


def random_words(story: Story, planned: str) -> tuple[str, ...]:
    return story.random.choice(((planned,), story.shape.words))


def _rerun_failed(story: Story, kills: int) -> None:
    shape, project = story.shape, story.project
    first = story.command("run", *shape.words, *shape.how)
    shutil.rmtree(project.folder / "broken")
    before, after = model(shape, ()).instances, model(shape, (), mended=True).instances
    story.lines += 2 * sum(before[place] != "success" and after[place] == "success" for place in after)
    words = story.random.choice((shape.words, shape.words[:2], (), (first.data["backfill_id"],)))
    ran = story.until_it_ends("rerun-failed", *words, *shape.how, kills=kills)
    check(story, ran, mended=True)


def _reprocess(story: Story, kills: int) -> None:
    """Successes are to run again here, once: not those that this very backfill has on record."""
    shape = story.shape
    _run_all(story)
    again = story.random.choice((("--reprocess", "all"), ("--reset-dag-run",)))
    ran = story.until_it_ends("run", *shape.words, *shape.how, *again, kills=kills)
    # Killed between its last commit and its result, it had done all; whoever asks again, asks for all of it again.
    story.settle(besides=ran.data["backfill_id"])
    check(story, ran, only_under=ran.data["backfill_id"])


def _reset(story: Story, kills: int) -> None:
    shape = story.shape
    _run_all(story)
    ran = story.until_it_ends("reset", *shape.words, "--yes", kills=kills)
    ran.exits(0)
    assert {row["state"] for row in story.project.rows("SELECT state FROM task_instances")} <= {"scheduled"}
    story.snapshots.clear()  # what was a success then is to run again
    ran = story.until_it_ends("run", *shape.words, *shape.how, kills=1)
    check(story, ran)


def _run_all(story: Story) -> None:
    """Run everything once, undisturbed; all of it is about to run again because a person says so."""
    assert story.command("run", *story.shape.words, *story.shape.how).data["remaining"] == 0
    story.lines *= 2
    story.settle()


STORIES: Mapping[str, Callable[[Story, int], None]] = {
    "run": _run,
    "plan": _plan,
    "rerun-failed": _rerun_failed,
    "reprocess": _reprocess,
    "reset": _reset,
}
