"""A bfill that is killed while what it started goes on, and the next command beside it.

Owns the DAG whose tasks write when they begin and when they end, with an fsync each, and outlive their bfill in every
way a task can; and the check that no task instance was ever worked on twice at once.
"""

from __future__ import annotations

import os
import signal
import time
from contextlib import suppress

from blackbox.world import Project, until

from promises.harness import Trial
from promises.stopping import World, lives, marked, nothing_held, session, settled

TELL = "tell() {{ printf '%s\\n' \"$1 {{{{ ds }}}} {task} $$\" >> {here}/witness; sync {here}/witness; }}\n"
SHELL = {
    "plain": "tell begin; sleep {s}; tell end",
    "deaf": "trap '' TERM INT HUP; tell begin; sleep {s}; tell end",
    "background": "(tell begin; sleep {s}; tell end) & wait",
    "job": "set -m; (tell begin; sleep {s}; tell end) & wait",
    "stopped": "tell begin; (sleep 0.05; kill -STOP $$) & sleep {s}; tell end",
    "closing": 'tell begin; for fd in /proc/$$/fd/*; do fd=${{fd##*/}}; [ $fd -gt 2 ] && eval "exec $fd>&-"; done\n'
    "sleep {s}; tell end",
    "bare": "tell begin; env -i PATH=$PATH sleep {s}; tell end",
}
"""How a command outlives bfill: `closing` gives the lock away, `bare` the mark in the environment, never both."""

PYTHON = {
    "subprocess": "subprocess.run(['sh', '-c', script], check=True)",
    "fork": "pid = os.fork()\n        if pid == 0: os.execvp('sh', ['sh', '-c', script])\n        os.waitpid(pid, 0)",
    "forked": "pid = os.fork()\n        if pid == 0: inside(); os._exit(0)\n        os.waitpid(pid, 0)",
    "inside": "inside()",
}
DAG = """\
import subprocess

WITNESS = Path(__file__).parent.parent / "witness"
SECONDS = {s}

def tell(word, ds, task_id):
    descriptor = os.open(WITNESS, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    os.write(descriptor, f"{{word}} {{ds}} {{task_id}} {{os.getpid()}}\\n".encode())
    os.fsync(descriptor)
    os.close(descriptor)

with DAG("orphans", schedule="@daily", start_date=datetime(2024, 1, 1)):
    BashOperator(task_id="shell", bash_command='''{tell}{shell}''')
    @task
    def python(ds):
        def inside():
            tell("begin", ds, "python")
            time.sleep(SECONDS)
            tell("end", ds, "python")
        line = f"{{ds}} python $$ >> {{WITNESS}}"
        script = f"echo begin {{line}}; sleep {{SECONDS}}; echo end {{line}}"
        {python}
    python()
"""
NEXT = """\
HERE = Path(__file__).parent.parent

def tell(word, ds, task_id, more):
    descriptor = os.open(HERE / "witness", os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    os.write(descriptor, f"{word} {ds} {task_id} {more}\\n".encode())
    os.close(descriptor)

def look(ds, task_id):
    leader = (HERE / "leader").read_text().encode()
    for entry in Path("/proc").iterdir():
        try:
            fields = (entry / "stat").read_bytes().rpartition(b")")[2].split()
        except OSError:
            continue
        if fields[3] == leader and fields[0] not in (b"Z", b"X"):
            tell("overlap", ds, task_id, (entry / "cmdline").read_bytes().replace(b"\\0", b" ").decode())
    tell("again", ds, task_id, os.getpid())

with DAG("orphans", schedule="@daily", start_date=datetime(2024, 1, 1)):
    @task
    def shell(ds):
        look(ds, "shell")
    @task
    def python(ds):
        look(ds, "python")
    shell()
    python()
"""
"""The same tasks once more: each looks whether anything of the session that was orphaned is alive as it begins."""

WORDS = ("run", "--dag", "orphans", "--start", "2024-01-01", "--end", "2024-01-02", "--parallel", "2", "--json")


def dag_of(project: Project, shell: str, python: str, seconds: float) -> str:
    """Return the text of the DAG file."""
    return DAG.format(
        tell=TELL.format(here=project.folder, task="shell"),
        shell=SHELL[shell].format(s=seconds),
        python=PYTHON[python],
        s=seconds,
    )


