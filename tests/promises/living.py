"""Real life, in which there is nothing to find: whatever people do with bfill, in any order, and kills in between."""

from __future__ import annotations

import shutil
import signal
import time
from contextlib import suppress
from random import Random

from blackbox.world import SALES, Project, Ran

from promises.tampering import days

NAP = """\
with DAG("nap", schedule="@daily", start_date=datetime(2024, 1, 1)):
    BashOperator(task_id="one", bash_command="sleep 0.1") >> BashOperator(task_id="two", bash_command="sleep 0.1")
"""


class Life:
    """A project in which random commands follow each other, and nothing is wrong."""

    def __init__(self, project: Project, random: Random) -> None:
        self.project = project
        self.random = random
        project.write("dags/sales.py", SALES)
        project.write("dags/nap.py", NAP)

    def step(self) -> str:
        """Do one thing; returns what."""
        random = self.random
        what = random.choice(
            ("run", "run", "plan", "kill", "kill", "rerun-failed", "reset", "reprocess", "stop", "task", "prune")
        )
        dag = random.choice(("sales", "sales", "nap")) if what not in ("kill", "stop") else "nap"
        first = random.randint(1, 6)
        words = ("--dag", dag, *days(first, first + random.randint(0, 3)))
        broken = [f"2024-03-{day:02}" for day in range(1, 10) if random.random() < 0.3]
        shutil.rmtree(self.project.folder / "broken", ignore_errors=True)
        self.project.breaks(random.choice(("load", "extract")), *broken)
        if what in ("kill", "stop"):
            return self._cut_short(what, words)
        ran = self.project.bfill(*self._words(what, words))
        assert ran.code in (0, 1), ran
        return what

    def _words(self, what: str, words: tuple[str, ...]) -> tuple[str, ...]:
        match what:
            case "run":
                return ("run", *words, "--parallel", "3", "-q")
            case "reprocess":
                return ("run", *words, "--reprocess", self.random.choice(("failed", "success", "all")), "-q")
            case "task":
                return ("run", *words, "--task", "one" if words[1] == "nap" else "extract", "-q")
            case "reset":
                return ("reset", *words, "--yes", "-q")
            case "rerun-failed":
                return ("rerun-failed", *words, "-q")
            case "prune":
                return ("store", "prune", "--older-than", "2100-01-01", "--yes", "-q")
            case _:
                return ("plan", *words, "-q")

    def _cut_short(self, what: str, words: tuple[str, ...]) -> str:
        going = self.project.start("run", *words, "--reprocess", "all", "--parallel", "2", "-q")
        time.sleep(self.random.uniform(0, 0.5))
        with suppress(ProcessLookupError):
            going.signal(signal.SIGKILL if what == "kill" else signal.SIGINT)
        going.wait()
        return what

    def verify(self) -> Ran:
        return self.project.bfill("audit", "verify", "--json")
