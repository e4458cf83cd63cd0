"""Trials that run beside each other: those that wait more than they compute, each over a world of its own.

Owns the threads. A trial still depends on its seed alone, and the one that fails is the one a replay is told of.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from queue import SimpleQueue

from promises.harness import Trial, Trials
from promises.stopping import World

ABREAST = 4


def abreast(trials: Trials, folder: Path, case: Callable[[World, Trial], None], *, width: int = ABREAST) -> None:
    """Run every trial of a case; raises what the first of them that failed has raised."""
    worlds: SimpleQueue[World] = SimpleQueue()
    made = [World(folder / str(number)) for number in range(min(width, trials.count))]
    for world in made:
        worlds.put(world)

    def one(trial: Trial) -> None:
        world = worlds.get()
        try:
            case(world, trial)
        finally:
            worlds.put(world)

    try:
        with ThreadPoolExecutor(len(made)) as pool:
            running = [(trial, pool.submit(one, trial)) for trial in trials]
            try:
                for trial, future in running:
                    trials.current = trial
                    future.result()
            except BaseException:
                pool.shutdown(cancel_futures=True)
                raise
    finally:
        for world in made:
            world.close()
        for what, count in sum((world.seen for world in made), Counter[str]()).items():
            trials.see(what, count)
    trials.current = None
