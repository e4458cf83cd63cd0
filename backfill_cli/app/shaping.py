"""From options to the shape of a run, and from a stored backfill back to it.

Owns what goes with what: `--ramp` needs a pilot, chunks and a ramp exclude each other, what is said now goes before
what a stored backfill says. What the words mean is `core/shapes.py`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

from backfill_cli.core.options import BackfillOptions
from backfill_cli.core.shapes import (
    STOP,
    Shape,
    auto_size,
    check_chunk,
    check_failures,
    chunk_sizes,
    ramp_sizes,
    stored,
)
from backfill_cli.errors import UsageProblem

if TYPE_CHECKING:
    from backfill_cli.core.graph import Dag
    from backfill_cli.core.ports import Store
    from backfill_cli.core.records import BackfillRow


def is_shaped(options: BackfillOptions) -> bool:
    """Return whether the options say anything about waves; an empty word, from a variable nobody set, is one too."""
    return options.ramp or any(one is not None for one in (options.chunk, options.chunk_failures, options.pilot))


def shape_of(row: BackfillRow | None) -> Shape | None:
    """Return the shape a stored backfill has; None without one."""
    return None if row is None else stored(row.request.get("shape"))


def shape_for(
    options: BackfillOptions,
    dag: Dag,
    *,
    parallel: int,
    pools: Mapping[str, int],
    store: Store,
    row: BackfillRow | None = None,
) -> Shape | None:
    """Return the shape of a run; None when all dates go in one piece.

    Args:
        dag: The tasks that run.
        parallel: Dates open together.
        row: The stored backfill that is gone on with: it keeps what the options do not say.

    Raises:
        UsageProblem: Words that mean nothing, or that contradict each other.
    """
    _check(options)
    before = shape_of(row)
    if not is_shaped(options):
        return before if before is None or not before.is_open else _measured(before, dag, parallel, pools, store)
    shape = before or Shape()
    if options.pilot:
        shape = replace(shape, pilot=options.pilot, spread=not dag.waits_on_past)
    if options.chunk is not None:
        chunk = check_chunk(str(options.chunk))
        known = before is not None and before.chunk == chunk
        sizes = shape.sizes if known else chunk_sizes(chunk, measured=None, parallel=parallel)
        shape = replace(shape, chunk=chunk, sizes=sizes, ramp=False)
        if shape.is_open:
            shape = _measured(shape, dag, parallel, pools, store, keeps_first=known)
    if options.ramp or (shape.ramp and options.pilot):
        if not shape.pilot:
            raise UsageProblem("--ramp goes on from a pilot", hint="add --pilot 1, or more", code="ramp-without-pilot")
        shape = replace(shape, chunk=None, ramp=True, sizes=ramp_sizes(shape.pilot, parallel))
    if options.chunk_failures is not None:
        if shape.chunk is None:
            raise UsageProblem(
                "--chunk-failures goes with --chunk", hint="add --chunk 7d, or leave it out", code="needs-chunk"
            )
        shape = replace(shape, failures=check_failures(options.chunk_failures))
    elif options.chunk is not None and before is None:
        shape = replace(shape, failures=STOP)
    return shape


def _check(options: BackfillOptions) -> None:
    if options.ramp and options.chunk is not None:
        raise UsageProblem(
            "--ramp and --chunk exclude each other: both say how large the waves behind a pilot are",
            hint="leave one of them out",
            code="ramp-and-chunk",
        )
    if options.pilot is not None and options.pilot < 1:
        raise UsageProblem(f"--pilot {options.pilot} tries nothing", hint="give --pilot 1 or more", code="bad-value")


def _measured(
    shape: Shape, dag: Dag, parallel: int, pools: Mapping[str, int], store: Store, *, keeps_first: bool = True
) -> Shape:
    """Choose the size of the chunks of `auto` from what earlier tries took; unchanged where nothing ran yet.

    A first chunk that was begun keeps the size it began with.
    """
    from backfill_cli.core.planning import estimate

    durations = store.read(lambda reader: reader.durations(dag.dag_id))
    lane = estimate(dag, parallel, parallel=parallel, durations=durations, pools=pools)
    if lane.low_s is None or lane.high_s is None:
        return shape
    size = auto_size(parallel, (lane.low_s + lane.high_s) / 2, parallel)
    return shape.chosen(size) if keeps_first else replace(shape, sizes=(size,))
