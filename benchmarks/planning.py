"""Rows about plans and what they are made of: dry and stored plans, interval expansion, one template field."""

from __future__ import annotations

from benchmarks.children import asked, in_turn, measure, private_folder, probe
from benchmarks.commands import fresh, plan
from benchmarks.lines import Aim, Line
from benchmarks.sizes import Sizes


def dry_run(sizes: Sizes) -> list[Line]:
    """A preview of a million five-minute intervals in a zone with daylight saving."""
    return _plans(sizes, "dry run", dry_run=True, aim=Aim(2, 0.8, "s"))


def stored_plan(sizes: Sizes) -> list[Line]:
    """The same plan, kept as a `planned` backfill."""
    return _plans(sizes, "stored plan", dry_run=False, aim=Aim(4, 2, "s"))


def _plans(sizes: Sizes, what: str, *, dry_run: bool, aim: Aim) -> list[Line]:
    with private_folder() as folder:
        best = in_turn(
            {
                "all": lambda: plan("noop", sizes.plan, fresh(folder), dry_run=dry_run),
                "one": lambda: plan("noop", 1, fresh(folder), dry_run=dry_run),
                "bare": lambda: measure(probe("bare_plan", sizes.plan, *[] if dry_run else [fresh(folder)])),
            },
            sizes.rounds,
        )
    name = f"{what} of {sizes.plan:,}"
    above = best["all"].peak_mib - best["one"].peak_mib
    against = "bare loop" if dry_run else "bare executemany"
    return [
        Line(name, best["all"].wall_s, "s", best["bare"].wall_s, against, aim),
        Line(f"{name}: memory above one date", above, "MiB", best["one"].peak_mib, "one date", Aim(64, None, "MiB")),
    ]


def expansion(sizes: Sizes) -> list[Line]:
    """Hourly intervals a second, Berlin, over many changes of the clock."""
    speeds = asked(probe("expansion", sizes.ticks, sizes.slow_ticks))
    ours = speeds.pop("bfill")
    aim: Aim | None = Aim(1e6, 5e6, "/s", at_least=True)
    lines = []
    for name, speed in speeds.items():
        lines.append(Line(f"interval expansion, hourly, beside {name}", ours, "/s", speed, name, aim))
        aim = None
    return lines


def template(sizes: Sizes) -> list[Line]:
    """One field with two macros, compiled once, against Jinja rendering the same text from the same context."""
    took = asked(probe("template", sizes.renders))
    against = "bare Jinja, compiled once"
    return [
        Line("template field", took["bfill"], "µs", took["jinja"], against, Aim(4)),
        Line("template field, absolute", took["bfill"], "µs", aim=Aim(28, None, "µs")),
    ]
