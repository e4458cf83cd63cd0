"""Other tools beside bfill, on the same no-op task, in a virtual environment of their own.

Owns that environment: made, and filled from PyPI, only when `--peers FOLDER` asks for it. A peer that cannot be
installed is said to be missing; nothing stands in for it.
"""

from __future__ import annotations

import subprocess
import sys
import venv
from functools import partial
from pathlib import Path

from benchmarks.children import LONGEST_S, Cost, in_turn, measure, private_folder, probe
from benchmarks.commands import fresh, run
from benchmarks.lines import Aim, Line
from benchmarks.running import MICRO
from benchmarks.sizes import Sizes

PEERS = {"huey": ["huey"], "luigi": ["luigi"], "dask": ["distributed"]}
"""Peer, also the name of its probe (`peer_NAME.py`) → what pip installs for it."""


def peers(sizes: Sizes, folder: Path) -> list[Line]:
    """Seconds a task of each peer that could be installed; with less than 1 × bfill is ahead."""
    python = _environment(folder)
    present = [name for name, packages in PEERS.items() if _install(python, name, packages)]
    if not present:
        return []
    with private_folder() as scratch:
        jobs = {
            "bfill 1": lambda: run("noop", 1, fresh(scratch)),
            "bfill": lambda: run("noop", sizes.peers, fresh(scratch)),
        }
        for name in present:
            for label, count in ((f"{name} 1", 1), (name, sizes.peers)):
                jobs[label] = partial(_peer, python, name, count, scratch)
        best = in_turn(jobs, sizes.rounds)
    each = {
        name: (best[name].wall_s - best[f"{name} 1"].wall_s) / max(1, sizes.peers - 1) * MICRO
        for name in ("bfill", *present)
    }
    return [
        Line(f"no-op task, {sizes.peers:,}, beside {name}", each["bfill"], "µs", each[name], name, Aim(1))
        for name in present
    ]


def _peer(python: Path, name: str, count: int, scratch: Path) -> Cost:
    return measure(probe(f"peer_{name}", count, fresh(scratch), python=str(python)), cwd=scratch)


def _environment(folder: Path) -> Path:
    python = folder / "bin" / "python"
    if not python.exists():
        venv.create(folder, with_pip=True)
    return python


def _install(python: Path, name: str, packages: list[str]) -> bool:
    words = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *packages]
    done = subprocess.run(words, capture_output=True, text=True, timeout=LONGEST_S, check=False)
    if done.returncode:
        print(f"peer {name} is missing: {done.stderr.strip().splitlines()[-1:]}", file=sys.stderr)
    return not done.returncode
