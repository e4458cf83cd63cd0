"""The marks that everything a run starts carries, so that after a kill the next command knows what is still running.

Owns what is handed on: a descriptor whose lock lives as long as anybody who inherited it, and the owner's id in the
environment. The lock is made in `store/locks.py`; who looks for the marks is `orphans.py`.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple

OWNER_VARIABLE = "BFILL_OWNER"
"""The environment variable that names the run a process belongs to."""


class Lineage(NamedTuple):
    """What the children of a run inherit.

    Args:
        owner: The run's owner id; empty where there is no run, as in a test or on somebody else's machine.
        heirloom: The descriptor with the lock; None for a store in memory.
    """

    owner: str = ""
    heirloom: int | None = None

    @property
    def descriptors(self) -> tuple[int, ...]:
        return () if self.heirloom is None else (self.heirloom,)

    @property
    def variables(self) -> dict[str, str]:
        return {OWNER_VARIABLE: self.owner} if self.owner else {}


NO_LINEAGE = Lineage()


@contextmanager
def inherited(lineage: Lineage, *, own_process: bool) -> Iterator[None]:
    """Mark also what Python tasks of this process start themselves, through the environment they start it with.

    Only where bfill is the whole process: a guest does not change the environment of its host.
    """
    if not own_process:
        yield
        return
    before = os.environ.get(OWNER_VARIABLE)
    os.environ.update(lineage.variables)
    try:
        yield
    finally:
        os.environ.pop(OWNER_VARIABLE, None)
        if before is not None:
            os.environ[OWNER_VARIABLE] = before
