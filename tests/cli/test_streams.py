"""Closed, broken and full streams, in real processes: no traceback, the exit code stands (issue 4, promise 8)."""

from __future__ import annotations

import os
import pty
import subprocess
import sys
from pathlib import Path

import pytest

TESTS = Path(__file__).parents[1]
ROOT = TESTS.parent
BFILL = f"{sys.executable} -m cli.fake"
LINUX_FULL = pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full here")


def shell(command: str, **env: str) -> subprocess.CompletedProcess[str]:
    """Run a line of bash in which `bfill` is the CLI over the fake service; exit codes of the whole pipe on stderr."""
    script = f'bfill() {{ {BFILL} "$@"; }}; {command}; echo "codes ${{PIPESTATUS[*]}}" >&2'
    environ = {**os.environ, "PYTHONPATH": f"{TESTS}:{ROOT}", **env}
    return subprocess.run(["bash", "-c", script], capture_output=True, text=True, env=environ, timeout=60, check=False)


@pytest.mark.parametrize(
    ("command", "codes"),
    [
        ("bfill plan --dag d --json | head -c 1", "0 0"),
        ("bfill plan --dag d --json --detailed-exitcode | head -c 1", "10 0"),
        ("bfill run --dag d -q --json | head -c 1", "1 0"),
        ("bfill run --dag d 2>&1 | head -1", "1 0"),
        ("bfill run --dag d 2>&1 >/dev/null | true", "1 0"),
        ("bfill --help | true", "0 0"),
        ("bfill status --nope --json | true", "2 0"),
        ("bfill run --dag d >&-", "1"),
        ("bfill run --dag d 2>&-", "1"),
        ("bfill run --dag d >&- 2>&-", "1"),
        ("bfill pln 2>&1 >&-", "2"),
        ("bfill run --dag d <&-", "1"),
    ],
)
def test_a_reader_that_leaves_changes_nothing(command, codes):
    ran = shell(command)
    assert f"codes {codes}" in ran.stderr
    assert "Traceback" not in ran.stderr
    assert "Exception ignored" not in ran.stderr


@LINUX_FULL
@pytest.mark.parametrize(
    ("command", "code"),
    [
        ("bfill plan --dag d >/dev/full", "74"),
        ("bfill plan --dag d --json >/dev/full", "74"),
        ("bfill run --dag d -q --json >/dev/full", "1"),
        ("bfill --help >/dev/full", "74"),
        ("bfill status --nope --json >/dev/full", "2"),
    ],
)
def test_a_full_disk_behind_stdout_is_told_in_a_line(command, code):
    ran = shell(command)
    assert f"codes {code}\n" in ran.stderr
    assert "No space left on device" in ran.stderr
    assert "Traceback" not in ran.stderr
    assert "Exception ignored" not in ran.stderr


@LINUX_FULL
def test_a_full_disk_behind_stderr_loses_progress_and_nothing_else():
    ran = shell("bfill run --dag d 2>/dev/full")
    assert "finished with failures" in ran.stdout


def test_an_encoding_without_check_marks_shows_escapes_instead_of_failing():
    ran = shell("bfill status", PYTHONIOENCODING="ascii")
    assert "codes 0" in ran.stderr
    assert "\\u25a0" in ran.stdout


def on_terminal(*words: str, **env: str) -> str:
    """Run over the fake service with all streams on a terminal of 80 columns; return what it received."""
    main, other = pty.openpty()
    environ = {**os.environ, "PYTHONPATH": f"{TESTS}:{ROOT}", "TERM": "xterm-256color", "COLUMNS": "80", **env}
    with subprocess.Popen(
        [sys.executable, "-m", "cli.fake", *words], stdin=other, stdout=other, stderr=other, env=environ
    ) as process:
        os.close(other)
        received = b""
        while True:
            try:
                chunk = os.read(main, 65536)
            except OSError:
                break
            if not chunk:
                break
            received += chunk
        process.wait()
    os.close(main)
    return received.decode("utf-8")


def test_a_terminal_gets_colour_and_its_cursor_back():
    text = on_terminal("run", "--dag", "d")
    assert "\x1b[1;31m" in text or "\x1b[31;1m" in text or "\x1b[1m" in text
    assert text.rindex("\x1b[?25h") > text.rindex("\x1b[?25l")
    assert "2024-04-01T" not in text, "lines are for logs"


@pytest.mark.parametrize("words", [["status", "--no-color"], ["plan", "--dag", "d", "--no-color"]])
def test_no_color_sends_no_escape(words):
    assert "\x1b" not in on_terminal(*words)


def test_the_variable_no_color_is_heeded():
    assert "\x1b" not in on_terminal("status", NO_COLOR="1")
    assert "\x1b" in on_terminal("status")


def test_a_dumb_terminal_gets_lines_in_place_of_the_board():
    text = on_terminal("run", "--dag", "d", TERM="dumb")
    assert "\x1b" not in text
    assert "finished failed ok 26" in text
