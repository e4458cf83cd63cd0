"""A store with a long history, and the ways to change its audit chain behind the back of bfill.

Owns the world of promise 15 and of the history half of promise 6: real commands make a store, SQL changes a copy of it,
`audit verify` has to say which entry, dag_run or backfill is not as it was written. Whoever changes it here knows how
entries are hashed and makes his own ones fit; what he does not know is what was kept beside the store.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from random import Random
from typing import Any

from blackbox.world import SALES, Forker, Project, sqlite

from promises.batch import Batches, Ended
from promises.harness import mutated

STORE = Path(".bfill") / "bfill.db"
COLUMNS = ("seq", "at", "actor", "host", "action", "target", "reason", "outcome", "details", "previous", "hash")
GENESIS = "0" * 64


@dataclass(frozen=True)
class History:
    """A store that is copied for every trial.

    Args:
        folder: The project as the last command left it.
        earlier: The store file as earlier commands left it.
    """

    folder: Path
    earlier: tuple[Path, ...]

    def copy(self, folder: Path) -> Path:
        """Make a copy of the project and return the store in it."""
        if folder.exists():
            shutil.rmtree(folder)
        shutil.copytree(self.folder, folder, symlinks=True)
        return folder / STORE

    def restore(self, folder: Path) -> None:
        """Put the store of a copy back to what it was."""
        shutil.copyfile(self.folder / STORE, folder / STORE)


def days(first: int, last: int, month: int = 3) -> tuple[str, ...]:
    return ("--start", f"2024-{month:02}-{first:02}", "--end", f"2024-{month:02}-{last:02}")


def make_history(project: Project) -> History:
    """Fill a store: backfills of three DAGs, failures, repairs, resets, plans, and one put in another's place."""
    project.write("dags/sales.py", SALES)
    project.write("dags/other.py", SALES.replace('"sales"', '"other"').replace("broken(", "broken('x' + "))
    project.breaks("load", "2024-03-03", "2024-03-05")
    project.breaks("extract", "2024-03-09")
    sales, other = ("--dag", "sales"), ("--dag", "other")
    steps: list[tuple[str, ...]] = [
        ("run", *sales, *days(1, 6), "--parallel", "3", "--reason", "the first week"),
        ("plan", *other, *days(1, 3)),
        ("plan", *other, *days(1, 3)),
        ("rerun-failed", *sales, *days(1, 6)),
        ("run", *other, *days(1, 3), "--conf", '{"region": "eu"}'),
        ("mend",),
        ("rerun-failed", *sales, *days(1, 6), "--reason", "the source is back"),
        ("reset", *sales, *days(2, 4), "--task", "load", "--yes", "--reason", "wrong rate"),
        ("run", *sales, *days(1, 9)),
        ("run", *other, *days(2, 5), "--reprocess", "success"),
        ("run", "--command", "echo {{ ds }}", "--schedule", "@daily", "--name", "adhoc", *days(1, 4)),
        ("reset", *sales, *days(5, 6), "--yes"),
        ("plan", *sales, *days(10, 12)),
    ]
    earlier: list[Path] = []
    for words in steps:
        if words == ("mend",):
            project.mends("load", "2024-03-03", "2024-03-05")
            continue
        assert project.bfill(*words).exits(0 if words[0] in ("plan", "reset") else 1 if _fails(words) else 0)
        kept = project.folder.with_name(f"earlier-{len(earlier)}.db")
        shutil.copyfile(project.store, kept)
        earlier.append(kept)
    kept_folder = project.folder.with_name("history")
    shutil.copytree(project.folder, kept_folder, symlinks=True)
    return History(kept_folder, tuple(earlier[:-1]))


def _fails(words: tuple[str, ...]) -> bool:
    text = " ".join(words)
    return ("sales" in text and "the source is back" not in text) and words[0] in ("run", "rerun-failed")


