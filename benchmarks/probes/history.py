"""Fill a store with dag_runs through the store's own bulk call, then time what `status` asks of it. COUNT STORE

Prints JSON: milliseconds of the counts of everything and of a page of a hundred from its middle, by bfill's reader;
of the same count by scanning the table, and of the same page by OFFSET. Best of seven each, on one warm connection.
"""

import json
import sys
import time
from collections.abc import Callable, Iterator
from itertools import islice

from backfill_cli.core.records import RunRow, RunType
from backfill_cli.core.states import RunState
from backfill_cli.store.engines import driver
from backfill_cli.store.opening import open_store

FIRST, STEP, CHUNK, PAGE = 1_262_300_400, 300, 50_000, 100
"""From 2010-01-01 in Paris, every five minutes: the dates of the `noop` DAG."""


def runs(count: int) -> Iterator[RunRow]:
    """One run in a thousand failed."""
    for number in range(count):
        date = FIRST + number * STEP
        state = RunState.FAILED if number % 1_000 == 999 else RunState.SUCCESS
        at = date * 1_000_000
        yield RunRow(date, date + STEP, RunType.BACKFILL, state, "v1", "{}", at, at + 1_000, None, None)


def fill(count: int, path: str) -> None:
    store = open_store(path, write=True)
    store.write(
        lambda writer: writer.register_dag(
            "noop", version="v1", tasks={"only": "d"}, path=None, definition=None, at=FIRST * 1_000_000
        )
    )
    stream = runs(count)
    while chunk := list(islice(stream, CHUNK)):
        store.write(lambda writer, rows=chunk: writer.set_runs("noop", rows))
    store.close()


def best_ms(job: Callable[[], object]) -> float:
    took = []
    for _ in range(7):
        began = time.perf_counter()
        job()
        took.append((time.perf_counter() - began) * 1_000)
    return min(took)


def main(count: int, path: str) -> None:
    fill(count, path)
    last = FIRST + (count - 1) * STEP
    middle = FIRST + count // 2 * STEP
    store = open_store(path, write=False)
    # An end inside a stretch at both sides: the worst case for counters that are kept by stretches.
    counts = best_ms(lambda: store.read(lambda reader: reader.count_runs("noop", FIRST, last)))
    page = best_ms(lambda: store.read(lambda reader: list(islice(reader.runs("noop", middle, last), PAGE))))
    found = store.read(lambda reader: reader.count_runs("noop", FIRST, last))
    assert sum(found.values()) == count, found
    store.close()
    raw = driver().connect(path)
    scan = best_ms(lambda: raw.execute("SELECT state, count(*) FROM dag_runs WHERE dag = 1 GROUP BY state").fetchall())
    by_offset = f"SELECT * FROM dag_runs WHERE dag = 1 ORDER BY logical_date LIMIT {PAGE} OFFSET {count // 2}"
    offset = best_ms(lambda: raw.execute(by_offset).fetchall())
    raw.close()
    print(json.dumps({"counts": counts, "page": page, "scan": scan, "offset": offset}))


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2])
