"""Rows about start-up: how many bare interpreters a command takes."""

from __future__ import annotations

import sys
from functools import partial
from pathlib import Path

from benchmarks.children import Cost, bfill, in_turn, measure, private_folder
from benchmarks.commands import dates, run
from benchmarks.lines import Aim, Line
from benchmarks.sizes import Sizes


def startup(sizes: Sizes) -> list[Line]:
    """Whole processes over `python -c pass`; the store holds a week of a daily DAG."""
    with private_folder() as folder:
        store = folder / "bfill.db"
        run("daily", 7, store)
        commands: dict[str, tuple[list[str], Aim | None]] = {
            "--version": (["--version"], Aim(1.5)),
            "--help": (["--help"], Aim(16)),
            "status": (["status", "--store", str(store)], Aim(45, 15)),
            "plan --dry-run, a week": (["plan", "--dry-run", *dates("daily", 7), "--store", str(store)], None),
            "completion": (["__complete", "dags", ""], None),
        }
        jobs = {name: partial(_bfill, folder, words) for name, (words, _) in commands.items()}
        for job in jobs.values():  # bytecode of all that is imported is there from now on
            job()
        best = in_turn({"bare": lambda: measure([sys.executable, "-c", "pass"]), **jobs}, sizes.starts)
    bare = best["bare"].wall_s * 1_000
    return [
        Line(f"start-up: {name}", best[name].wall_s * 1_000, "ms", bare, "bare interpreter", aim)
        for name, (_, aim) in commands.items()
    ]


def _bfill(folder: Path, words: list[str]) -> Cost:
    return measure([*bfill(), *words], cwd=folder)