class World:
    """A history made by one bfill and verified by one, both the one under test or both a mutant.

    Args:
        forker: Runs the commands that make the history.
        code: What PYTHONPATH begins with; None takes the bfill under test.
    """

    def __init__(self, base: Path, forker: Forker, code: Path | None = None) -> None:
        self.folder = base / "copy"
        project = Project(forker, base / "work", base / "streams")
        (project.folder / "dags").mkdir(parents=True)
        project.streams.mkdir()
        self._is_mutant = code is not None
        self.history = make_history(project)
        self._batches = Batches(code)
        self.store = self.history.copy(self.folder)

    def verify(self, *words: str) -> Ended:
        """Run `audit verify --json` on the copy."""
        (ended,) = self._batches.run(self.folder, [("audit", "verify", "--json", *words)], self.store)
        return ended

    def findings(self) -> list[dict[str, Any]]:
        """Verify the copy and return what is found; in this process, which is several times as quick, if it may be."""
        if self._is_mutant:
            found: list[dict[str, Any]] = self.verify().json["data"]["findings"]
            return found
        from backfill_cli import BackfillService

        verdict = BackfillService(store=self.store).audit_verify()
        assert verdict.exit_code == (6 if verdict.findings else 0)
        return [one.data() for one in verdict.findings]

    def close(self) -> None:
        self._batches.close()


@contextmanager
def mutant(name: str, base: Path) -> Iterator[World]:
    """A history made and verified by a bfill that lacks something."""
    code = mutated(name, base)
    forker = Forker(code)
    try:
        with closing(World(base, forker, code)) as world:
            yield world
    finally:
        forker.close()


@contextmanager
def writing(store: Path) -> Iterator[Any]:
    """Open the store for changes with plain SQL; they are kept at the end."""
    with closing(sqlite().connect(str(store))) as connection:
        yield connection
        connection.commit()


# the chain


def entries(connection: Any) -> list[dict[str, Any]]:
    rows = connection.execute(f"SELECT {', '.join(COLUMNS)} FROM audit_events ORDER BY seq").fetchall()
    return [dict(zip(COLUMNS, row, strict=True)) for row in rows]


