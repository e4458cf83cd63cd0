"""The yardstick of a plan: as many intervals in a loop, counted; with a STORE, written by executemany. COUNT [STORE]

The intervals are plain steps of five minutes in UTC: what a plan costs beyond them is zones, actions and reasons.
"""

import sys
from itertools import islice

FIRST, STEP, CHUNK = 1_262_300_400, 300, 5_000


def main(count: int, path: str | None) -> None:
    rows = ((1, start, start + STEP, "create", 1) for start in range(FIRST, FIRST + count * STEP, STEP))
    if path is None:
        assert sum(1 for _ in rows) == count
        return
    try:
        import pysqlite3.dbapi2 as sqlite3
    except ImportError:
        import sqlite3
    store = sqlite3.connect(path, isolation_level=None)
    store.execute("PRAGMA journal_mode = WAL")
    store.execute("PRAGMA synchronous = FULL")
    store.execute(
        "CREATE TABLE dates (backfill INTEGER, date INTEGER, ends INTEGER, action TEXT, reason INTEGER, "
        "PRIMARY KEY (backfill, date)) WITHOUT ROWID"
    )
    store.execute("BEGIN IMMEDIATE")
    while chunk := list(islice(rows, CHUNK)):
        store.executemany("INSERT INTO dates VALUES (?, ?, ?, ?, ?)", chunk)
    store.execute("COMMIT")
    store.execute("PRAGMA journal_mode = DELETE")
    store.close()


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2] if len(sys.argv) > 2 else None)
