"""Promise 1: after SIGKILL at any instant the same command ends with every date in exactly one final state."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from blackbox.world import Project

from promises.harness import Trials
from promises.killing import tell


@pytest.mark.promise(1, short=24, long=500)
def test_commands_killed_at_random_instants_end_as_if_nobody_had_killed_them(
    trials: Trials, new_project: Callable[[], Project]
) -> None:
    for trial in trials:
        tell(new_project(), trial, trials.see)
    if trials.count > 10:
        for whom in ("the process alone", "the whole tree", "a child"):
            assert trials.seen[f"killed {whom}"]
        assert trials.seen["kills"] >= trials.count
        assert trials.seen["hit while the store was open for writing"] > trials.seen["kills"] / 2
