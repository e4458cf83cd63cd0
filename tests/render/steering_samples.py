"""Hand-made answers to requests: what the screens of `pause` and its like are looked at with."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from backfill_cli.core.records import Control
from backfill_cli.core.steering import SteeringResult

NOW_US = 1_711_965_731_000_000  # 2024-04-01T10:02:11Z


def answered(action: Control, state: str, answer: str, **changes: Any) -> SteeringResult:
    """What somebody was answered by pid 4711."""
    values: dict[str, Any] = {
        "backfill_id": "bf-20240401-7k2m",
        "dag_id": "daily_sales",
        "action": action,
        "answer": answer,
        "state": state,
        "actor": "ana",
        "reason": None,
        "pid": 4711,
        "host": "etl-1",
        "answered_at": NOW_US,
        "waited_s": 0.31,
        "parallel": 4,
        "remaining": 9,
        "audit_head": "1042:9f3c81d2" + "0" * 56,
    }
    return SteeringResult(**{**values, **changes})


SAMPLES: dict[str, tuple[str, Callable[[], Any]]] = {
    "pause": (
        "pause",
        partial(
            answered,
            Control.PAUSE,
            "paused",
            "paused; 3 running tasks end by themselves",
            reason="warehouse maintenance",
            next_command="bfill resume bf-20240401-7k2m",
        ),
    ),
    "cancel": (
        "cancel",
        partial(answered, Control.CANCEL, "running", "cancelled; 3 running tasks are ended now", reason="wrong range"),
    ),
    "set": ("set", partial(answered, Control.SET, "running", "parallel is 8 from now on, it was 4", parallel=8)),
    "skip": (
        "skip",
        partial(
            answered,
            Control.SKIP,
            "running",
            "2024-03-04, 2024-03-05, 2024-03-06 and 4 more are left out; 2024-03-11 is left alone already; "
            "20 dates remain",
            reason="the source has no data",
            remaining=20,
            skipped=8,
            dates=("2024-03-04T00:00:00+00:00", "2024-03-05T00:00:00+00:00"),
        ),
    ),
    "resume": ("resume", partial(answered, Control.RESUME, "running", "it goes on")),
}
