"""COUNT no-op tasks through Airflow: `dag.test()` in a loop, a dag_run a date, over its SQLite database. COUNT STORE

`airflow backfill create` needs a scheduler and an API server that are up; `dag.test()` is the way that needs neither,
in one process, one date after the other. Making the tables is a part of each run, of the one over one date as well.
"""

import logging
import os
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

FIRST = datetime(2020, 1, 1, tzinfo=UTC)
DAG = """
from datetime import UTC, datetime
from airflow.sdk import DAG, task

with DAG("bench", schedule="@daily", start_date=datetime(2020, 1, 1, tzinfo=UTC), catchup=False) as dag:
    @task
    def nothing():
        pass
    nothing()
"""


def main(count: int, path: str) -> None:
    home = Path(path).parent
    (home / "dags").mkdir()
    (home / "dags" / "bench.py").write_text(DAG)
    os.environ |= {
        "AIRFLOW_HOME": str(home),
        "AIRFLOW__CORE__DAGS_FOLDER": str(home / "dags"),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__CORE__UNIT_TEST_MODE": "False",
        "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": f"sqlite:///{path}",
        "AIRFLOW__LOGGING__LOGGING_LEVEL": "CRITICAL",
        "AIRFLOW__USAGE_DATA_COLLECTION__ENABLED": "False",
    }
    from airflow.utils.db import initdb

    logging.disable(logging.CRITICAL)
    sys.stdout = Path(os.devnull).open("w")  # noqa: SIM115  (what dag.test() prints is not what is measured)
    initdb()
    sys.path.insert(0, str(home / "dags"))
    from bench import dag

    for number in range(count):
        run = dag.test(logical_date=FIRST + timedelta(days=number))
        assert run.state == "success", run.state


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2])
