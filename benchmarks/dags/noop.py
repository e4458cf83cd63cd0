"""DAGs whose tasks do nothing: what is left is the cost of running them."""

from datetime import datetime
from typing import Any

from backfill_cli import DAG, BashOperator, task

# A zone with daylight saving, and a first date early enough for a million five-minute intervals to be over.
PLACE: dict[str, Any] = {"start_date": datetime(2010, 1, 1), "timezone": "Europe/Paris", "max_active_runs": 1_000}

with DAG("noop", schedule="*/5 * * * *", **PLACE):

    @task(task_id="only")
    def nothing() -> None: ...

    nothing()

with DAG("daily", schedule="@daily", **PLACE):

    @task(task_id="only")
    def nothing_today() -> None: ...

    nothing_today()

with DAG("three", schedule="*/5 * * * *", **PLACE):

    @task
    def one() -> None: ...

    @task
    def two() -> None: ...

    @task
    def last() -> None: ...

    one() >> two() >> last()

with DAG("shell", schedule="*/5 * * * *", **PLACE):
    BashOperator(task_id="only", bash_command=":")
