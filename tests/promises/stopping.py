"""Commands that are sent signals at random instants, and what must be true when they have left.

Owns the DAG whose tasks take every way of not wanting to end, the three ways a signal reaches a command (alone, with
its group, with its session), and the check of what is left: exit code, store, processes, and the command once more.
Nothing of bfill is imported: the store is read with SQL, processes are read from /proc.
"""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

from blackbox.world import Forker, Going, Project, Ran, until

from promises.harness import Trial

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)

SHELL = {
    "plain": "sleep {s}",
    "child": "sleep {s} & wait",
    "pipe": "sleep {s} | cat",
    "job": "set -m; sleep {s} & wait",
    "timeout": "timeout 60 sleep {s}",
    "deaf": "trap '' TERM INT HUP; sleep {s}",
    "polite": "trap 'trap - TERM; kill -TERM $$' TERM; sleep {s} & wait $!",
}
PYTHON = {
    "c_call": "time.sleep({s})",
    "bytecode": "until = time.monotonic() + {s}\n        while time.monotonic() < until: pass",
    "subprocess": "subprocess.run(['sleep', '{s}'], check=True)",
    "fork": "pid = os.fork()\n        if pid == 0: time.sleep({s}); os._exit(0)\n        os.waitpid(pid, 0)",
}

DAG = """\
import subprocess

def tell(word, ds, task_id):
    descriptor = os.open(Path(__file__).parent.parent / "witness", os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    os.write(descriptor, f"{{word}} {{ds}} {{task_id}}\\n".encode())
    os.close(descriptor)

with DAG("stops", schedule="@daily", start_date=datetime(2024, 1, 1)):
    first = BashOperator(task_id="first", bash_command='''{shell}
echo end {{{{ ds }}}} first >> {here}/witness''')
    @task
    def second(ds):
        {python}
        tell("end", ds, "second")
    first >> second()
"""

DATES = 3
WORDS = ("run", "--dag", "stops", "--start", "2024-01-01", "--end", f"2024-01-0{DATES}", "--parallel", "2")
QUICK = (
    ("plan", *WORDS[1:]),
    ("plan", *WORDS[1:], "--dry-run"),
    ("status",),
    ("status", "--dag", "stops", "--start", "2024-01-01", "--end", "2024-01-03"),
    ("audit", "verify"),
    ("reset", *WORDS[1:-2], "--yes"),
    ("rerun-failed", *WORDS[1:]),
    ("dags", "list"),
)
LONG_S = 40
"""Seconds of a task that has to be ended: longer than any trial may take."""

LONGEST_S = 25.0
"""Seconds until a command that was asked to leave has to be gone, on a busy machine."""


@dataclass(frozen=True)
class Attack:
    """What is done to one command: drawn from the trial's randomness alone.

    Args:
        is_fresh: In an interpreter of its own, start-up included; else as a fork of a warm one.
        is_heard: The clock starts when bfill listens to signals, not before.
    """

    shell: str
    python: str
    seconds: float
    executor: str
    words: tuple[str, ...]
    is_fresh: bool
    is_heard: bool
    after_s: float
    signals: tuple[int, ...]
    target: str

    @property
    def is_run(self) -> bool:
        return self.words[0] == "run"


def draw(random: Random) -> Attack:
    shell, python = random.choice(list(SHELL)), random.choice(list(PYTHON))
    is_run = random.random() < 0.85
    times = random.choice((1, 1, 2, 2, 3))
    is_long = is_run and times > 1 and random.random() < 0.4
    if is_long and (shell == "deaf" or python in ("c_call", "fork")):
        times = 3  # without a third signal these take their whole grace time
    is_fresh = random.random() < 0.08
    return Attack(
        shell,
        python,
        LONG_S if is_long else random.choice((0, 0.1, 0.3)),
        random.choice(("thread", "thread", "process")),
        (*WORDS, "--json") if is_run else random.choice(QUICK),
        is_fresh,
        not is_fresh and random.random() < 0.8,
        random.uniform(0, 1.2 if is_fresh else 0.7) if is_run else random.uniform(0, 0.8 if is_fresh else 0.08),
        tuple(random.choice(SIGNALS) for _ in range(times)),
        random.choice(("process", "process", "group", "session")),
    )


@dataclass
class Fresh:
    """A command in an interpreter of its own, start-up included."""

    process: subprocess.Popen[bytes]
    words: tuple[str, ...]
    streams: Path

    @property
    def pid(self) -> int:
        return self.process.pid

    def wait(self, timeout_s: float) -> Ran:
        code = self.process.wait(timeout_s)
        out, err = (self.streams.with_suffix(f".{one}").read_text(errors="surrogateescape") for one in ("out", "err"))
        return Ran(self.words, code, out, err)


