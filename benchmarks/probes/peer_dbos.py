"""COUNT no-op tasks through DBOS: a durable workflow a task over its SQLite system database, 64 at once. COUNT STORE"""

import logging
import sys
from concurrent.futures import ThreadPoolExecutor

from dbos import DBOS


@DBOS.workflow()  # type: ignore[untyped-decorator]
def nothing(date: int) -> int:
    return date


def main(count: int, path: str) -> None:
    logging.disable(logging.CRITICAL)
    # No admin server: a benchmark opens no port.
    DBOS(config={"name": "bench", "system_database_url": f"sqlite:///{path}", "run_admin_server": False})
    DBOS.launch()
    with ThreadPoolExecutor(64) as pool:
        assert list(pool.map(nothing, range(count))) == list(range(count))
    DBOS.destroy()


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2])
