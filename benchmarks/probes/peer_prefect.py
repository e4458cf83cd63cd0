"""COUNT no-op tasks through Prefect: one flow, its thread pool of 64, its own API over SQLite. COUNT STORE

The API is the temporary server that Prefect starts by itself for such a script, on loopback; a task's states are in its
database, its result only in memory.
"""

import os
import sys
from pathlib import Path


def main(count: int, path: str) -> None:
    home = Path(path).parent
    os.environ |= {
        "PREFECT_HOME": str(home),
        "PREFECT_API_DATABASE_CONNECTION_URL": f"sqlite+aiosqlite:///{path}",
        "PREFECT_LOGGING_LEVEL": "CRITICAL",
        "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
        "DO_NOT_TRACK": "1",
    }
    from prefect import flow, task
    from prefect.futures import wait
    from prefect.task_runners import ThreadPoolTaskRunner

    @task
    def nothing(date: int) -> int:
        return date

    @flow(task_runner=ThreadPoolTaskRunner(max_workers=64))  # type: ignore[arg-type]
    def bench() -> int:
        futures = nothing.map(range(count))
        wait(futures)
        return sum(1 for one in futures if one.state.is_completed())

    done = bench()
    assert done == count, f"{done} of {count}"


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2])