@dataclass
class World:
    """A maker of projects over one warm process; trials that run beside each other have one each."""

    folder: Path
    code: Path | None = None
    seen: Counter[str] = field(default_factory=Counter)
    made: int = 0

    def __post_init__(self) -> None:
        self.forker = Forker(self.code)

    def project(self, dag: str, **values: object) -> Project:
        self.made += 1
        base = self.folder / str(self.made)
        project = Project(self.forker, base / "work", base / "streams")
        if code := self.code or os.environ.get("PYTHONPATH"):
            project.env["PYTHONPATH"] = str(code)  # for workers, which are interpreters of their own
        project.streams.mkdir(parents=True)
        project.write("dags/stops.py", dag.format(here=project.folder, **values))
        return project

    def close(self) -> None:
        self.forker.close()


@contextmanager
def world_of(code: Path, folder: Path) -> Iterator[World]:
    """A world over another copy of bfill."""
    world = World(folder, code)
    try:
        yield world
    finally:
        world.close()


def start(project: Project, attack: Attack) -> Going | Fresh:
    """Start the command in a session of its own."""
    words = (*attack.words, "--executor", attack.executor) if attack.is_run else attack.words
    env = {"BFILL_GRACE_S": "0.3"}
    if not attack.is_fresh:
        return project.start(*words, env=env, session=True)
    streams = project.streams / "fresh"
    environ = {"PATH": os.environ["PATH"], "HOME": str(project.folder), "LANG": "C.UTF-8", **project.env, **env}
    with streams.with_suffix(".out").open("wb") as out, streams.with_suffix(".err").open("wb") as err:
        process = subprocess.Popen(
            [sys.executable, "-m", "backfill_cli", *words],
            cwd=project.folder, env=environ, stdin=subprocess.DEVNULL, stdout=out, stderr=err, start_new_session=True,
        )  # fmt: skip
    return Fresh(process, words, streams)


def send(pid: int, number: int, target: str) -> None:
    """Send a signal to a command, to its process group, or to everybody in its session."""
    with suppress(ProcessLookupError):
        if target == "process":
            os.kill(pid, number)
        elif target == "group":
            os.killpg(pid, number)
        else:
            for one in session(pid):
                with suppress(ProcessLookupError):
                    os.kill(one, number)


def session(leader: int) -> list[int]:
    """Return the processes of a session that are not dead, its leader first."""
    return sorted(pid for pid, its in sessions() if its == leader)


def sessions() -> Iterator[tuple[int, int]]:
    """Yield every process that is not dead, with its session."""
    for entry in Path("/proc").iterdir():
        if entry.name.isdecimal():
            with suppress(OSError):
                fields = (entry / "stat").read_bytes().rpartition(b")")[2].split()
                if fields[0] not in (b"Z", b"X"):
                    yield int(entry.name), int(fields[3])


def lives(pid: int) -> bool:
    return any(one == pid for one, _ in sessions())


def catches(pid: int, number: int) -> bool:
    """Return whether a process has a handler for a signal: bfill has come to its first line."""
    try:
        status = Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return False
    mask = int(next(line for line in status.splitlines() if line.startswith("SigCgt:")).split()[1], 16)
    return bool(mask >> (number - 1) & 1)


def marked(project: Project) -> list[str]:
    """Return what was started in the project's folder and still runs, wherever it went: found by its HOME."""
    home = f"HOME={project.folder}".encode()
    found = []
    for pid, _ in sessions():
        with suppress(OSError):
            if home in Path(f"/proc/{pid}/environ").read_bytes().split(b"\0"):
                words = Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
                found.append(f"{pid} {words}")
    return found


def attacked(world: World, trial: Trial) -> None:
    """Start a command, send it signals, and check all that the promise says of it."""
    attack = draw(trial.random)
    project = world.project(
        DAG, shell=SHELL[attack.shell].format(s=attack.seconds), python=PYTHON[attack.python].format(s=attack.seconds)
    )
    if not attack.is_run:
        project.bfill(*WORDS[:-2], "--limit", "1", env={"BFILL_GRACE_S": "0.3"}).exits(0)
    going = start(project, attack)
    if attack.is_heard:
        until(lambda: catches(going.pid, signal.SIGTERM) or not lives(going.pid))
    time.sleep(attack.after_s)
    sent = 0
    for number in attack.signals:
        send(going.pid, number, attack.target)
        sent += 1
        if gone(going, 0.15):
            break
    ran = going.wait(LONGEST_S)
    what = f"{attack}\n{ran}"
    left = settled(lambda: session(going.pid) or marked(project))
    assert not left, f"{what}\nleft running: {left}"
    if not _is_before_bfill(attack, ran):
        assert "Traceback" not in ran.out + ran.err and "Exception ignored" not in ran.err, what
    world.seen[_how(attack, ran, sent, what)] += 1
    if project.store.exists() and project.store.stat().st_size:
        nothing_held(project, what)
    project.write("dags/stops.py", DAG.format(here=project.folder, shell=":", python="pass"))
    # A reset that had been recorded when the signal came has cleared the first date: it succeeds once more.
    finished(project, what, most=2 if attack.words[0] == "reset" else 1)