def rehash(entry: dict[str, Any]) -> None:
    """Give an entry the hash that fits it: no secret is needed for that."""
    fields = {name: entry[name] for name in COLUMNS if name not in ("hash", "details")}
    fields["details"] = json.loads(entry["details"])
    text = json.dumps(fields, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    entry["hash"] = sha256(text.encode()).hexdigest()


def chained(chain: list[dict[str, Any]], first: int = 0) -> None:
    """Number and link the entries from an index on, as if they had been written so."""
    for index in range(first, len(chain)):
        entry, before = chain[index], chain[index - 1] if index else None
        entry["seq"] = index + 1
        entry["previous"] = before["hash"] if before else GENESIS
        rehash(entry)


def put(connection: Any, chain: Sequence[dict[str, Any]]) -> None:
    connection.execute("DELETE FROM audit_events")
    marks = ", ".join("?" * len(COLUMNS))
    connection.executemany(
        f"INSERT INTO audit_events ({', '.join(COLUMNS)}) VALUES ({marks})",
        [tuple(entry[name] for name in COLUMNS) for entry in chain],
    )


def changed(entry: dict[str, Any], random: Random) -> None:
    """Change one thing an entry says."""
    name = random.choice([name for name in COLUMNS if name not in ("seq", "previous", "hash")])
    if name == "at":
        entry["at"] += random.choice((-1, 1, 1_000_000, -86_400_000_000))
    elif name == "details":
        told = json.loads(entry["details"])
        key = random.choice(sorted(told))
        told[key] = f"{told[key]}x"
        entry["details"] = json.dumps(told, sort_keys=True, separators=(",", ":"))
    elif name == "reason":
        entry["reason"] = None if entry["reason"] else "nothing special"
    else:
        entry[name] += random.choice("xyz.")


Named = Sequence[int]
"""The entries that may be named as the first bad one."""


def edit(store: Path, history: History, random: Random) -> Named:
    with writing(store) as connection:
        chain = entries(connection)
        index = random.randrange(len(chain))
        changed(chain[index], random)
        fits = random.random() < 0.5
        if fits:
            rehash(chain[index])
        put(connection, chain)
    # With a hash that fits, it is the next entry that does not continue it, or the head that was kept.
    return (index + 1, index + 2) if fits else (index + 1,)


def insert(store: Path, history: History, random: Random) -> Named:
    with writing(store) as connection:
        chain = entries(connection)
        index = random.randrange(len(chain))
        entry = dict(random.choice(chain))
        changed(entry, random)
        entry["previous"] = chain[index - 1]["hash"] if index else GENESIS
        entry["seq"] = index + 1
        rehash(entry)
        for one in chain[index:]:
            one["seq"] += 1
        put(connection, [*chain[:index], entry, *chain[index:]])
    return (index + 1, index + 2)


def delete(store: Path, history: History, random: Random) -> Named:
    with writing(store) as connection:
        chain = entries(connection)
        index = random.randrange(len(chain) - 1)
        del chain[index]
        closes_ranks = random.random() < 0.5
        if closes_ranks:
            for number, one in enumerate(chain):
                one["seq"] = number + 1
        put(connection, chain)
    return (index + 1,) if closes_ranks else (index + 2,)


def reorder(store: Path, history: History, random: Random) -> Named:
    with writing(store) as connection:
        chain = entries(connection)
        first, second = sorted(random.sample(range(len(chain)), 2))
        chain[first]["seq"], chain[second]["seq"] = second + 1, first + 1
        put(connection, chain)
    return (first + 1,)


def cut_tail(store: Path, history: History, random: Random) -> Named:
    with writing(store) as connection:
        left = random.randrange(len(entries(connection)))
        connection.execute("DELETE FROM audit_events WHERE seq > ?", (left,))
    return (left + 1,)


def swap_suffix(store: Path, history: History, random: Random) -> Named:
    """From some entry on others stand in the chain, with hashes and links that fit."""
    with writing(store) as connection:
        chain = entries(connection)
        first = random.randrange(1, len(chain))
        changed(chain[first], random)
        if random.random() < 0.3:
            chain += [dict(chain[-1]) for _ in range(random.randint(1, 3))]
        chained(chain, first)
        put(connection, chain)
    return (first + 1,)


def bring_back(store: Path, history: History, random: Random) -> Named:
    """The whole store is an older copy of itself."""
    shutil.copyfile(random.choice(history.earlier), store)
    with writing(store) as connection:
        return (len(entries(connection)) + 1,)


def rewrite(store: Path, history: History, random: Random) -> Named:
    """Every entry is written anew, with hashes and links that fit; it tells of another person."""
    with writing(store) as connection:
        chain = entries(connection)
        for entry in chain:
            entry["actor"] = "somebody else"
        chained(chain)
        put(connection, chain)
    return (1,)


def flip_bit(store: Path, history: History, random: Random) -> Named:
    """One bit of a text is another, whatever that makes of it."""
    with writing(store) as connection:
        chain = entries(connection)
        index = random.randrange(len(chain))
        name = random.choice([name for name in COLUMNS if isinstance(chain[index][name], str) and chain[index][name]])
        text = bytearray(chain[index][name].encode())
        text[random.randrange(len(text))] ^= 1 << random.randrange(8)
        connection.execute(f"UPDATE audit_events SET {name} = CAST(? AS TEXT) WHERE seq = ?", (bytes(text), index + 1))
    return (index + 1,)


Kind = Callable[[Path, History, Random], Named]

KINDS: dict[str, Kind] = {
    "edit": edit,
    "insert": insert,
    "delete": delete,
    "reorder": reorder,
    "cut tail": cut_tail,
    "swapped suffix": swap_suffix,
    "old copy brought back": bring_back,
    "chain rewritten": rewrite,
    "one bit": flip_bit,
}


def relink(store: Path, history: History, random: Random) -> Named:
    """An entry says something else, with a hash that fits: the next one does not continue it."""
    with writing(store) as connection:
        chain = entries(connection)
        index = random.randrange(len(chain) - 1)
        changed(chain[index], random)
        rehash(chain[index])
        put(connection, chain)
    return (index + 2,)


def respell(store: Path, history: History, random: Random) -> Named:
    """Details are written in another way, and read as the same."""
    with writing(store) as connection:
        chain = entries(connection)
        entry = random.choice(chain)
        told = json.loads(entry["details"])
        spelt = [json.dumps(told, indent=1), json.dumps(told), json.dumps(dict(reversed(told.items())), indent=None)]
        spelt.append(json.dumps(told, sort_keys=True, separators=(",", ":")) + " ")
        entry["details"] = random.choice(spelt)
        put(connection, chain)
    return (entry["seq"],)


def check_found(world: World, kind: Kind, random: Random, *, alone: bool = False) -> None:
    """Change a copy of the history in one way; AssertionError unless that is found and the first bad entry named.

    Args:
        alone: Without the file that keeps the heads: the chain by itself.
    """
    world.history.restore(world.folder)
    if alone:
        world.store.with_name("bfill.db.heads").unlink(missing_ok=True)
    named = kind(world.store, world.history, random)
    ended = world.verify()
    assert ended.code == 6, f"{kind.__name__} at entry {named}: not found: {ended.out}"
    data = ended.json["data"]
    told = f"{data['first_bad']} is named: {data['finding']}"
    assert data["first_bad"] in named, f"{kind.__name__} at entry {named}: {told}"
