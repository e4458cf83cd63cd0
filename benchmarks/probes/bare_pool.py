"""The yardstick of a durable task: a thread pool, one SQLite table, one commit for all that waits. COUNT STORE

The same driver, journal (WAL) and synchronous setting (FULL) as bfill's store; a row is inserted before its task
leaves for the pool, and updated when it has ended. No retries, no rules, no logs, no history: a floor.
"""

import sys
import time
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice
from queue import Empty, SimpleQueue

try:
    import pysqlite3.dbapi2 as sqlite3
except ImportError:
    import sqlite3

WORKERS = 64


def nothing(date: int) -> int:
    return date


def main(count: int, path: str) -> None:
    store = sqlite3.connect(path, isolation_level=None)
    store.execute("PRAGMA journal_mode = WAL")
    store.execute("PRAGMA synchronous = FULL")
    store.execute(
        "CREATE TABLE tasks (dag INTEGER, date INTEGER, task INTEGER, state TEXT, started INTEGER, ended INTEGER, "
        "PRIMARY KEY (dag, date, task)) WITHOUT ROWID"
    )
    inbox: SimpleQueue[Future[int]] = SimpleQueue()
    to_start = iter(range(count))
    running = 0
    ended: list[int] = []
    with ThreadPoolExecutor(WORKERS) as pool:
        while True:
            now = time.time_ns() // 1_000
            starting = list(islice(to_start, WORKERS - running))
            store.execute("BEGIN IMMEDIATE")
            store.executemany(
                "UPDATE tasks SET state = 'success', ended = ? WHERE dag = 1 AND date = ? AND task = 1",
                [(now, date) for date in ended],
            )
            store.executemany(
                "INSERT INTO tasks VALUES (1, ?, 1, 'running', ?, NULL)", [(date, now) for date in starting]
            )
            store.execute("COMMIT")
            for date in starting:
                pool.submit(nothing, date).add_done_callback(inbox.put)
            running += len(starting)
            if not running:
                break
            ended = [inbox.get().result()]
            try:
                while True:
                    ended.append(inbox.get_nowait().result())
            except Empty:
                pass
            running -= len(ended)
    done = store.execute("SELECT count(*) FROM tasks WHERE state = 'success'").fetchone()[0]
    store.execute("PRAGMA journal_mode = DELETE")
    store.close()
    assert done == count, f"{done} of {count}"


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2])