DRAINS = """\
with DAG("drains", schedule="@daily", start_date=datetime(2024, 1, 1)):
    wait = "touch {here}/at.{{{{ ds }}}}; until [ -e {here}/go ]; do sleep 0.01; done"
    first = BashOperator(task_id="first", bash_command=wait)
    first >> BashOperator(task_id="second", bash_command="touch {here}/more.{{{{ ds }}}}")
"""


def drained(world: World, trial: Trial) -> None:
    """After one signal nothing new starts, however much is still to do."""
    number = trial.random.choice(SIGNALS)
    project = world.project(DRAINS)
    going = project.start("run", "--dag", "drains", "--start", "2024-01-01", "--end", "2024-01-05", "--parallel", "2")
    until((project.folder / "at.2024-01-02").exists)
    going.signal(number)
    until(lambda: going.says("again"))
    project.write("go", "")
    ran = going.wait(LONGEST_S)
    assert ran.code == 128 + number, ran
    assert not list(project.folder.glob("more.*")) and len(list(project.folder.glob("at.*"))) == 2, ran
    nothing_held(project, str(ran))


LOADING = """\
(Path(__file__).parent.parent / "loading").touch()
time.sleep(20)
DAG("stops", schedule="@daily", start_date=datetime(2024, 1, 1))
"""


def loading(world: World, trial: Trial) -> None:
    """A signal while a DAG file is loaded, which may take long: the command leaves, and nothing was stored."""
    number = trial.random.choice(SIGNALS)
    project = world.project(LOADING)
    words = trial.random.choice((WORDS, ("plan", *WORDS[1:]), ("dags", "list"), ("rerun-failed", *WORDS[1:])))
    going = project.start(*words, session=True)
    until((project.folder / "loading").exists)
    send(going.pid, number, trial.random.choice(("process", "group", "session")))
    ran = going.wait(10)
    assert not settled(lambda: session(going.pid)), ran
    assert (ran.code, ran.out, ran.err) == (128 + number, "", ""), ran
    assert not project.store.exists(), ran


def gone(going: Going | Fresh, within_s: float) -> bool:
    """Wait a moment for the command to leave: whoever sends a signal twice waits in between."""
    until = time.monotonic() + within_s
    while time.monotonic() < until:
        if not lives(going.pid):
            return True
        time.sleep(0.01)
    return False


def _is_before_bfill(attack: Attack, ran: Ran) -> bool:
    """Whether Python was still making itself ready, and answered Ctrl-C in its own way, with a traceback."""
    ended_by_python = attack.is_fresh and signal.SIGINT in attack.signals and "KeyboardInterrupt" in ran.err
    return ended_by_python and "backfill_cli/cli" not in ran.err and "Interrupted" not in ran.err


def _how(attack: Attack, ran: Ran, sent: int, what: str) -> str:
    """Check the exit code, and say in a word when the signal came."""
    number, others = attack.signals[0], attack.signals[1:sent]
    # Two that are there before the first is looked at are handed over in the order of their numbers.
    if ran.code in {128 + one for one in (number, *others)}:
        assert ran.code == 128 + number or sent > 1, what
        if attack.is_run and ran.out and not (sent > 1 and not ran.out.endswith("}\n")):  # a second one cuts it off
            return "stopped, with a result" if "data" in ran.json else "stopped"
        return "stopped"
    if -ran.code in (number, *others) or _is_before_bfill(attack, ran):
        # Python has not come to bfill yet, or has left it: the system's own way to end a process.
        assert attack.is_fresh or not (attack.is_heard or ran.out or ran.err), what
        return "outside of bfill"
    assert ran.code == 0, what
    return "too late"


def nothing_held(project: Project, what: str) -> None:
    """Nothing is running, nothing is owned: the command that left has given everything back."""
    for table, condition in (
        ("backfills", "state IN ('running', 'paused') OR owner IS NOT NULL"),
        ("dag_runs", "state = 'running' OR owner IS NOT NULL"),
        ("task_instances", "state IN ('queued', 'running')"),
        ("owners", "1"),
    ):
        try:
            held = project.rows(f"SELECT * FROM {table} WHERE {condition}")
        except sqlite3.Error as error:
            assert "no such table" in str(error), what
            return
        assert not held, f"{what}\n{table}: {held}"


def finished(project: Project, what: str, most: int) -> None:
    """The same command finishes the rest, and each task instance has succeeded once, or `most` times."""
    ran = project.bfill(*WORDS, "--json")
    assert ran.code == 0, f"{what}\nthen {ran}"
    again = project.rows(
        "SELECT logical_date, task_id, count(*) AS times FROM v_attempts WHERE outcome = 'success' GROUP BY 1, 2"
    )
    assert len(again) == 2 * DATES and all(1 <= one["times"] <= most for one in again), f"{what}\nthen {again}"
    assert project.bfill("audit", "verify").code == 0, what


def settled(look: Callable[[], list[int] | list[str]], within_s: float = 1.0) -> list[int] | list[str]:
    """Return what a look finds, when it still does after a moment: who was killed takes one to be gone."""
    until = time.monotonic() + within_s
    while (found := look()) and time.monotonic() < until:
        time.sleep(0.02)
    return found
