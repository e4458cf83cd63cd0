"""Batches in the store: whether the dates that ran together say the same, as `store check` asks.

Owns the query. A date of a batch has what the first one has, state, times, reason, version and conf, unless that one
has run again since, and not with it; a batch that the first one names has its last date.
"""

from __future__ import annotations

from collections.abc import Iterator

from backfill_cli.store.connections import Connection

_SAME = ("state", "version", "conf", "started_at", "ended_at", "reason", "owner")
_ISO = "coalesce(strftime('%Y-%m-%dT%H:%M:%S+00:00', {0}, 'unixepoch'), {0})"
_DIFFERS = " OR ".join(f"l.{one} IS NOT m.{one}" for one in _SAME)
_QUERY = f"""
SELECT d.dag_id, {_ISO.format("m.logical_date")}, {_ISO.format("m.batch")} FROM dag_runs m
JOIN dags d ON d.dag = m.dag LEFT JOIN dag_runs l ON l.dag = m.dag AND l.logical_date = m.batch
WHERE m.batch <= m.logical_date
  AND (l.logical_date IS NULL OR m.batch = m.logical_date OR (l.batch >= m.logical_date AND ({_DIFFERS})))
UNION ALL
SELECT d.dag_id, {_ISO.format("l.logical_date")}, {_ISO.format("l.batch")} FROM dag_runs l
JOIN dags d ON d.dag = l.dag
WHERE l.batch > l.logical_date
  AND NOT EXISTS (SELECT 1 FROM dag_runs m WHERE m.dag = l.dag AND m.logical_date = l.batch)
ORDER BY 1, 2
"""


def disagreeing(connection: Connection) -> Iterator[tuple[str, str, str]]:
    """Yield DAG, date and the other date of every pair of one batch that does not fit together."""
    yield from connection.rows(_QUERY)
