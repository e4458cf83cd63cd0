"""Rows about `status` over a long history: the queries behind it, and the command itself."""

from __future__ import annotations

import sys
from functools import partial

from benchmarks.children import asked, bfill, in_turn, measure, private_folder, probe
from benchmarks.commands import dates
from benchmarks.lines import Aim, Line
from benchmarks.sizes import Sizes


def status(sizes: Sizes) -> list[Line]:
    """Counts and a page of a million dag_runs: by bfill's reader, by scanning, and the whole command."""
    with private_folder() as folder:
        store = folder / "bfill.db"
        took = asked(probe("history", sizes.history, store))
        range_of_all = dates("noop", sizes.history)
        commands = {
            "status": ["status"],
            "status --dag, all of it, a page of 100": ["status", *range_of_all, "--limit", "100"],
        }
        jobs = {
            name: partial(measure, [*bfill(), *words, "--store", str(store)], cwd=folder)
            for name, words in commands.items()
        }
        best = in_turn({"bare": lambda: measure([sys.executable, "-c", "pass"]), **jobs}, sizes.rounds)
    name = f"{sizes.history:,} dag_runs"
    aim = Aim(2, 0.5, "ms")
    return [
        Line(f"counts of {name}", took["counts"], "ms", took["scan"], "count by scan", aim),
        Line(f"page of 100 among {name}", took["page"], "ms", took["offset"], "page by OFFSET", aim),
        *(
            Line(f"{one}, {name}", best[one].wall_s * 1_000, "ms", best["bare"].wall_s * 1_000, "bare interpreter")
            for one in commands
        ),
    ]
