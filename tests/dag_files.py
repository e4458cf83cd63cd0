"""What tests of DAG files share: the imports every file opens with, and the types of the fixtures that write them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from backfill_cli.core.graph import Dag
from backfill_cli.errors import BfillError

HEAD = (
    "from datetime import datetime, timedelta\n"
    "from backfill_cli import DAG, BaseOperator, BashOperator, BranchPythonOperator, EmptyOperator, PythonOperator\n"
    "from backfill_cli import ShortCircuitOperator, SQLOperator, TaskGroup, chain, cross_downstream, dag, task\n"
)
HEAD_LINES = HEAD.count("\n")

Write = Callable[..., Path]
Load = Callable[..., Dag]
Refused = Callable[..., BfillError]


def line(number: int, name: str = "sales.py") -> str:
    """The place of a line of the test's own text, the imports before it counted."""
    return f"{name}:{HEAD_LINES + number}"
