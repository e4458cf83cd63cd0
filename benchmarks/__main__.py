"""`python -m benchmarks`: measure the rows, print them, and say which aims hold."""

from __future__ import annotations

import argparse
import compileall
import os
import platform
import sys
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

from benchmarks import planning, running, standing, starting
from benchmarks.children import HERE
from benchmarks.lines import Line, table
from benchmarks.peers import peers
from benchmarks.sizes import FULL, QUICK, TINY, Sizes, changed

Row = Callable[[Sizes], list[Line]]

ROWS: dict[str, Row] = {
    "noop": running.noop,
    "cold": running.cold,
    "memory": running.memory,
    "bytes": running.bytes_a_task,
    "shell": running.shell,
    "dry-run": planning.dry_run,
    "stored-plan": planning.stored_plan,
    "expansion": planning.expansion,
    "template": planning.template,
    "status": standing.status,
    "startup": starting.startup,
}


def main(argv: Sequence[str] | None = None) -> int:
    """Measure and print; 0, or 1 with `--strict` when a gate does not hold."""
    options = _parser().parse_args(argv)
    try:
        sizes = changed({"full": FULL, "quick": QUICK, "tiny": TINY}[options.sizes], options.set)
    except ValueError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    rows = dict(ROWS)
    if options.peers is not None:
        rows["peers"] = partial(peers, folder=options.peers)
    names = options.rows.split(",") if options.rows else list(rows)
    unknown = [name for name in names if name not in rows]
    if unknown:
        print(f"error: no row '{unknown[0]}'\nhint: use {', '.join(rows)}", file=sys.stderr)
        return 2
    # Without compiled bytecode, start-up figures are fiction.
    compileall.compile_dir(HERE.parent / "backfill_cli", quiet=2)
    print(_circumstances(), flush=True)
    lines = _measured({name: rows[name] for name in names}, sizes)
    print(table(lines))
    print(_circumstances())
    failed = [line.name for line in lines if line.verdict == "no"]
    unclear = [line.name for line in lines if line.verdict == "?"]
    if unclear:
        print(f"{len(unclear)} too small or too noisy to say: {'; '.join(unclear)}")
    print(f"{len(failed)} gates do not hold: {'; '.join(failed)}" if failed else "no gate is broken")
    return 1 if failed and options.strict else 0


def _measured(rows: dict[str, Row], sizes: Sizes) -> list[Line]:
    lines: list[Line] = []
    for name, row in rows.items():
        began = time.perf_counter()
        lines += row(sizes)
        print(f"{name}: {time.perf_counter() - began:.0f} s", file=sys.stderr, flush=True)
    return lines


def _circumstances() -> str:
    load = " ".join(f"{one:.2f}" for one in os.getloadavg())
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return f"{time.strftime('%Y-%m-%d %H:%M:%S')}, Python {platform.python_version()}, {cores} cores, load {load}"


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--rows", metavar="NAME,…", help=f"only these: {', '.join(ROWS)}, peers")
    parser.add_argument("--quick", dest="sizes", action="store_const", const="quick", default="full", help="a minute")
    parser.add_argument(
        "--tiny", dest="sizes", action="store_const", const="tiny", help="seconds; figures mean nothing"
    )
    parser.add_argument("--set", action="append", default=[], metavar="NAME=N", help="another size; see sizes.py")
    parser.add_argument("--peers", type=Path, metavar="FOLDER", help="install other tools there, and measure them too")
    parser.add_argument("--strict", action="store_true", help="exit 1 when a gate does not hold")
    return parser


if __name__ == "__main__":
    sys.exit(main())
