"""Commands to type next, as text that can be pasted: what results and hints offer.

Owns the way back from options to words on a command line.
"""

from __future__ import annotations

import shlex
from dataclasses import replace
from datetime import date, datetime

from backfill_cli.core.durations import typed
from backfill_cli.core.options import BackfillOptions


def command_line(command: str, options: BackfillOptions) -> str:
    """Return `bfill COMMAND …` for these options, quoted for a shell."""
    words = ["bfill", command, *selection_words(options)]
    if options.max_parallel_runs != 1 and command in ("run", "plan", "rerun-failed"):
        words += ["--parallel", str(options.max_parallel_runs)]
    for one in options.tasks:
        words += ["--task", one]
    if options.reprocess:
        words += ["--reprocess", ",".join(sorted(options.reprocess))]
    for flag, value in (
        ("--chunk", options.chunk),
        ("--chunk-failures", options.chunk_failures),
        ("--pilot", options.pilot),
    ):
        if value is not None:
            words += [flag, str(value)]
    for flag, given in (
        ("--ramp", options.ramp),
        ("--reset-dag-run", options.reset_dag_run),
        ("--run-backwards", options.run_backwards),
        ("--ignore-first-depends-on-past", options.ignore_first_depends_on_past),
        ("--whole-run", options.whole_run),
        ("--strict-templates", options.strict_templates),
    ):
        if given:
            words.append(flag)
    if options.conf:
        import json

        from backfill_cli.app.actor import mask_conf

        words += ["--conf", json.dumps(mask_conf(options.conf))]
    for hours in options.between:
        words += ["--between", hours]
    return shlex.join([*words, *once_words(options)])


def run_command(backfill_id: str, options: BackfillOptions) -> str:
    """Return `bfill run ID` for a stored plan, with what was said that no plan keeps."""
    return shlex.join(["bfill", "run", backfill_id, *once_words(options)])


def rerun_command(backfill_id: str, options: BackfillOptions) -> str:
    """Return `bfill rerun-failed ID …` for the failures of a backfill, which names its DAG itself."""
    unnamed = replace(options, dag_id=None, dag=None, command=None, schedule=None, name=None, timezone=None)
    words = command_line("rerun-failed", unnamed).removeprefix("bfill rerun-failed")
    return f"bfill rerun-failed {backfill_id}{words}"


def once_words(options: BackfillOptions) -> list[str]:
    """Return the flags that hold for one command and are stored nowhere, as far as they were given."""
    deadline, lasting, latency = _word(options.deadline), options.max_duration, options.target_latency
    pairs = (
        ("--max-runs", options.max_runs),
        ("--workers", options.workers),
        ("--executor", options.executor),
        ("--orphans", options.orphans if options.orphans != "end" else None),
        ("--on-conflict", options.on_conflict if options.on_conflict != "fail" else None),
        ("--max-failures", options.max_failures),
        ("--max-duration", None if lasting is None else typed(lasting.total_seconds())),
        ("--deadline", deadline),
        ("--parallel-min", options.min_parallel_runs),
        ("--target-latency", None if latency is None else f"{latency.total_seconds():g}s"),
        ("--probe", options.probe),
    )
    words = [word for flag, value in pairs if value is not None for word in (flag, str(value))]
    return [*words, "--fail-fast"] if options.fail_fast else words


def selection_words(options: BackfillOptions) -> list[str]:
    """Return the flags that select the DAG and its dates."""
    words: list[str] = []
    pairs = (
        ("--dag", options.dag_id or getattr(options.dag, "dag_id", None)),
        ("--command", options.command),
        ("--schedule", options.schedule),
        ("--name", options.name),
        ("--timezone", options.timezone),
        ("--start", _word(options.start_date)),
        ("--end", _word(options.end_date)),
        ("--last", options.last),
        ("--dates", ",".join(_word(one) or "" for one in options.dates) or None),
        ("--limit", None if options.limit is None else str(options.limit)),
    )
    for flag, value in pairs:
        if value is not None:
            words += [flag, value]
    for flag, given in (
        ("--include-incomplete", options.include_incomplete),
        ("--ignore-dag-bounds", options.ignore_dag_bounds),
    ):
        if given:
            words.append(flag)
    return words


def asked_range(options: BackfillOptions) -> str:
    """Return the range as it was asked for, in words: what the plan echoes."""
    if options.dates:
        return f"{len(options.dates)} named dates" if len(options.dates) > 1 else f"{_word(options.dates[0])}"
    if options.last:
        end = f" up to {_word(options.end_date)}" if options.end_date else ""
        return f"the last {options.last}{end}"
    start = _word(options.start_date) or "the DAG's start_date"
    end = _word(options.end_date) or "the last complete interval"
    whole = ", whole days" if _is_day(options.start_date) and _is_day(options.end_date) else ""
    both = ", both included" if options.start_date and options.end_date else ""
    return f"{start} … {end}{whole}{both}"


def _is_day(when: date | datetime | None) -> bool:
    return isinstance(when, date) and not isinstance(when, datetime)


def _word(when: date | datetime | None) -> str | None:
    return None if when is None else when.isoformat()
