"""A toy shop and a real SQLite warehouse: what the DAGs of the scenarios read and write.

Owns where a scenario keeps its files (`home`) and the shop's orders, the same for a day whenever they are asked for.
How they are loaded, well or badly, is the lesson's business.
"""

from __future__ import annotations

import random
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

REGIONS = ("eu", "us", "asia")


class Order(NamedTuple):
    """One order of the shop. `cents` keeps sums exact."""

    order_id: str
    day: str
    region: str
    cents: int


def home(file: str) -> Path:
    """Return the folder of a scenario's files: `.bfill/scenarios/17_03_01` where bfill was started. Makes it.

    Args:
        file: The scenario's `__file__`.
    """
    folder = Path.cwd() / ".bfill" / "scenarios" / Path(file).name[:8]
    folder.mkdir(parents=True, exist_ok=True)
    return folder


@contextmanager
def connect(file: str, name: str = "warehouse.db") -> Iterator[sqlite3.Connection]:
    """Open a scenario's warehouse for one transaction: committed at the end, rolled back when the block raises.

    Several tasks may write at once; one waits up to 30 s for the other.
    """
    connection = sqlite3.connect(home(file) / name, timeout=30, isolation_level=None)
    try:
        connection.execute("BEGIN IMMEDIATE")  # DEFERRED fails at once when two readers both want to write
        yield connection
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise
    finally:
        connection.close()


def orders(day: str) -> list[Order]:
    """Return the orders of a day, `2024-03-01`: between 20 and 60, the same at every call and on every machine."""
    dice = random.Random(day)
    count = dice.randint(20, 60)
    return [
        Order(f"{day}-{number:03}", day, dice.choice(REGIONS), dice.randint(100, 50_000)) for number in range(count)
    ]
