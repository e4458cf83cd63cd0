"""A wall clock that a test sets, for bfill and all it starts: libfaketime under a warm process.

Owns the setting. Steady clocks are left alone, as no one can set them in earnest either. `time.sleep` of Python 3.11
fails under this library then (it asks for an instant of a clock that was left alone), so it waits by `select` here.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest
from blackbox.world import Forker

LIBRARY = next(iter(sorted(Path("/usr/lib").glob("*/faketime/libfaketimeMT.so.1"))), None)
needs_faketime = pytest.mark.skipif(LIBRARY is None, reason="needs libfaketime: apt-get install faketime")

HEAD = """\
import os, time
from datetime import datetime, timedelta
from pathlib import Path
from backfill_cli import DAG, BashOperator, PythonOperator, RetryLater, task

HERE = Path(__file__).parent.parent

def witness(what):
    with open(HERE / "witness", "a") as file:
        file.write(f"{what}\\n")

def set_clock(to):
    Path(os.environ["FAKETIME_TIMESTAMP_FILE"]).write_text(to + "\\n")

"""


SLEEP = "import select, time\ntime.sleep = lambda seconds: select.select([], [], [], seconds) and None\n"


class WallClock:
    """The wall clock of everything below one `Forker`."""

    def __init__(self, folder: Path, code: Path | None) -> None:
        self.file = folder / "clock"
        self.set("+0")
        (folder / "sitecustomize.py").write_text(SLEEP, encoding="utf-8")
        self.path = os.pathsep.join(map(str, (folder, *([code] if code else []))))

    def set(self, to: str) -> None:
        """Set it: `-365d` beside the real one, or an instant (`2038-01-19 03:14:05`) at which it then stands still."""
        self.file.write_text(to + "\n", encoding="utf-8")

    @property
    def environ(self) -> dict[str, str]:
        return {
            "LD_PRELOAD": str(LIBRARY),
            "FAKETIME_TIMESTAMP_FILE": str(self.file),
            "FAKETIME_NO_CACHE": "1",
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
            "NO_FAKE_STAT": "1",
            "PYTHONPATH": self.path,
        }


@contextmanager
def with_clock(folder: Path, code: Path | None = None) -> Iterator[tuple[Forker, WallClock]]:
    """A warm process whose wall clock can be set; of the bfill in `code`, or of this one."""
    clock = WallClock(folder, code)
    before = {name: os.environ.get(name) for name in clock.environ}
    os.environ.update(clock.environ)
    try:
        forker = Forker()
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value
    with closing(forker):
        yield forker, clock
