"""COUNT no-op tasks through huey: its SQLite storage, 64 worker threads in this process, results stored. COUNT STORE"""

import logging
import sys

from huey import SqliteHuey


def main(count: int, path: str) -> None:
    logging.getLogger("huey").setLevel(logging.ERROR)
    huey = SqliteHuey("bench", filename=path)

    @huey.task()
    def nothing(date: int) -> int:
        return date

    results = [nothing(date) for date in range(count)]
    # As little waiting as the consumer allows: its workers sleep when the queue looks empty.
    consumer = huey.create_consumer(workers=64, worker_type="thread", initial_delay=0.001, max_delay=0.01)
    consumer.start()
    done = sum(1 for one in results if one.get(blocking=True, timeout=300, backoff=1.0, max_delay=0.01) is not None)
    consumer.stop(graceful=False)
    assert done == count, f"{done} of {count}"


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2])
