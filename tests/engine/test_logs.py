"""Log files: private whatever the umask, made at the first byte, and only what a try says itself."""

from __future__ import annotations

import json
import logging
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from threading import Thread

import pytest

from backfill_cli.engine.logs import AttemptLog, captured, speaking


@pytest.fixture(params=[0, 0o022, 0o777])
def any_umask(request: pytest.FixtureRequest) -> Iterator[None]:
    """From one that takes nothing away to one that leaves nothing."""
    before = os.umask(request.param)
    yield
    os.umask(before)


def mode(path: Path) -> int:
    return path.stat().st_mode & 0o777


@pytest.mark.usefixtures("any_umask")
def test_files_are_0600_and_folders_0700_under_any_umask(tmp_path: Path) -> None:
    path = tmp_path / "logs" / "toy" / "run" / "a.1.log"
    log = AttemptLog(str(path))
    log.write(b"secret\n")
    log.close()
    assert mode(path) == 0o600
    assert {mode(folder) for folder in list(path.parents)[:3]} == {0o700}


def test_a_file_that_was_open_to_others_is_closed_to_them(tmp_path: Path) -> None:
    path = tmp_path / "a.log"
    path.touch(0o666)
    path.chmod(0o666)
    log = AttemptLog(str(path))
    log.write(b"x")
    log.close()
    assert mode(path) == 0o600


def test_a_symlink_in_place_of_a_log_is_refused(tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    victim.write_text("untouched")
    (tmp_path / "a.log").symlink_to(victim)
    with pytest.raises(OSError, match="symbolic link"):
        AttemptLog(str(tmp_path / "a.log")).write(b"overwritten")
    assert victim.read_text() == "untouched"


def test_the_file_is_made_at_the_first_byte(tmp_path: Path) -> None:
    log = AttemptLog(str(tmp_path / "logs" / "a.log"))
    log.write(b"")
    assert not (tmp_path / "logs").exists()
    log.line("now")
    log.close()
    assert (tmp_path / "logs" / "a.log").read_text() == "[bfill] now\n"


def test_what_is_written_after_the_end_is_dropped(tmp_path: Path) -> None:
    """A thread the task left behind may go on printing."""
    log = AttemptLog(str(tmp_path / "a.log"))
    log.write(b"in time\n")
    log.close()
    log.write(b"late\n")
    assert (tmp_path / "a.log").read_text() == "in time\n"


def test_bfills_own_lines_never_raise(tmp_path: Path) -> None:
    """How a try ended must not change because the disk is full."""
    (tmp_path / "file").touch()
    AttemptLog(str(tmp_path / "file" / "a.log")).line("nobody will read this")


def test_without_a_path_nothing_is_kept() -> None:
    AttemptLog("").write(b"x")


def test_what_no_try_says_goes_to_stderr(capsys: pytest.CaptureFixture[str]) -> None:
    """stdout carries bfill's own result."""
    with captured(own_process=False):
        print("from nowhere")
    assert capsys.readouterr() == ("", "from nowhere\n")


def test_streams_handlers_and_levels_are_put_back() -> None:
    root = logging.getLogger()
    before = sys.stdout, sys.stderr, root.level, list(root.handlers)
    with captured(own_process=False):
        assert sys.stdout is not before[0]
        assert root.level == logging.INFO
    assert (sys.stdout, sys.stderr, root.level, list(root.handlers)) == before


def test_a_level_that_somebody_chose_stays() -> None:
    root = logging.getLogger()
    before = root.level
    root.setLevel(logging.ERROR)
    try:
        with captured(own_process=False):
            assert root.level == logging.ERROR
    finally:
        root.setLevel(before)


def test_a_log_record_with_wrong_arguments_does_not_fail_the_task(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(logging.getLogger(), "handlers", [])  # pytest's own raise what others print
    log = AttemptLog(str(tmp_path / "a.log"))
    with captured(own_process=False), speaking(log):
        logging.getLogger("mine").warning("%d rows", "many")
        print("and on")
    assert "and on" in (tmp_path / "a.log").read_text()
    capsys.readouterr()


def test_a_thread_the_task_started_speaks_for_nobody(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    log = AttemptLog(str(tmp_path / "a.log"))
    with captured(own_process=False), speaking(log):
        thread = Thread(target=lambda: print("from another thread"))
        thread.start()
        thread.join()
    assert not (tmp_path / "a.log").exists()
    assert capsys.readouterr().err == "from another thread\n"


def test_text_that_is_no_unicode_is_written_as_an_escape(tmp_path: Path) -> None:
    log = AttemptLog(str(tmp_path / "a.log"))
    with captured(own_process=False), speaking(log):
        print("\udcff")
    assert (tmp_path / "a.log").read_text() == "\\udcff\n"


CHILD = """
import os, subprocess, sys, json
from backfill_cli.engine.logs import captured
with captured(own_process=True):
    print("printed")
    subprocess.run(["echo", "from a child"])
    os.write(1, b"from C\\n")
print(json.dumps({"ok": True}))
"""


def test_nothing_a_task_does_reaches_the_document_on_stdout() -> None:
    """Contract section 7: with --json stdout is one JSON document; children and C code write to file descriptor 1."""
    ended = subprocess.run([sys.executable, "-c", CHILD], capture_output=True, text=True, check=True)
    assert json.loads(ended.stdout) == {"ok": True}
    assert sorted(ended.stderr.splitlines()) == ["from C", "from a child", "printed"]
