"""`bfill(*words)`: one command line in this process over the fake service."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import pytest

from backfill_cli.cli.main import run
from cli.fake import FakeService, as_module


class Ran(NamedTuple):
    """What a command line left behind."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> dict[str, Any]:
        found = json.loads(self.out)
        assert isinstance(found, dict)
        return found


@pytest.fixture
def service(monkeypatch: pytest.MonkeyPatch) -> Iterator[type[FakeService]]:
    """The fake, empty; `calls` and `answers` belong to one test."""
    monkeypatch.setitem(sys.modules, "backfill_cli.app.service", as_module())
    monkeypatch.setattr(FakeService, "calls", [])
    monkeypatch.setattr(FakeService, "answers", {})
    monkeypatch.delenv("COLUMNS", raising=False)
    yield FakeService


@pytest.fixture
def bfill(service: type[FakeService], capsys: pytest.CaptureFixture[str]) -> Callable[..., Ran]:
    def call(*words: str) -> Ran:
        capsys.readouterr()
        code = run(words)
        captured = capsys.readouterr()
        return Ran(code, captured.out, captured.err)

    return call