def orphaned(world: World, trial: Trial) -> None:
    """Kill a bfill and nothing else, start the next at once, and look for two at one task instance."""
    random = trial.random
    shell, python = random.choice(list(SHELL)), random.choice(list(PYTHON))
    executor = random.choice(("thread", "thread", "process"))
    # Sometimes they end by themselves before anybody looks, sometimes while they are being ended.
    seconds = random.choice((0.05, 0.4, 30, 30))
    project = world.project("")
    project.write("dags/stops.py", dag_of(project, shell, python, seconds))
    going = project.start(*WORDS, "--executor", executor, session=True)
    until(lambda: witness(project) or not lives(going.pid))
    time.sleep(random.uniform(0, 0.15))
    os.kill(going.pid, signal.SIGKILL)
    going.wait()
    left = session(going.pid)
    project.write("leader", str(going.pid))
    project.write("dags/stops.py", NEXT)
    # Whoever waits for a process that was stopped waits until somebody lets it go on.
    choice = "wait" if seconds < 1 and shell != "stopped" and random.random() < 0.5 else "end"
    ran = project.bfill(*WORDS, "--executor", executor, "--orphans", choice)
    what = f"{shell} {python} {executor} {seconds} s, left {len(left)}, --orphans {choice}\n{ran}\n{witness(project)}"
    assert ran.code == 0, what
    assert "Traceback" not in ran.err, what
    assert overlaps(witness(project)) == [], what
    assert not settled(lambda: session(going.pid) or marked(project)), what
    nothing_held(project, what)
    world.seen["killed"] += 1
    world.seen["orphans"] += bool(left)
    if any(code.startswith("orphans-") for code in ran.problems):
        world.seen["dealt with"] += 1
        (event,) = project.bfill("audit", "--action", "recover", "--json").data["events"]
        assert event["details"]["orphans"], what


FROZEN = """\
with DAG("frozen", schedule="@daily", start_date=datetime(2024, 1, 1)):
    BashOperator(task_id="shell", bash_command='''echo begin {{{{ ds }}}} $$ >> {here}/witness
sleep {s}; echo end {{{{ ds }}}} $$ >> {here}/witness''')
"""
FROZEN_WORDS = ("run", "--dag", "frozen", "--start", "2024-01-01", "--end", "2024-01-04", "--parallel", "2", "--json")


def frozen(world: World, trial: Trial) -> None:
    """Stop a bfill with SIGSTOP; another is refused, and takes nothing over; after SIGCONT the first goes on."""
    random = trial.random
    project = world.project("")
    project.write("dags/stops.py", FROZEN.format(here=project.folder, s=random.choice((0.05, 0.2))))
    going = project.start(*FROZEN_WORDS, session=True)
    until(lambda: witness(project) or not lives(going.pid))
    time.sleep(random.uniform(0, 0.2))
    whom = random.choice(("process", "session"))
    for pid in [going.pid] if whom == "process" else session(going.pid):
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGSTOP)
    other = project.start(*FROZEN_WORDS)
    until_ended = time.monotonic() + 2
    while lives(other.pid) and time.monotonic() < until_ended:  # the first may hold the store: it waits for that
        time.sleep(0.02)
    had_left = not lives(other.pid)
    for pid in session(going.pid):
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGCONT)
    first, second = going.wait(), other.wait()
    what = f"stopped: {whom}\n{first}\n{second}\n{witness(project)}"
    assert first.code == 0, what
    # 0: the first had ended before it was stopped, or the other had to wait for the store until it went on.
    assert second.code in (0, 5), what
    world.seen["refused"] += had_left and second.code == 5
    assert first.data["completed"] == 4 and first.data["reexecuted"] == [], what
    lines = [line[:2] for line in witness(project)]
    assert sorted(lines) == sorted([word, f"2024-01-0{day}"] for day in range(1, 5) for word in ("begin", "end")), what
    nothing_held(project, what)


def witness(project: Project) -> list[list[str]]:
    """Return what the tasks wrote: word, day, task, pid."""
    with suppress(FileNotFoundError):
        lines = (project.folder / "witness").read_text().splitlines()
        return [line.split() for line in lines]
    return []


def overlaps(lines: list[list[str]]) -> list[list[str]]:
    """Return where two were at work on one task instance.

    Either the second saw something of the first alive as it began, or the first wrote its end after that.
    """
    found = [line for line in lines if line[0] == "overlap"]
    again: set[tuple[str, str]] = set()
    for line in lines:
        if line[0] == "again":
            again.add((line[1], line[2]))
        elif line[0] in ("begin", "end") and (line[1], line[2]) in again:
            found.append(line)
    return found
