"""COUNT no-op tasks through dask.distributed: scheduler and one worker of 64 threads in this process. COUNT STORE

The store is not used: nothing is durable here.
"""

import logging
import sys

from distributed import Client


def nothing(date: int) -> int:
    return date


def main(count: int) -> None:
    logging.getLogger("distributed").setLevel(logging.ERROR)
    with Client(processes=False, n_workers=1, threads_per_worker=64, dashboard_address=None) as client:
        done = client.gather(client.map(nothing, range(count), pure=False))
    assert done == list(range(count))


if __name__ == "__main__":
    main(int(sys.argv[1]))
