"""What the store keeps of live control, as protocols: requests that wait for an answer, and those that have one.

Owns no behaviour; `store/controls.py` implements both.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from typing import Any, Protocol

from backfill_cli.core.records import BackfillDateRow, Control, ControlRow


class ControlReader(Protocol):
    """Requests, over one snapshot."""

    def waiting(self, backfill_id: str) -> list[ControlRow]:
        """Those of a backfill without an answer, in the order they were asked. One look-up when there are none."""
        ...

    def request(self, number: int) -> ControlRow | None: ...
    def last_done(self, backfill_id: str, action: Control) -> ControlRow | None:
        """The last request of that kind that was done."""
        ...

    def dates(self, backfill_id: str, dates: Collection[int]) -> Iterator[BackfillDateRow]:
        """Those of the dates that the backfill has, ascending; streams."""
        ...

    def left_out(self, backfill_id: str) -> Iterator[tuple[int, str]]:
        """The dates that somebody took out of a backfill, each with the reason, ascending; streams."""
        ...

    def unrun(self, backfill_id: str, dates: Collection[int]) -> frozenset[int]:
        """Those of the dates with a dag_run that this backfill opened last, and in which nothing ever began."""
        ...

    def everything(self) -> Iterator[ControlRow]:
        """All there are, in order; streams."""
        ...


class ControlWriter(ControlReader, Protocol):
    """The same, in a write transaction."""

    def ask(
        self,
        backfill_id: str,
        action: Control,
        args: Mapping[str, Any],
        *,
        reason: str | None,
        actor: str,
        host: str,
        origin: Mapping[str, Any],
        at: int,
    ) -> int:
        """Leave a request for the process that runs a backfill; returns its number. `at` is epoch microseconds."""
        ...

    def answer(self, number: int, *, at: int, is_done: bool, text: str) -> bool:
        """Answer a request. False: it has an answer, which stays."""
        ...

    def leave_out(self, backfill_id: str, dates: Collection[int], reason: str) -> Mapping[str, int]:
        """Make dates of a backfill that are still to do ones that it leaves alone; returns how many, by old action."""
        ...

    def drop_runs(self, backfill_id: str, dates: Collection[int]) -> list[int]:
        """Remove dag_runs that are `unrun`, as if they had never been; returns the digests of those that had one."""
        ...
