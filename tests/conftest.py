"""What all tests share: golden files, compared or, with `--update-golden`, rewritten for review."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import settings

# A shared machine may stall any example; what must be fast is timed where it matters.
settings.register_profile("bfill", deadline=None)
settings.load_profile("bfill")

GOLDEN = Path(__file__).parent / "golden"

BEGUN_FIRST = ("test_docs.py", "test_scenarios.py")
"""Minutes each, one test after the other: begun last, they would be all that is left, for one worker of several."""


@pytest.fixture(autouse=True)
def _no_secrets_of_others() -> Iterator[None]:
    """What one test makes secret would be masked, and refused as an XCom, in all tests after it."""
    yield
    masking = sys.modules.get("backfill_cli.core.masking")
    if masking is not None:
        masking.SECRETS.clear()


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--update-golden", action="store_true", help="rewrite the files in tests/golden")
    # For tests/promises; pytest takes options from this file alone.
    parser.addoption("--long", action="store_true", help="as many trials of each promise as docs/promises.md speaks of")
    parser.addoption("--trials", type=int, help="this many trials of each promise")
    parser.addoption("--seed", type=int, default=1, help="of the first trial: what a failure says, to replay it")
    parser.addoption("--figures", help="write what the tests of the promises saw to this file, as JSON")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    items.sort(key=lambda item: item.path.name not in BEGUN_FIRST)
    if config.getoption("--long"):
        return
    long = [item for item in items if item.get_closest_marker("long")]
    config.hook.pytest_deselected(items=long)
    items[:] = [item for item in items if item not in long]


@pytest.fixture
def golden(request: pytest.FixtureRequest) -> Callable[[str, str], None]:
    """A function (path below tests/golden, text) that fails when the text is not the file's."""

    def check(name: str, text: str) -> None:
        path = GOLDEN / name
        if request.config.getoption("--update-golden"):
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
        assert path.exists(), f"{path} is missing: run pytest --update-golden and look at it"
        assert text == path.read_text(encoding="utf-8")

    return check
