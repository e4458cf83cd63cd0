"""`--help`: groups, real examples first, every shared option after every command."""

from __future__ import annotations

import pytest

from backfill_cli.cli.catalog import CATALOG

LEAVES = [
    *(name for name in CATALOG if name not in ("audit", "dags", "pools", "scenario", "store")),
    "audit",
    "audit verify",
    "audit report",
    "dags list",
    "dags show",
    "dags validate",
    "pools list",
    "pools set",
    "pools delete",
    "store check",
    "store backup",
    "store prune",
    "scenario list",
    "scenario show",
    "scenario run",
]
SHARED = ("--store", "--json", "--quiet", "--verbose", "--no-color")


def test_the_help_lists_every_command_in_its_group(bfill):
    ran = bfill("--help")
    assert ran.code == 0
    for name, entry in CATALOG.items():
        assert f"\n{entry.panel}\n" in ran.out
        assert f"\n  {name} " in ran.out
    assert bfill().out == bfill("-h").out == ran.out


@pytest.mark.parametrize("command", LEAVES)
def test_every_command_opens_with_examples_and_has_the_shared_options(bfill, command):
    ran = bfill(*command.split(), "--help")
    assert ran.code == 0
    examples, usage = ran.out.index("\nExamples\n"), ran.out.index("\nUsage  ")
    assert examples < usage
    assert f"  bfill {command}" in ran.out[examples:usage]
    for option in SHARED:
        assert option in ran.out


@pytest.mark.parametrize("command", LEAVES)
def test_every_command_accepts_every_shared_option(bfill, command):
    """Contract section 5: they stand after the command, also where they cannot matter."""
    arguments = {
        "dags show": ["d"],
        "scenario show": ["17.3.1"],
        "scenario run": ["17.99.1"],
        "logs": ["bf-1", "2024-03-11"],
        "explain": ["bf-1", "2024-03-11"],
        "plan": ["--dag", "d"],
        "completion": ["bash"],
        "pools set": ["p", "4"],
        "pools delete": ["p"],
        "store backup": ["copy.db"],
        "store prune": ["--older-than", "90d"],
    }.get(command, [])
    shared = ["--store", "x.db", "--json", "-q", "-v", "--no-color"]
    acting = (
        []
        if command.startswith(("audit ", "dags ", "scenario ", "store check"))
        else ["-y", "--conf", "a=b", "--reason", "r"]
    )
    ran = bfill(*command.split(), *arguments, *shared, *acting)
    assert ran.json["command"] == command
    assert ran.code < 10


def test_version_is_answered_by_every_road(bfill):
    from backfill_cli import __version__

    assert bfill("--version").out == bfill("-V").out == f"bfill {__version__}\n"
