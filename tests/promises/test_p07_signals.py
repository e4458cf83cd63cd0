"""Promise 7: INT, TERM, HUP at any moment, to a command, its group or its session, once, twice or three times."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest
from blackbox.world import LONGEST_S, Project, until

from promises.abreast import Abreast
from promises.harness import MUTANT_TRIALS, Trial, Trials, caught, mutated
from promises.stopping import SIGNALS, World, attacked, drained, loading, world_of


@pytest.mark.promise(7, short=50, long=600)
def test_a_signal_at_any_moment_leaves_nothing_running_and_the_same_command_goes_on(
    trials: Trials, abreast: Abreast
) -> None:
    abreast(trials, attacked)
    if trials.count >= 12:
        assert trials.seen["stopped, with a result"] > trials.count / 4, trials.seen
        assert trials.seen["stopped"], trials.seen


@pytest.mark.promise(7, short=2, long=40)
def test_after_one_signal_nothing_new_starts(trials: Trials, abreast: Abreast) -> None:
    abreast(trials, drained)


@pytest.mark.promise(7, short=4, long=40)
def test_a_command_that_loads_a_dag_file_leaves_before_it_has_loaded(trials: Trials, abreast: Abreast) -> None:
    abreast(trials, loading)


@pytest.mark.parametrize("number", SIGNALS)
def test_what_the_parent_ignores_stays_ignored(project: Project, number: int) -> None:
    """`nohup bfill run …`, and a background job of a script, whose Ctrl-C is not meant for it."""
    project.write("dags/d.py", SLEEPER)
    going = project.start("run", "--dag", "d", "--start", "2024-01-01", "--end", "2024-01-01", ignored=[number])
    until((project.folder / "dags/there").exists)
    going.signal(signal.Signals(number))
    assert going.wait().exits(0)


SLEEPER = """
with DAG("d", schedule="@daily", start_date=datetime(2024, 1, 1)):
    BashOperator(task_id="a", bash_command="touch there; sleep 0.3")
"""


@pytest.mark.parametrize("number", SIGNALS)
def test_a_script_is_told_that_there_is_no_result(project: Project, number: int) -> None:
    project.write("dags/d.py", "(Path(__file__).parent / 'loading').touch()\ntime.sleep(20)\n" + SLEEPER)
    going = project.start("plan", "--dag", "d", "--start", "2024-01-01", "--json")
    until((project.folder / "dags/loading").exists)
    going.signal(signal.Signals(number))
    document = going.wait().exits(128 + number).json
    assert (document["error"]["kind"], signal.Signals(number).name in document["error"]["message"]) == ("stopped", True)


@pytest.mark.parametrize(("reads", "code"), [(True, 0), (False, 143)])
def test_a_result_that_is_being_written_is_finished_or_left_to_a_reader_who_does_not_read(
    project: Project, reads: bool, code: int
) -> None:
    project.write("dags/d.py", SLEEPER)
    words = [sys.executable, "-m", "backfill_cli", "plan", "--dag", "d", "--start", "2024-01-01", "--end", "2035-12-31"]
    with subprocess.Popen([*words, "--dry-run", "--json"], cwd=project.folder, stdout=subprocess.PIPE) as command:
        assert command.stdout is not None
        head = command.stdout.read(1)
        command.terminate()
        if not reads:
            assert command.wait(LONGEST_S) == code
            return
        document = json.loads(head + command.stdout.read())
    assert (command.returncode, document["exit_code"]) == (code, 0)
    assert document["data"]["total"] == len(document["data"]["runs"])


@pytest.mark.long
@pytest.mark.parametrize(
    ("mutant", "case"),
    [("signals-unheard", loading), ("second-signal-deaf", attacked), ("drain-goes-on", drained)],
)
def test_the_harness_sees_a_guard_that_is_gone(
    mutant: str, case: Callable[[World, Trial], None], tmp_path: Path
) -> None:
    with world_of(mutated(mutant, tmp_path), tmp_path / "world") as world:
        assert caught(partial(case, world)) <= MUTANT_TRIALS
