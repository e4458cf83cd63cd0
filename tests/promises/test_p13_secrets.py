"""Promise 13: registered secrets appear nowhere: no terminal, log, audit, report, error, JSON or store file."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest
from blackbox.world import Project

from promises.canaries import CANARIES, FAILING, SINKS, SOURCES, XCOMS, conf_of, leaks, make_canary, plant
from promises.harness import Trial, Trials, caught

NewProject = Callable[[], Project]
See = Callable[..., None]

DAY = ("--dag", "canaries", "--start", "2024-01-01", "--end", "2024-01-01")


def let_them_out(project: Project, trial: Trial, see: See) -> None:
    """Plant canaries, let tasks let each of them out, ask every command, and search all that was written."""
    random = trial.random
    canaries = [make_canary(random) for _ in range(CANARIES)]
    plant(project, random, canaries, processes=trial.number % 4 == 0)
    conf = ("--conf", json.dumps(conf_of(canaries)))
    reports = ("--events", "events.ndjson", "--junit", "junit.xml")
    ran = project.bfill("run", *DAY, *conf, *reports, *random.choice([(), ("--json",), ("-v",)])).exits(1)
    states = project.instances("canaries")
    for task_id, state in states.items():
        name = _sink(task_id)
        expected = "failed" if name in FAILING else "skipped" if name == "skipped" else "success"
        assert state == expected, (task_id, state, ran)
    # Not one of the conf: a command that does not name it learns of it when its dates are opened.
    reason = random.choice([one for number, one in enumerate(canaries) if number % len(SOURCES) != 3])
    project.bfill("rerun-failed", *DAY, *reports, "--json", f"--reason=the password is {reason}").exits(1)
    for words in ASKED:
        project.bfill(*words)
    _refused(project, conf_of(canaries), random.sample(canaries, 3))
    found = list(leaks(project, canaries))
    assert not found, "\n".join(found[:5])
    _was_hit(project, see)
    see("canaries", len(canaries))
    see("canaries × sinks", len(states))


ASKED = (
    ("status", *DAY),
    ("status", *DAY, "--json"),
    ("logs", "--dag", "canaries", "2024-01-01"),
    ("logs", "--dag", "canaries", "2024-01-01", "--json"),
    ("audit",),
    ("audit", "--json"),
    *(("audit", "report", "--out", f"report.{kind}") for kind in ("md", "html", "json", "csv")),
    ("plan", *DAY, "--reprocess", "failed", "--json"),
    ("dags", "show", "canaries", "--json"),
)


def _sink(task_id: str) -> str:
    return task_id.removeprefix("process_").rpartition("_")[0]


def _refused(project: Project, conf: dict[str, str], canaries: list[str]) -> None:
    """A secret in the open where it would be stored is refused, and the refusal does not show it."""
    for canary in canaries:
        given = json.dumps({**conf, "k": [f"x{canary}"]})
        project.bfill("plan", *DAY, "--conf", given).says(3, "the conf key 'k' holds the value of a secret")
        selection = ("--schedule", "@daily", "--start", "2024-01-01", "--end", "2024-01-01")
        words = ("run", "--command", f"etl.sh {canary}", *selection, "--conf", json.dumps(conf))
        project.bfill(*words).says(3, "the command holds")


def _was_hit(project: Project, see: See) -> None:
    """Every canary came by its sinks: a mask stands in its place."""
    reasons = {row["task_id"]: row["reason"] or "" for row in project.attempts("canaries")}
    logs = project.store.parent / "logs" / "canaries" / "backfill__2024-01-01T00:00:00+00:00"
    err = "".join(path.read_text(errors="replace") for path in project.streams.glob("*.err"))
    for task_id, reason in reasons.items():
        name = _sink(task_id)
        if name in XCOMS:
            assert "holds a secret" in reason, (task_id, reason)
        elif name in ("complained", "skipped"):
            assert "***" in reason, (task_id, reason)
        if name in ("from_a_child", "from_a_thread"):
            assert err.count("child ***") + err.count("thread ***"), err
        elif name not in ("skipped", "selected", "returned", "pushed"):
            assert "***" in (logs / f"{task_id}.1.log").read_text(), task_id
        see(name)


@pytest.mark.promise(13, short=3, long=50)
def test_no_secret_is_written_anywhere(trials: Trials, new_project: NewProject) -> None:
    """60 canaries (1,000 in the long version), each through 8 of 18 kinds of tasks, and 20 commands after them."""
    for trial in trials:
        let_them_out(new_project(), trial, trials.see)
    assert trials.seen["canaries × sinks"] >= CANARIES * SINKS * trials.count


@pytest.mark.long
@pytest.mark.promise(13)
@pytest.mark.parametrize(
    "mutant",
    [
        *("log-unmasked", "command-unmasked", "reason-unmasked", "xcom-unmasked", "strays-unmasked", "audit-unmasked"),
        "nothing-held-back",
    ],
    indirect=True,
)
def test_the_harness_catches_a_sink_without_a_mask(new_mutant: NewProject) -> None:
    def case(trial: Trial) -> None:
        let_them_out(new_mutant(), trial, lambda *_: None)

    caught(case)
