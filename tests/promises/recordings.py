"""A run whose every write is on record, with what it had acknowledged at each moment; and what must be left of it.

Owns the recorded backfill, the acknowledgements read out of its log, and `check`: bfill itself goes on from what the
power left. An acknowledgement is what somebody outside may have acted upon: a line of `--events`, the result on stdout,
the start of a task (its upstream tasks are recorded as done, and this try as begun).
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import NamedTuple

from blackbox.world import Project, connect, sqlite

from promises.power_cut import WAYS, Disk
from promises.strace import WRITING, Call, trace

DAG = """\
def tell(word, ds, n):
    out = os.open(Path(__file__).parent.parent / "witness", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    os.write(out, f"{word} {ds} {n}\\n".encode())
    os.close(out)

RETRIES = {"retries": 1, "retry_delay": timedelta(0)}
with DAG("cut", schedule="@daily", start_date=datetime(2024, 1, 1), default_args=RETRIES):
    @task
    def extract(ds: str, ti=None):
        tell("extract", ds, ti.try_number)
        return {"rows": [ds] * 40}
    @task
    def check(ds: str, ti=None):
        tell("check", ds, ti.try_number)
        if ds == "2024-01-02" and ti.try_number == 1:
            raise RuntimeError("not yet")
    @task
    def load(rows: dict, ds: str, ti=None):
        tell("load", ds, ti.try_number)
        print("loaded", len(rows["rows"]))
    found = extract()
    check() >> load(found)
"""

UPSTREAM = {"extract": (), "check": (), "load": ("extract", "check")}
RUN = ("run", "--dag", "cut", "--start", "2024-01-01", "--end", "2024-01-04", "--parallel", "2", "--json")
IGNORED = (".bfill/logs", "witness", "events", "dags")


class Claim(NamedTuple):
    """Something that was acknowledged at a place in the log: a try's outcome, a date's state, or an audit head.

    A try of outcome None has begun: it must be on record, however it ended.
    """

    place: int
    kind: str
    task_id: str = ""
    day: str = ""
    try_number: int = 0
    value: str | None = None


@dataclass(frozen=True)
class Recording:
    """The calls of one run, the places where the power may go, and what was acknowledged when."""

    name: str
    root: Path
    calls: tuple[Call, ...]
    places: tuple[int, ...]
    claims: tuple[Claim, ...]


class Start(NamedTuple):
    task_id: str
    day: str
    try_number: int


def record(project: Project, name: str) -> Recording:
    """Run the backfill under strace, in a project of its own, and read its log."""
    project.write("dags/cut.py", DAG)
    traced = trace(project, *RUN, "--events", "events", options=("-e", f"trace={WRITING}"))
    traced.ran.exits(0)
    root = Path(os.path.realpath(project.folder))
    calls = tuple(traced.calls())
    store = f"{root}/.bfill"
    places = tuple(call.began for call in calls if store in repr(call.arguments) and not _is_log(call, root))
    claims = tuple(_claims(calls, root, traced.ran.out))
    assert len(claims) > 40, f"{name}: only {len(claims)} acknowledgements were seen"
    return Recording(name, root, calls, places, claims)


def _is_log(call: Call, root: Path) -> bool:
    return f"{root}/.bfill/logs" in repr(call.arguments)


def claims_of(project: Project) -> list[Claim]:
    """Return all that a run has acknowledged that broke off, out of what it left: each task's start, and its events."""
    witness, events = project.folder / "witness", project.folder / "events"
    found: list[Claim] = []
    for path, read in ((witness, _begun), (events, _told)):
        if path.exists():
            found += [claim for line in path.read_bytes().splitlines() for claim in read(0, line)]
    return found


def _claims(calls: tuple[Call, ...], root: Path, out: str) -> Iterator[Claim]:
    last = 0
    for call in calls:
        if call.name != "write" or call.result < 0:
            continue
        path, data = call.arguments[:2]
        assert isinstance(data, bytes)
        last = call.began
        read = {f"{root}/witness": _begun, f"{root}/events": _told}.get(str(path))
        for line in data.splitlines() if read else ():
            yield from read(call.began, line)
    result = json.loads(out)["data"]
    yield Claim(last, "head", value=result["audit_head"])
    for one in result["results"]:
        yield Claim(last, "run", day=one["logical_date"][:10], value=one["state"])


def _begun(place: int, line: bytes) -> Iterator[Claim]:
    task_id, day, number = line.decode().split()
    yield Claim(place, "try", task_id, day, int(number))
    # A task that has begun says that those before it are done.
    for one in UPSTREAM[task_id]:
        yield Claim(place, "done", one, day)


def _told(place: int, line: bytes) -> Iterator[Claim]:
    event = json.loads(line)
    day = event.get("logical_date", "")[:10]
    match event["event"]:
        case "attempt_ended":
            yield Claim(place, "try", event["task_id"], day, event["try_number"], event["outcome"])
        case "run_finished":
            yield Claim(place, "run", day=day, value=event["state"])
        case "backfill_finished":
            yield Claim(place, "head", value=event["audit_head"])


def cut_and_go_on(
    recording: Recording, new_project: Callable[[], Project], random: Random, see: Callable[[str, int], None]
) -> None:
    """Cut the power once, let bfill go on from what is left, and hold that against what it had acknowledged."""
    claim = random.choice(recording.claims)
    # Half of the cuts come right behind an acknowledgement, where there is most to lose.
    place = claim.place + 1 if random.random() < 0.5 else random.choice(recording.places) + random.randint(0, 1)
    way = random.choice(WAYS)
    disk = Disk(recording.root, IGNORED)
    disk.play(recording.calls, place)
    project = new_project()
    project.write("dags/cut.py", DAG)
    chances = disk.cut(project.folder, way, random)
    claims = [one for one in recording.claims if one.place < place]
    see(f"{way}, {recording.name}", 1)
    see("cuts with something unsynced", bool(chances))
    see("acknowledgements held", len(claims))
    with_what = f"{recording.name}, cut at {place}, {way}, {chances} writes up to chance, {len(claims)} acknowledged"
    _check(project, claims, random, with_what)


def _check(project: Project, claims: list[Claim], random: Random, told: str) -> None:
    heads = [one.value for one in claims if one.kind == "head"]
    if (project.folder / ".bfill/bfill.db").exists():
        # Whichever command comes first meets what was left unfinished.
        if random.random() < 0.3:
            project.bfill("status", "--json").exits(0)
        if heads or random.random() < 0.3:
            verify = ("audit", "verify", "--json", *(("--expect-head", str(heads[-1])) if heads else ()))
            assert project.bfill(*verify).code == 0, f"{told}: the audit chain does not hold"
    again = project.bfill(*RUN)
    assert again.code == 0, f"{told}: {again}"
    try:
        hold(project, claims, told)
    except sqlite().DatabaseError as error:
        raise AssertionError(f"{told}: {error}") from error


def hold(project: Project, claims: list[Claim], told: str) -> None:
    with closing(connect(project.store)) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",), told
    outcomes = {
        Start(row["task_id"], row["logical_date"][:10], row["try_number"]): row["outcome"]
        for row in project.attempts("cut")
    }
    done = {one[:2] for one, outcome in outcomes.items() if outcome == "success"}
    witness = project.folder / "witness"
    lines = witness.read_text().splitlines() if witness.exists() else []
    again_started = {tuple(line.split()[:2]) for line in lines}
    runs = project.runs("cut")
    assert set(runs.values()) == {"success"} and len(runs) == 4, (told, runs)
    for claim in claims:
        which = Start(claim.task_id, claim.day, claim.try_number)
        match claim.kind:
            case "try":
                assert which in outcomes, f"{told}: {which} had begun, and nothing is on record"
                assert claim.value in (None, outcomes[which]), (
                    f"{told}: {which} is {outcomes[which]}, not {claim.value}"
                )
            case "done":
                assert which[:2] in done, f"{told}: {which[:2]} was done when a task behind it began"
        succeeded = claim.kind == "done" or (claim.kind == "try" and claim.value == "success")
        assert not (succeeded and which[:2] in again_started), f"{told}: {which[:2]} was done, and ran again"
        if claim.kind == "run" and claim.value == "success":
            again_ran = {day for _, day in again_started}
            assert claim.day not in again_ran, f"{told}: {claim.day} was finished, and ran again"
