"""Where store, settings, clock and listeners meet: the one place that brings implementations together.

Owns what every use case needs at hand. A test makes another context; production code has no `if testing`.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from backfill_cli import clock

if TYPE_CHECKING:
    from backfill_cli.core.ports import Clock, Store
    from backfill_cli.loader.settings import Settings


class SystemClock:
    """The clock of this machine, held still from being set while a run lasts (`backfill_cli/clock.py`)."""

    def now_us(self) -> int:
        return clock.now_us()

    def monotonic(self) -> float:
        return time.monotonic()


@dataclass(frozen=True, slots=True)
class AppContext:
    """What every use case has at hand.

    Args:
        settings: Flags over environment over file, resolved.
        command: The arguments of this process, for the audit trail; empty for Python users.
        own_process: bfill is the whole process: signals are its own, and so is stdout.
        tell: Takes a line for the person who waits, when something takes longer than anybody expects.
    """

    settings: Settings
    clock: Clock = field(default_factory=SystemClock)
    environ: Mapping[str, str] = field(default_factory=lambda: os.environ)
    command: tuple[str, ...] = ()
    own_process: bool = False
    tell: Callable[[str], None] = lambda _line: None

    @contextmanager
    def store(self, *, write: bool) -> Iterator[Store]:
        """Open the store; read-only it stays byte for byte as it was, and is not made when it is missing."""
        from backfill_cli.store.opening import open_store

        store = open_store(self.settings.store, write=write)
        try:
            yield store
        finally:
            store.close()


class Revealed(Mapping[str, str]):
    """A mapping whose `secret:ENV_NAME` values are read from the environment when asked for, at attempt time."""

    def __init__(self, values: Mapping[str, str], resolve: Callable[[str], str]) -> None:
        self._values = values
        self._resolve = resolve

    def __getitem__(self, name: str) -> str:
        return self._resolve(self._values[name])

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)


def reveal(value: Any, resolve: Callable[[str], str]) -> Any:
    """Return a conf value with every `secret:` reference in it replaced by what it names."""
    match value:
        case str():
            return resolve(value)
        case Mapping():
            return {key: reveal(one, resolve) for key, one in value.items()}
        case list() | tuple():
            return [reveal(one, resolve) for one in value]
        case _:
            return value
