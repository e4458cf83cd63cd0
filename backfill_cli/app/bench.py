"""A worker's bench: where its DAG, variables, connections and secrets come from. Made once a process.

Owns the joining of loader and engine on the side of a worker, in this process or in one of its own.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, NamedTuple

from backfill_cli.app.context import Revealed, reveal
from backfill_cli.app.secrets import learn, revealing

if TYPE_CHECKING:
    from backfill_cli.core.graph import Dag
    from backfill_cli.core.invocations import DagRef
    from backfill_cli.engine.attempt import Bench
    from backfill_cli.loader.settings import Settings


class Recipe(NamedTuple):
    """What a worker process needs to make its bench: plain values that pickle. Secrets are not among them: a child
    reads `secret:` references from the environment it inherits."""

    settings: Settings


def make_bench(settings: Settings, environ: Mapping[str, str], dag_of: Callable[[DagRef], Dag]) -> Bench:
    """Return the bench of this process. What it reveals is masked from then on in all that this process writes."""
    from backfill_cli.engine.attempt import Bench

    learn(settings, environ)
    resolve = revealing(environ)
    return Bench(
        dag_of=dag_of,
        variables=Revealed(settings.variables, resolve),
        connections=Revealed(settings.connections, resolve),
        reveal=lambda conf: reveal(conf, resolve),
    )


def bench_of(recipe: Recipe, environ: Mapping[str, str]) -> Bench:
    """Return the bench of a worker process, which loads each DAG once, by its reference."""
    from backfill_cli.loader.resolve import load_ref

    return make_bench(recipe.settings, environ, lambda ref: load_ref(ref, recipe.settings))
