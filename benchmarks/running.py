"""Rows about whole runs: durable no-op tasks, the cold command, memory, bytes, shell tasks."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path

from benchmarks.children import Cost, added, in_turn, measure, private_folder, probe
from benchmarks.commands import fresh, run
from benchmarks.lines import Aim, Line
from benchmarks.sizes import Sizes

MICRO = 1_000_000
MORE = 2
"""Times as many rounds where the figure is the difference of two runs, which noise hits twice."""


def _each(best: dict[str, Cost], name: str, count: int, empty: str) -> float:
    """Return microseconds a task: the run over one date is the empty one, so `count - 1` tasks are the difference."""
    return (best[name].wall_s - best[empty].wall_s) / max(1, count - 1) * MICRO


def _each_cpu(best: dict[str, Cost], name: str, count: int, empty: str) -> float:
    """The same in CPU time of all threads: neighbours on a busy machine and a slow disk hardly move it."""
    return (best[name].cpu_s - best[empty].cpu_s) / max(1, count - 1) * MICRO


def noop(sizes: Sizes) -> list[Line]:
    """Durable no-op Python tasks against the bare pool, and many dates against few."""
    # As many tasks in all as in one long run: a single short one may find a quiet moment that no long one can find.
    again = max(1, sizes.many // sizes.few)
    with private_folder() as folder:
        best = in_turn(
            {
                "one": lambda: run("noop", 1, fresh(folder)),
                "ones": lambda: added(lambda: run("noop", 1, fresh(folder)), again),
                "few": lambda: added(lambda: run("noop", sizes.few, fresh(folder)), again),
                "many": lambda: run("noop", sizes.many, fresh(folder)),
                "bare one": lambda: bare(1, fresh(folder)),
                "bare few": lambda: bare(sizes.few, fresh(folder)),
                "bare many": lambda: bare(sizes.many, fresh(folder)),
            },
            sizes.rounds * MORE,
        )
    fews = (sizes.few - 1) * again + 1
    few, many = _each(best, "few", fews, "ones"), _each(best, "many", sizes.many, "one")
    pool_few = _each(best, "bare few", sizes.few, "bare one")
    pool = _each(best, "bare many", sizes.many, "bare one")
    cpu_few, cpu = _each_cpu(best, "few", fews, "ones"), _each_cpu(best, "many", sizes.many, "one")
    pool_cpu = _each_cpu(best, "bare many", sizes.many, "bare one")
    against = "bare pool + SQLite"
    return [
        Line(f"no-op task, {sizes.few:,} dates", few, "µs", pool_few, against),
        Line(f"no-op task, {sizes.many:,} dates", many, "µs", pool, against, Aim(6)),
        Line(f"no-op task, {sizes.many:,} dates, absolute", many, "µs", aim=Aim(200, 50, "µs"), is_difference=True),
        Line("a task among many dates over one among few", many, "µs", few, f"{sizes.few:,} dates", Aim(1.2)),
        Line("the same in CPU time", cpu, "µs", cpu_few, f"{sizes.few:,} dates", Aim(1.2)),
        Line(f"no-op task, {sizes.many:,} dates, CPU time", cpu, "µs", pool_cpu, against),
    ]


def bare(count: int, store: Path) -> Cost:
    """The yardstick: a thread pool and a SQLite table, nothing else."""
    return measure(probe("bare_pool", count, store))


def cold(sizes: Sizes) -> list[Line]:
    """The whole command over a year of days, from nothing to a closed store."""
    with private_folder() as folder:
        best = in_turn(
            {"bfill": lambda: run("daily", sizes.cold, fresh(folder)), "bare": lambda: bare(sizes.cold, fresh(folder))},
            sizes.rounds,
        )
    name = f"cold command, {sizes.cold:,} dates"
    return [Line(name, best["bfill"].wall_s, "s", best["bare"].wall_s, "bare pool", Aim(0.7, 0.35, "s"))]


def memory(sizes: Sizes) -> list[Line]:
    """Peak memory of three tasks a date above the same command over one date: the libraries and the DAG."""
    with private_folder() as folder:
        large = run("three", sizes.many, fresh(folder)).peak_mib
        small = run("three", 1, fresh(folder)).peak_mib
    above = Line(
        f"memory of {sizes.many:,} × 3 above one date", large - small, "MiB", small, "one date", Aim(40, 20, "MiB")
    )
    return [above]


def bytes_a_task(sizes: Sizes) -> list[Line]:
    """What a finished task instance adds to the store, everything included: runs, tries, plan, indexes."""
    lines = []
    with private_folder() as folder:
        table = _growth(bare, sizes.many, folder)
        for dag, tasks in (("noop", 1), ("three", 3)):
            each = _growth(partial(run, dag), sizes.many, folder) / tasks
            name = f"store a task instance, {tasks} a date"
            lines.append(Line(name, each, "B", table, "bare table", Aim(200, 80, "B")))
    return lines


def _growth(job: Callable[[int, Path], Cost], count: int, folder: Path) -> float:
    large, small = fresh(folder), fresh(folder)
    job(count, large)
    job(1, small)
    return (large.stat().st_size - small.stat().st_size) / max(1, count - 1)


def shell(sizes: Sizes) -> list[Line]:
    """Shell tasks with eight workers against `subprocess.run` of the same command in eight threads."""
    with private_folder() as folder:
        best = in_turn(
            {
                "one": lambda: run("shell", 1, fresh(folder), workers=8, parallel=8),
                "all": lambda: run("shell", sizes.shells, fresh(folder), workers=8, parallel=8),
                "bare one": lambda: measure(probe("bare_shell", 1)),
                "bare all": lambda: measure(probe("bare_shell", sizes.shells)),
            },
            sizes.rounds * MORE,
        )
    each = _each(best, "all", sizes.shells, "one") / 1_000
    raw = _each(best, "bare all", sizes.shells, "bare one") / 1_000
    cpu = _each_cpu(best, "all", sizes.shells, "one") / 1_000
    raw_cpu = _each_cpu(best, "bare all", sizes.shells, "bare one") / 1_000
    name, against = f"shell task, {sizes.shells:,} dates", "bare subprocess.run"
    return [
        Line(name, each, "ms", raw, against, Aim(1.8)),
        Line(f"{name}, CPU time", cpu, "ms", raw_cpu, against),
    ]
