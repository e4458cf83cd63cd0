"""A service that answers with samples and remembers what it was asked: the CLI without an engine.

`python -m cli.fake ARGS…` is `bfill ARGS…` over it, in a process of its own, for what needs real streams.
"""

from __future__ import annotations

import sys
import types
from pathlib import Path
from typing import Any, ClassVar

from render import explain_samples, pool_samples, report_samples, samples, scheduler_samples, store_samples

from backfill_cli.core.records import Action, PlanRow
from backfill_cli.loader.settings import Settings


class FakeService:
    """Every method takes what the real one takes and returns a sample of its result."""

    calls: ClassVar[list[tuple[str, tuple[Any, ...], dict[str, Any]]]] = []
    answers: ClassVar[dict[str, Any]] = {}

    def __init__(
        self,
        *,
        store: str | None = None,
        settings: Any = None,
        workers: int | None = None,
        command: tuple[str, ...] = (),
        tell: Any = None,
    ) -> None:
        self._note("init", store=store, workers=workers)

    @property
    def settings(self) -> Settings:
        return Settings(Path())

    @property
    def log_folder(self) -> Path:
        return Path("logs")

    def _note(self, name: str, *args: Any, **kwargs: Any) -> None:
        self.calls.append((name, args, kwargs))

    def _answer(self, name: str, default: Any) -> Any:
        answer = self.answers.get(name, default)
        if isinstance(answer, BaseException):
            raise answer
        return answer() if callable(answer) else answer

    def plan(self, options: Any) -> Any:
        self._note("plan", options)
        return self._answer("plan", samples.plan)

    def run(self, options: Any, *, listener: Any = None, signals: bool = False, **asking: Any) -> Any:
        self._note("run", options, listener=listener, signals=signals, **asking)
        if listener is not None:
            from render.play import play

            play(listener, samples.days("2024-03-04", "2024-03-08"))
        return self._answer("run", samples.run_failed)

    def rerun_failed(self, options: Any, *, listener: Any = None, signals: bool = False, **asking: Any) -> Any:
        self._note("rerun_failed", options, listener=listener, signals=signals, **asking)
        return self._answer("rerun_failed", samples.run_ok)

    def reset(self, options: Any, **kwargs: Any) -> Any:
        self._note("reset", options, **kwargs)
        return self._answer("reset", samples.reset)

    def status(self, options: Any, **kwargs: Any) -> Any:
        self._note("status", options, **kwargs)
        return self._answer("status", samples.status_range)

    def audit(self, **kwargs: Any) -> Any:
        self._note("audit", **kwargs)
        return self._answer("audit", samples.audit)

    def audit_verify(self, **kwargs: Any) -> Any:
        self._note("audit_verify", **kwargs)
        return self._answer("audit_verify", samples.verdict_good)

    def pools(self) -> Any:
        self._note("pools")
        return self._answer("pools", pool_samples.pools)

    def set_pool(self, name: str, slots: str, **kwargs: Any) -> Any:
        self._note("set_pool", name, slots, **kwargs)
        return self._answer("set_pool", pool_samples.changed)

    def delete_pool(self, name: str, **kwargs: Any) -> Any:
        self._note("delete_pool", name, **kwargs)
        return self._answer("delete_pool", pool_samples.deleted)

    def store_check(self, **kwargs: Any) -> Any:
        self._note("store_check", **kwargs)
        return self._answer("store_check", store_samples.check_good)

    def store_backup(self, target: str, **kwargs: Any) -> Any:
        self._note("store_backup", target, **kwargs)
        return self._answer("store_backup", store_samples.backup)

    def store_prune(self, older_than: str, **kwargs: Any) -> Any:
        self._note("store_prune", older_than, **kwargs)
        return self._answer("store_prune", store_samples.prune)

    def audit_report(self, **kwargs: Any) -> Any:
        self._note("audit_report", **kwargs)
        return self._answer("audit_report", report_samples.report)

    def schedule(self, options: Any, **kwargs: Any) -> Any:
        self._note("schedule", options, **kwargs)
        return self._answer("schedule", scheduler_samples.passed)

    def stay(self, options: Any, watcher: Any, **kwargs: Any) -> Any:
        self._note("stay", options, watcher, **kwargs)
        return self._answer("stay", scheduler_samples.stayed)

    def dags(self) -> Any:
        self._note("dags")
        return self._answer("dags", samples.dags_list)

    def show_dag(self, target: str) -> Any:
        self._note("show_dag", target)
        return self._answer("show_dag", samples.dag_show)

    def validate(self, targets: Any) -> Any:
        self._note("validate", targets)
        return self._answer("validate", samples.dags_list)

    def explain(self, options: Any, **kwargs: Any) -> Any:
        self._note("explain", options, **kwargs)
        return self._answer("explain", explain_samples.blocked)

    def logs(self, options: Any, **kwargs: Any) -> Any:
        self._note("logs", options, **kwargs)
        return self._answer("logs", samples.logs)


def as_module() -> types.ModuleType:
    """A module to stand at `backfill_cli.app.service`."""
    module = types.ModuleType("backfill_cli.app.service")
    module.BackfillService = FakeService  # type: ignore[attr-defined]
    return module


def large_plan(number: int = 200_000) -> Any:
    """A plan whose JSON and screen are far larger than any pipe's buffer."""

    def rows() -> Any:
        return (PlanRow(one * 300, one * 300 + 300, Action.CREATE, None, "no run yet") for one in range(number))

    return samples.plan(rows=rows, counts={**dict.fromkeys(Action, 0), Action.CREATE: number})


def main() -> None:
    from backfill_cli.cli.main import run

    sys.modules["backfill_cli.app.service"] = as_module()
    FakeService.answers = {"plan": large_plan}
    sys.exit(run(sys.argv[1:]))


if __name__ == "__main__":
    main()
