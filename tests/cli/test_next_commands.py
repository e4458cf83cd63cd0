"""The commands that screens and hints offer say again what was said: nobody loses a flag by following them."""

from __future__ import annotations

import dataclasses
import shlex

import pytest

from backfill_cli.app.commands import command_line, run_command
from backfill_cli.core.options import BackfillOptions
from cli.test_commands import options_of

SAID = [
    *["--start", "2024-03-01", "--end", "2024-03-31T12:00Z", "--limit", "9", "--include-incomplete"],
    *["--ignore-dag-bounds", "--parallel", "8", "--task", "load+", "--task", "+x", "--reprocess", "failed,stale"],
    *["--chunk", "7d", "--chunk-failures", "10%", "--pilot", "3", "--ramp", "--reset-dag-run", "--run-backwards"],
    *["--ignore-first-depends-on-past", "--strict-templates", "--conf", "region=eu west"],
    *["--between", "22:00-06:00", "--between", "sat,sun 00:00-24:00"],
]
FOR_ONE_COMMAND = [
    *["--max-runs", "20", "--workers", "5", "--executor", "process", "--orphans", "wait", "--on-conflict", "skip"],
    *["--max-failures", "10%", "--max-duration", "1h30m", "--deadline", "2024-04-01T06:00:00", "--parallel-min", "2"],
    *["--target-latency", "1.5s", "--probe", "curl -f 'http://x'"],
]


def asked(bfill, service, words: list[str]) -> BackfillOptions:
    service.calls.clear()
    bfill("run", *words)
    return dataclasses.replace(options_of(service, "run"), reason=None, yes=False)


@pytest.mark.parametrize("more", [["--fail-fast"], ["--last", "30d"], ["--dates", "2024-03-01,2024-03-02T05:00Z"], []])
def test_a_command_that_is_offered_means_what_was_typed(bfill, service, more):
    options = asked(bfill, service, ["--dag", "sales", *SAID, *FOR_ONE_COMMAND, *more])
    offered = shlex.split(command_line("run", options))
    assert offered[:2] == ["bfill", "run"]
    assert asked(bfill, service, offered[2:]) == options


def test_a_plan_that_is_stored_is_run_with_what_no_plan_keeps(bfill, service):
    """How it is run belongs to the command that runs it: a limit planned with, and then gone in silence, is none."""
    options = asked(bfill, service, ["--dag", "sales", *SAID, *FOR_ONE_COMMAND])
    offered = shlex.split(run_command("bf-20240401-7k2m", options))
    assert offered[:3] == ["bfill", "run", "bf-20240401-7k2m"]
    assert sorted(offered[3:]) == sorted(FOR_ONE_COMMAND)
    assert run_command("bf-20240401-7k2m", BackfillOptions()) == "bfill run bf-20240401-7k2m"
