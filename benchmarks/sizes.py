"""How much each row measures. Nothing else in the benchmarks holds a number of dates, rows or rounds.

`FULL` is what the aims are about. `QUICK` shows the order of magnitude in a minute; per-task figures at its sizes are
mostly start-up noise. `TINY` is for the tests: every line can be computed, no figure means anything.
"""

from __future__ import annotations

from dataclasses import dataclass, fields, replace


@dataclass(frozen=True, slots=True)
class Sizes:
    """The size of every row, changed by `--set NAME=N`.

    Args:
        rounds: How often each whole process is run, in turn with its yardstick; the quickest of each counts.
        starts: The same for start-up, where a process takes milliseconds.
        few, many: Dates of the durable no-op runs that are compared with each other.
        cold: Dates of the cold command.
        plan: Intervals of the dry run and of the stored plan.
        ticks: Intervals bfill enumerates.
        slow_ticks: Intervals the libraries that step one by one enumerate.
        history: dag_runs in the store that status is asked about.
        shells: Shell tasks.
        renders: Renderings of one field.
        peers: Tasks for each other tool; the slow ones are quadratic.
    """

    rounds: int = 3
    starts: int = 15
    few: int = 1_000
    many: int = 10_000
    cold: int = 365
    plan: int = 1_000_000
    ticks: int = 1_000_000
    slow_ticks: int = 20_000
    history: int = 1_000_000
    shells: int = 1_000
    renders: int = 20_000
    peers: int = 1_000


FULL = Sizes()
QUICK = Sizes(2, 7, 500, 2_000, 365, 100_000, 300_000, 5_000, 100_000, 200, 5_000, 200)
TINY = Sizes(1, 1, 3, 6, 4, 200, 400, 50, 300, 4, 20, 5)


def changed(sizes: Sizes, assignments: list[str]) -> Sizes:
    """Return the sizes with `NAME=N` applied. Raises ValueError for another name, or what is no number above 0."""
    names = {field.name for field in fields(Sizes)}
    for assignment in assignments:
        name, _, text = assignment.partition("=")
        if name not in names or not text.isdecimal() or not int(text):
            raise ValueError(f"'{assignment}': write NAME=N with one of {', '.join(sorted(names))}")
        sizes = replace(sizes, **{name: int(text)})
    return sizes
