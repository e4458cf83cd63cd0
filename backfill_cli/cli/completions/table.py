"""The command line as a table: every command with its flags, and how the value of each is completed.

Owns what a value is completed with, flag by flag. A flag that is missing here completes with nothing and fails the test
that compares this table with the app: whoever adds a flag decides what stands behind it.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from backfill_cli.cli.completions import FILES
from backfill_cli.cli.running import REPROCESS
from backfill_cli.cli.words import STATES
from backfill_cli.core.records import Control


class Value(NamedTuple):
    """What the value of a flag or argument is completed with.

    Args:
        name: What it is called in the files; `bfill __complete` knows it by this name when it is `asked`.
        words: Words that never change.
        asked: The candidates come from `bfill __complete`.
        files: File names too, with this ending; `*` for all.
        listed: Several, separated by commas.
    """

    name: str
    words: tuple[str, ...] = ()
    asked: bool = False
    files: str = ""
    listed: bool = False


NOTHING = Value("nothing")
FILE = Value("files", files="*")
DAG = Value("dags", asked=True, files="*.py")
BACKFILL = Value("backfills", asked=True)
DATE = Value("dates", asked=True)
POOL = Value("pools", asked=True)
SCENARIO = Value("scenarios", asked=True)

FLAGS: dict[str, Value] = {
    "--action": Value(
        "actions", ("plan", "run", "rerun-failed", "reset", *map(str, Control), "pools set", "pools delete")
    ),
    "--actor": NOTHING,
    "--after": DATE,
    "--chunk": Value("chunks", ("7d", "30d", "30", "auto")),
    "--chunk-failures": Value("chunk-failures", ("stop", "skip", "10%")),
    "--between": Value("hours", ("22:00-06:00",)),
    "--command": NOTHING,
    "--conf": NOTHING,
    "--dag": DAG,
    "--description": NOTHING,
    "--dates": Value("date-list", asked=True, listed=True),
    "--dates-from": FILE,
    "--deadline": NOTHING,
    "--end": DATE,
    "--events": FILE,
    "--executor": Value("executors", ("thread", "process")),
    "--expect-head": NOTHING,
    "--format": Value("formats", ("md", "html", "json", "csv")),
    "--junit": FILE,
    "--last": Value("spans", ("1d", "7d", "30d", "90d", "6h")),
    "--limit": NOTHING,
    "--max-duration": Value("durations", ("30m", "1h", "2h", "8h")),
    "--max-failures": Value("failures", ("1", "5", "5%", "10%")),
    "--name": NOTHING,
    "--older-than": Value("ages", ("30d", "90d", "180d", "365d")),
    "--now": NOTHING,
    "--on-event": NOTHING,
    "--on-conflict": Value("conflicts", ("fail", "wait", "skip", "cancel-other")),
    "--orphans": Value("orphans", ("end", "wait", "leave")),
    "--out": FILE,
    "--parallel": NOTHING,
    "--parallel-min": NOTHING,
    "--probe": NOTHING,
    "--pilot": NOTHING,
    "--reason": NOTHING,
    "--reprocess": Value("reprocess", REPROCESS, listed=True),
    "--schedule": Value("presets", ("@hourly", "@daily", "@weekly", "@monthly", "@quarterly", "@yearly")),
    "--since": DATE,
    "--start": DATE,
    "--store": FILE,
    "--tag": Value("tags", asked=True),
    "--target": Value("targets", asked=True),
    "--target-latency": Value("latencies", ("1s", "2s", "10s", "1m")),
    "--task": Value("tasks", asked=True),
    "--timezone": Value("zones", asked=True),
    "--try": NOTHING,
    "--until": DATE,
    "--where": Value("states", tuple(str(state) for state in STATES), listed=True),
    "--max-runs": NOTHING,
    "--workers": NOTHING,
}

ARGUMENTS: dict[str, Value] = {
    "ID": BACKFILL,
    "ID parallel=N": Value("set-words", asked=True),
    "ID DATE [DATE…]": Value("skip-words", asked=True),
    "[ID] DATE [TASK]": Value("log-words", asked=True),
    "[ID] DATE": Value("date-words", asked=True),
    "DAG": DAG,
    "POOL": POOL,
    "NAME SLOTS": POOL,
    "NUMBER": SCENARIO,
    "[NUMBER…]": SCENARIO,
    "FILE": FILE,
    "SHELL": Value("shells", tuple(FILES)),
}
"""By their metavar."""


class Flag(NamedTuple):
    """One flag: its spellings, longest last; no value makes it a switch."""

    names: tuple[str, ...]
    help: str
    value: Value | None
    repeats: bool


class Command(NamedTuple):
    """One command.

    Args:
        path: The words that call it; empty for `bfill` itself.
        argument: What its arguments are completed with, None when it takes none; `many` when it takes several.
        below: The commands under it: name → one line of help.
    """

    path: tuple[str, ...]
    help: str
    flags: tuple[Flag, ...]
    argument: Value | None
    many: bool
    below: dict[str, str]


def commands() -> list[Command]:
    """Return every command of the app, `bfill` itself first."""
    from backfill_cli.cli.catalog import CATALOG, root_command

    root = root_command()
    found = [_command(root, (), {name: entry.summary for name, entry in CATALOG.items()})]
    for name, entry in CATALOG.items():
        found += _tree(root.get_command(None, name), (name,), entry.summary)
    return found


def values(table: list[Command]) -> list[Value]:
    """Return every kind of value that occurs, once, by name."""
    used = {flag.value for command in table for flag in command.flags} | {command.argument for command in table}
    return sorted((value for value in used if value is not None), key=lambda value: value.name)


def _tree(command: Any, path: tuple[str, ...], summary: str) -> list[Command]:
    below = getattr(command, "commands", {})
    helps = {name: one.get_short_help_str(200) for name, one in below.items()}
    found = [_command(command, path, helps, summary)]
    for name, one in below.items():
        found += _tree(one, (*path, name), helps[name])
    return found


def _command(command: Any, path: tuple[str, ...], below: dict[str, str], summary: str = "") -> Command:
    import typer

    # A parent makes `bfill audit verify` out of `verify`; no parameter here is of interest to completion.
    params = command.get_params(typer.Context(command))
    shown = [param for param in params if not getattr(param, "hidden", False)]
    arguments = [param for param in shown if param.param_type_name == "argument"]
    if len(arguments) > 1:
        raise ValueError(f"{' '.join(path)} has {len(arguments)} arguments: say in completions/ which is which")
    return Command(
        path,
        summary,
        tuple(_flag(param) for param in shown if param.param_type_name == "option"),
        ARGUMENTS.get(arguments[0].metavar, NOTHING) if arguments else None,
        bool(arguments) and arguments[0].nargs == -1,
        below,
    )


def _flag(param: Any) -> Flag:
    names = tuple(sorted(param.opts, key=len))
    return Flag(names, param.help or "", None if param.is_flag else FLAGS.get(names[-1], NOTHING), bool(param.multiple))
