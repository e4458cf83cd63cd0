"""The report of a bug: private, and without secrets, on the screen and in its file."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from backfill_cli.cli.mistakes import explain
from backfill_cli.core.masking import SECRETS
from backfill_cli.render.errors import two_lines


def test_a_bug_report_shows_no_secret_and_drives_no_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    SECRETS.add("hunter22hunter")
    try:
        raise ZeroDivisionError("at hunter22hunter \x1b[2J")
    except ZeroDivisionError as error:
        bug = explain(error, ["run", "-v"])
    shown = two_lines(str(bug), bug.hint, colour=False) + capsys.readouterr().err
    file = Path(re.search(r"is in (\S+);", bug.hint)[1])  # type: ignore[index]
    try:
        assert file.stat().st_mode & 0o777 == 0o600
        assert "at ***" in file.read_text()
        assert "hunter22" not in shown + file.read_text()
        assert "at ***" in shown
        assert "\x1b" not in shown
    finally:
        file.unlink()
