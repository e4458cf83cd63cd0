"""A random DAG with a witness, and the model that says how its dates must end.

Owns three things. The *shape*: one to four tasks, Python and bash, some failing, some waiting for the past. The
*witness*: a file beside the DAG to which every try appends `start`, then `end` or `fail`, each with an fsync, so that
it tells what really ran without asking bfill. The *model*: the states a shape must end in, computed here from the rules
(semantics sections 4 to 6) and from nothing that bfill stores.

How a task behaves depends on files and on the witness, never on its try number: a kill changes when a task runs and
how often, and must not change how it ends.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from random import Random
from typing import NamedTuple

Place = tuple[str, str]
"""A task instance: day and task."""

FIRST_DAY = date(2024, 1, 1)
GOOD = ("success", "skipped")
BAD = ("failed", "upstream_failed")

HEAD = """\
import os, time
from datetime import datetime, timedelta
from pathlib import Path
from backfill_cli import DAG, BashOperator, task

HERE = Path(__file__).parent.parent

def tell(word, ds, task_id, try_number):
    descriptor = os.open(HERE / "witness", os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    os.write(descriptor, f"{word} {ds} {task_id} {try_number}\\n".encode())
    os.fsync(descriptor)
    os.close(descriptor)

def fails(ds, task_id, times):
    if (HERE / "broken" / f"{task_id}.{ds}").exists():
        return True
    return times and (HERE / "witness").read_text().count(f"fail {ds} {task_id} ") < times

def play(ds, task_id, try_number, times, seconds):
    tell("start", ds, task_id, try_number)
    time.sleep(seconds)
    if fails(ds, task_id, times):
        tell("fail", ds, task_id, try_number)
        raise RuntimeError("as told")
    tell("end", ds, task_id, try_number)

BASH = '''
tell() {{ printf '%s\\n' "$1 {{{{ ds }}}} {name} {{{{ try_number }}}}" >> {here}/witness && sync {here}/witness; }}
tell start
{play}
if [ -e {here}/broken/{name}.{{{{ ds }}}} ]; then tell fail; exit 1; fi
tell end
'''
FLAKY = '''
failed=$(grep -c '^fail {{{{ ds }}}} {name} ' {here}/witness)
if [ "$failed" -lt {times} ]; then tell fail; exit 1; fi
'''

def in_bash(name, times, seconds):
    play = (f"sleep {seconds}" if seconds else "") + (FLAKY.format(name=name, times=times, here=HERE) if times else "")
    return BASH.format(name=name, here=HERE, play=play)

"""


class Task(NamedTuple):
    """One task of a shape.

    Args:
        fails: Times it fails on a date before it succeeds, at most `retries`: it gets there in the end.
        broken: Days on which it fails whatever happens, for as long as the file `broken/TASK.DAY` stands.
    """

    name: str
    kind: str
    upstream: tuple[str, ...]
    rule: str
    retries: int
    fails: int
    waits_for_past: bool
    seconds: float
    broken: frozenset[str]


@dataclass(frozen=True)
class Shape:
    """A DAG and the dates it is run for."""

    tasks: tuple[Task, ...]
    days: tuple[str, ...]
    parallel: int
    executor: str

    @property
    def words(self) -> tuple[str, ...]:
        """The selection, as a command line says it."""
        return "--dag", "kills", "--start", self.days[0], "--end", self.days[-1]

    @property
    def how(self) -> tuple[str, ...]:
        """How it is run."""
        return "--parallel", str(self.parallel), "--executor", self.executor, "--workers", "8"

    @property
    def has_children(self) -> bool:
        """Whether its tasks run in processes of their own."""
        return self.executor == "process" or any(task.kind == "bash" for task in self.tasks)

    @property
    def places(self) -> list[Place]:
        return [(day, task.name) for day in self.days for task in self.tasks]

    def source(self) -> str:
        """The DAG file."""
        lines = [HEAD, 'with DAG("kills", schedule="@daily", start_date=datetime(2024, 1, 1)):']
        for task in self.tasks:
            options = (
                f'task_id="{task.name}", retries={task.retries}, retry_delay=timedelta(seconds=0.01), '
                f'trigger_rule="{task.rule}", depends_on_past={task.waits_for_past}'
            )
            if task.kind == "bash":
                command = f'in_bash("{task.name}", {task.fails}, {task.seconds})'
                lines.append(f"    {task.name} = BashOperator(bash_command={command}, {options})")
                continue
            lines += [
                f"    @task({options})",
                f"    def run_{task.name}(ds, try_number):",
                f'        play(ds, "{task.name}", try_number, {task.fails}, {task.seconds})',
                f"    {task.name} = run_{task.name}()",
            ]
        lines += [f"    {before} >> {task.name}" for task in self.tasks for before in task.upstream]
        return "\n".join(lines) + "\n"

    def write(self, folder: Path) -> None:
        """Write the DAG file and the files that break its tasks."""
        (folder / "dags" / "kills.py").write_text(self.source(), encoding="utf-8")
        (folder / "broken").mkdir(exist_ok=True)
        for task in self.tasks:
            for day in task.broken:
                (folder / "broken" / f"{task.name}.{day}").touch()
        (folder / "witness").touch()

    def lines(self) -> int:
        """How many lines the witness has after a run that nothing disturbed."""
        states = model(self, ()).instances
        count = 0
        for task in self.tasks:
            for day in self.days:
                state = states.get((day, task.name))
                if state == "success":
                    count += 2 * (1 + task.fails)
                elif state == "failed":
                    count += 2 * (1 + task.retries)
        return count


def random_shape(random: Random, *, most_days: int = 40, executor: str | None = None) -> Shape:
    """Return one to four tasks over five to `most_days` dates; most of them few, because a date costs time."""
    days = days_from(5 + int((most_days - 4) * random.random() ** 4))
    chosen = executor or ("process" if random.random() < 0.08 else "thread")
    if chosen == "process":
        days = days[:8]
    names = [f"t{number}" for number in range(random.choice((1, 2, 2, 3, 3, 4)))]
    tasks = []
    for number, name in enumerate(names):
        retries = random.choice((0, 0, 1, 2))
        before = tuple(one for one in names[:number] if random.random() < 0.5)
        is_broken = random.random() < 0.25
        tasks.append(
            Task(
                name,
                "python" if chosen == "process" else random.choice(("python", "python", "bash")),
                before,
                "all_done" if before and random.random() < 0.2 else "all_success",
                retries,
                min(retries, random.choice((0, 0, 1, 2))),
                random.random() < 0.25,
                random.choice((0, 0.002, 0.01, 0.03)),
                frozenset(day for day in days if random.random() < 0.15) if is_broken else frozenset(),
            )
        )
    parallel = random.randint(1, 3 if chosen == "process" else 8)
    return Shape(tuple(tasks), days, parallel, chosen)


def days_from(count: int, first: date = FIRST_DAY) -> tuple[str, ...]:
    return tuple(str(first + timedelta(days=number)) for number in range(count))


@dataclass(frozen=True)
class Expected:
    """How it must end: day → success, failed or blocked; and each task instance, None when it must not have begun."""

    dates: Mapping[str, str]
    instances: Mapping[Place, str | None]


def model(shape: Shape, forced: Collection[Place], *, mended: bool = False) -> Expected:
    """Return the states a shape ends in.

    Args:
        forced: Instances that a kill made fail: lost three times in a row, or the last try ended by SIGKILL.
        mended: The broken days are no longer broken, and what had failed has been run again: only dates that were no
            success, for a failure that a date got over (`all_done` behind it) is none to `rerun-failed`.
    """
    first = model(shape, ()) if mended else None
    states: dict[Place, str | None] = {}
    dates = {}
    leaves = {task.name for task in shape.tasks} - {before for task in shape.tasks for before in task.upstream}
    for number, day in enumerate(shape.days):
        if first is not None and first.dates[day] == "success":
            states.update({(day, task.name): first.instances[day, task.name] for task in shape.tasks})
            dates[day] = "success"
            continue
        for task in shape.tasks:
            before = [states[day, one] for one in task.upstream]
            state: str | None = "success"
            if task.rule == "all_success" and any(one in BAD for one in before):
                state = "upstream_failed"
            elif None in before or (task.waits_for_past and not _past_is_good(states, shape.days, number, task.name)):
                state = None
            elif (day, task.name) in forced or (day in task.broken and not mended):
                state = "failed"
            states[day, task.name] = state
        of_day = {task.name: states[day, task.name] for task in shape.tasks}
        if None in of_day.values():
            dates[day] = "blocked"
        else:
            dates[day] = "failed" if any(of_day[leaf] in BAD for leaf in leaves) else "success"
    return Expected(dates, states)


def _past_is_good(states: Mapping[Place, str | None], days: tuple[str, ...], number: int, task_id: str) -> bool:
    return number == 0 or states[days[number - 1], task_id] in GOOD


@dataclass(frozen=True)
class Witness:
    """What the side file says: for each task instance the tries that began, in order, and how they ended."""

    starts: Mapping[Place, list[int]]
    ends: Mapping[Place, dict[int, str]]
    lines: int

    def overtaken(self) -> set[tuple[str, str, int]]:
        """Tries that began, never said that they failed, and were followed by another all the same."""
        return {
            (*place, number)
            for place, numbers in self.starts.items()
            for number in numbers[:-1]
            if self.ends[place].get(number) != "fail"
        }


def read_witness(folder: Path) -> Witness:
    starts: dict[Place, list[int]] = defaultdict(list)
    ends: dict[Place, dict[int, str]] = defaultdict(dict)
    lines = (folder / "witness").read_text(encoding="utf-8").splitlines()
    for line in lines:
        word, day, task_id, number = line.split()
        if word == "start":
            starts[day, task_id].append(int(number))
        else:
            ends[day, task_id][int(number)] = word
    return Witness(starts, ends, len(lines))
