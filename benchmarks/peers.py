"""Other tools beside bfill, on the same no-op task, each in a virtual environment of its own.

Owns those environments, since the tools' requirements exclude each other: made, and filled from PyPI, only when
`--peers FOLDER` asks for it. A peer that cannot be installed is said to be missing; nothing stands in for it.
"""

from __future__ import annotations

import subprocess
import sys
import venv
from functools import partial
from pathlib import Path
from typing import NamedTuple

from benchmarks.children import LONGEST_S, Cost, in_turn, measure, private_folder, probe
from benchmarks.commands import fresh, run
from benchmarks.lines import Aim, Line
from benchmarks.running import MICRO
from benchmarks.sizes import Sizes


class Peer(NamedTuple):
    """What pip installs for a peer, and how much it gets to do.

    Args:
        share: It runs one in so many of the tasks: what takes a second for each thousand of bfill's is measured as well
            with fifty.
    """

    packages: tuple[str, ...]
    share: int = 1


PEERS = {
    "huey": Peer(("huey",)),
    "luigi": Peer(("luigi",)),
    "dask": Peer(("distributed",)),
    "dbos": Peer(("dbos",), 4),
    # Prefect 3.8 passes `min_items`, which FastAPI has dropped between 0.149 and 0.159, though its range allows those.
    "prefect": Peer(("prefect", "fastapi<0.150"), 20),
    "airflow": Peer(("apache-airflow",), 25),
}
"""Peer, also the name of its probe (`peer_NAME.py`)."""


def peers(sizes: Sizes, folder: Path) -> list[Line]:
    """Seconds a task of each peer that could be installed; with less than 1 × bfill is ahead."""
    pythons = {name: python for name, peer in PEERS.items() if (python := _environment(folder / name, name, peer))}
    if not pythons:
        return []
    counts = {name: max(2, sizes.peers // PEERS[name].share) for name in pythons}
    with private_folder() as scratch:
        jobs = {
            "bfill 1": lambda: run("noop", 1, fresh(scratch)),
            "bfill": lambda: run("noop", sizes.peers, fresh(scratch)),
        }
        for name, python in pythons.items():
            for label, count in ((f"{name} 1", 1), (name, counts[name])):
                jobs[label] = partial(_peer, python, name, count, scratch)
        best = in_turn(jobs, sizes.rounds)
    each = {
        name: (best[name].wall_s - best[f"{name} 1"].wall_s) / max(1, count - 1) * MICRO
        for name, count in {"bfill": sizes.peers, **counts}.items()
    }
    return [
        Line(f"no-op task, {counts[name]:,}, beside {name}", each["bfill"], "µs", each[name], name, Aim(1))
        for name in pythons
    ]


def _peer(python: Path, name: str, count: int, scratch: Path) -> Cost:
    return measure(probe(f"peer_{name}", count, fresh(scratch), python=str(python)), cwd=scratch)


def _environment(folder: Path, name: str, peer: Peer) -> Path | None:
    """Return the Python of a peer's environment, made if need be; None when the peer cannot be installed."""
    python = folder / "bin" / "python"
    if not python.exists():
        venv.create(folder, with_pip=True)
    words = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *peer.packages]
    done = subprocess.run(words, capture_output=True, text=True, timeout=LONGEST_S, check=False)
    if done.returncode:
        print(f"peer {name} is missing: {done.stderr.strip().splitlines()[-1:]}", file=sys.stderr)
        return None
    return python
