"""The DAG of the README's pictures: a file a day, four short tasks, and a warehouse with room for two loads."""

import time
from datetime import datetime, timedelta
from pathlib import Path

from backfill_cli import DAG, task

with DAG(
    "daily_sales",
    schedule="@daily",
    start_date=datetime(2024, 3, 1),
    timezone="Europe/Paris",
    default_args={"retries": 1, "retry_delay": timedelta(seconds=1)},
) as dag:

    @task
    def extract(local_ds: str) -> str:
        time.sleep(0.3)
        if not Path(f"inbox/{local_ds}.csv").exists():
            raise FileNotFoundError(f"inbox/{local_ds}.csv has not come")
        return f"inbox/{local_ds}.csv"

    @task
    def clean(file: str) -> float:
        time.sleep(0.4)
        return sum(float(line.split(",")[1]) for line in Path(file).read_text().splitlines())

    @task(pool="warehouse")
    def load(total: float, local_ds: str) -> float:
        # Some days are heavier than others, always the same ones.
        time.sleep(0.8 + 0.3 * (int(local_ds[-2:]) % 5))
        return total

    @task
    def publish(total: float, local_ds: str) -> None:
        time.sleep(0.1)
        Path("reports").mkdir(exist_ok=True)
        Path(f"reports/{local_ds}.txt").write_text(f"{total} EUR\n")

    publish(load(clean(extract())))
