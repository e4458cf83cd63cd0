"""Builders for DAG files: a test writes what a user would, in a folder of its own."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from textwrap import dedent

import pytest
from dag_files import HEAD, Load, Refused, Write

from backfill_cli.core.graph import Dag
from backfill_cli.errors import BfillError
from backfill_cli.loader.files import load_file
from backfill_cli.loader.settings import Settings, load_settings


@pytest.fixture(autouse=True)
def _own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    before = list(sys.path)
    yield
    sys.path[:] = before


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Write a file below the working directory; the usual imports stand before the text unless `head` is empty."""

    def write(text: str, name: str = "sales.py", *, head: str = HEAD) -> Path:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(head + dedent(text))
        return path

    return write


@pytest.fixture
def load(write: Write) -> Load:
    """Write a DAG file and return its one DAG."""

    def load(text: str, name: str = "sales.py", **options: object) -> Dag:
        (dag,) = load_file(write(text, name), timeout_s=10, **options)  # type: ignore[arg-type]
        return dag

    return load


@pytest.fixture
def refused(write: Write) -> Refused:
    """Write a DAG file, and return the error that loading it is."""

    def refused(text: str, name: str = "sales.py", *, timeout_s: float = 10, head: str = HEAD) -> BfillError:
        with pytest.raises(BfillError) as caught:
            load_file(write(text, name, head=head), timeout_s=timeout_s)
        assert caught.value.exit_code == 3
        return caught.value

    return refused


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return load_settings(tmp_path, {})
