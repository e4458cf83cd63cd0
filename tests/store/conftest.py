"""Stores to run the contract over: one in memory, one in a file. PostgreSQL joins here."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from backfill_cli.core.ports import Store
from backfill_cli.store import memory_store, open_store


@pytest.fixture(params=["memory", "file"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store]:
    opened: Store = (
        memory_store(logs=tmp_path / "logs")
        if request.param == "memory"
        else open_store(str(tmp_path / "home" / "bfill.db"), write=True)
    )
    yield opened
    opened.close()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Where a store file may be made: its folder does not exist yet."""
    return tmp_path / "home" / "bfill.db"
