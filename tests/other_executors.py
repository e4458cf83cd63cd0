"""Executors that bfill does not know, for `package.module:factory`."""

from __future__ import annotations

from concurrent.futures import Executor, ProcessPoolExecutor
from multiprocessing import get_context


def processes(workers: int) -> Executor:
    """Return the standard library's pool of processes, started afresh and not forked."""
    return ProcessPoolExecutor(workers, mp_context=get_context("spawn"))
