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


class Abreast:
    """Runs trials beside each other.

    Args:
        folder: Where the worlds are.
        width: Trials at once; a world for each is made when it is needed, and kept.
    """

    def __init__(self, folder: Path, width: int = ABREAST) -> None:
        self._folder = folder
        self._width = width
        self._worlds: list[World] = []

    def __call__(self, trials: Trials, case: Callable[[World, Trial], None]) -> None:
        """Run every trial of a case; raises what the first of them that failed has raised."""
        worlds: SimpleQueue[World] = SimpleQueue()
        while len(self._worlds) < min(self._width, trials.count):
            self._worlds.append(World(self._folder / str(len(self._worlds))))
        for world in self._worlds:
            world.seen.clear()
            worlds.put(world)

        def one(trial: Trial) -> None:
            world = worlds.get()
            try:
                case(world, trial)
            finally:
                worlds.put(world)

        try:
            with ThreadPoolExecutor(self._width) as pool:
                running = [(trial, pool.submit(one, trial)) for trial in trials]
                try:
                    for trial, future in running:
                        trials.current = trial
                        future.result()
                except BaseException:
                    pool.shutdown(cancel_futures=True)
                    raise
        finally:
            for what, count in sum((world.seen for world in self._worlds), Counter[str]()).items():
                trials.see(what, count)
        trials.current = None

    def close(self) -> None:
        for world in self._worlds:
            world.close()
