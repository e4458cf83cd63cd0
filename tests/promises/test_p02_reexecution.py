"""Promise 2: no committed success runs again; what was interrupted runs again, and is listed wherever one would look.

Witnessed by a side file that the tasks append to with an fsync. The trials are like those of promise 1, from other
seeds; every one of them holds both promises.
"""

from __future__ import annotations

from collections.abc import Callable
from random import Random

import pytest
from blackbox.world import Project

from promises.harness import Trial, Trials
from promises.killstories import tell


@pytest.mark.promise(2, short=20, long=300)
def test_what_was_recorded_as_done_stays_done_and_what_was_interrupted_is_listed(
    trials: Trials, new_project: Callable[[], Project]
) -> None:
    for trial in trials:
        tell(new_project(), Trial(trial.number, trial.seed, Random(f"promise 2: {trial.seed}")), trials.see)
    if trials.count > 10:
        assert trials.seen["successes on record at a kill"] and trials.seen["tries that ran again after a kill"]
