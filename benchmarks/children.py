"""Running a process and measuring it: wall time, peak memory, and the quickest of several, taken in turn.

Owns the conditions: bytecode is compiled and may be written, nothing of the caller's bfill settings leaks in, every
store is in a private folder. Peak memory is the kernel's figure for the finished child; this process must stay small,
because a child's figure starts with its parent's pages (so nothing heavy is ever imported here: see probes/).
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import sysconfig
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from threading import Timer
from typing import Any, NamedTuple

HERE = Path(__file__).parent
LONGEST_S = 600.0


class Cost(NamedTuple):
    """What one process took: seconds of wall time and of CPU, and the largest resident set in MiB."""

    wall_s: float
    cpu_s: float
    peak_mib: float
    stdout: bytes


def environment() -> dict[str, str]:
    """Return the environment of every child."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("BFILL_", "PYTHON"))}
    return {**kept, "PYTHONPATH": str(HERE.parent)}


def bfill() -> list[str]:
    """Return the words that start bfill: the installed console script beside this Python, else the module."""
    script = Path(sysconfig.get_path("scripts")) / "bfill"
    return [str(script)] if script.exists() else [sys.executable, "-m", "backfill_cli"]


def probe(name: str, *words: object, python: str = sys.executable) -> list[str]:
    """Return the words that run a script of probes/."""
    return [python, str(HERE / "probes" / f"{name}.py"), *map(str, words)]


def measure(words: Sequence[str], *, cwd: Path | None = None, env: Mapping[str, str] | None = None) -> Cost:
    """Run a process to its end. Raises RuntimeError with its last words when it fails or takes far too long."""
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        began = time.perf_counter()
        child = subprocess.Popen(
            words, stdin=subprocess.DEVNULL, stdout=out, stderr=err, cwd=cwd, env=env or environment()
        )
        timer = Timer(LONGEST_S, child.kill)
        timer.start()
        try:
            _, status, usage = os.wait4(child.pid, 0)
        finally:
            timer.cancel()
        wall = time.perf_counter() - began
        child.returncode = os.waitstatus_to_exitcode(status)
        if child.returncode:
            err.seek(0)
            told = err.read().decode(errors="replace").strip()
            raise RuntimeError(f"exit {child.returncode}: {' '.join(map(str, words))}\n{told}")
        out.seek(0)
        return Cost(wall, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024, out.read())


def asked(words: Sequence[str]) -> Any:
    """Return the JSON a probe prints."""
    return json.loads(measure(words).stdout)


@contextmanager
def private_folder() -> Iterator[Path]:
    """A folder that only this user can read, gone afterwards."""
    with tempfile.TemporaryDirectory(prefix="bfill-bench-") as name:
        yield Path(name)


def added(job: Callable[[], Cost], times: int) -> Cost:
    """Run a job several times, one after the other, and return what they took together."""
    costs = [job() for _ in range(times)]
    wall, cpu = sum(cost.wall_s for cost in costs), sum(cost.cpu_s for cost in costs)
    return Cost(wall, cpu, max(cost.peak_mib for cost in costs), costs[-1].stdout)


def in_turn(jobs: Mapping[str, Callable[[], Cost]], rounds: int) -> dict[str, Cost]:
    """Run all jobs one after the other, `rounds` times, and return the best of each: wall time, CPU time, memory.

    In turn, so that a machine that is slow for a while is slow for all of them; as often each, so that none has more
    chances than another to be lucky.
    """
    best: dict[str, Cost] = {}
    for _ in range(rounds):
        for name, job in jobs.items():
            cost, before = job(), best.get(name)
            if before is not None:
                *figures, _ = map(min, cost, before)
                cost = Cost(*figures, cost.stdout)
            best[name] = cost
    return best
