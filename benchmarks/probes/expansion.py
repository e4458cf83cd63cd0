"""Hourly intervals a second in Berlin, by bfill, croniter and, when it is installed, cronsim. COUNT SLOW_COUNT

Prints JSON: name → intervals a second, the best of three.
"""

import json
import sys
import time
from collections import deque
from collections.abc import Callable
from datetime import datetime, timedelta
from importlib.util import find_spec
from itertools import islice
from zoneinfo import ZoneInfo

ZONE = ZoneInfo("Europe/Berlin")
FIRST = datetime(1990, 1, 1, tzinfo=ZONE)


def by_bfill(count: int) -> int:
    from backfill_cli.core.schedules import compile_schedule

    first = int(FIRST.timestamp())
    schedule = compile_schedule("0 * * * *", zone=str(ZONE), anchor=first)
    spans = schedule.spans(first, first + 3_600 * (count - 1))
    last = deque(enumerate(spans, 1), maxlen=1).pop()
    return last[0]


def by_croniter(count: int) -> int:
    from croniter import croniter

    ticks = croniter("0 * * * *", FIRST - timedelta(seconds=1))
    return sum(1 for _ in islice(iter(lambda: ticks.get_next(datetime), None), count))


def by_cronsim(count: int) -> int:
    from cronsim import CronSim

    return sum(1 for _ in islice(CronSim("0 * * * *", FIRST - timedelta(seconds=1)), count))


def speed(job: Callable[[int], int], count: int) -> float:
    best = 0.0
    for _ in range(3):
        began = time.perf_counter()
        found = job(count)
        best = max(best, count / (time.perf_counter() - began))
        assert found == count, f"{job.__name__}: {found} of {count}"
    return best


def main(count: int, slow: int) -> None:
    speeds = {"bfill": speed(by_bfill, count), "croniter": speed(by_croniter, slow)}
    if find_spec("cronsim"):
        speeds["cronsim"] = speed(by_cronsim, slow)
    print(json.dumps(speeds))


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]))
