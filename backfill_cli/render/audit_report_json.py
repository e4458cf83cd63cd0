"""The compliance report as a JSON document of its own: what `--json` puts into its envelope, laid out for reading."""

from __future__ import annotations

from collections.abc import Iterator
from json import JSONEncoder

from backfill_cli.core.masking import SECRETS
from backfill_cli.core.reports import AuditReport
from backfill_cli.render.as_json import SCHEMA

_encode = JSONEncoder(ensure_ascii=True, allow_nan=False, indent=1).encode


def json(report: AuditReport) -> Iterator[str]:
    """Yield the document piece by piece; everything outside ASCII is escaped."""
    yield f'{{\n"schema": {_encode(SCHEMA)},\n"report": "audit"'
    for key, value in SECRETS.value(report.data()).items():
        yield f",\n{_encode(key)}: "
        if isinstance(value, Iterator):
            yield from _array(value)
        else:
            yield _encode(value)
    yield "\n}\n"


def _array(values: Iterator[object]) -> Iterator[str]:
    between = "["
    for one in values:
        yield f"{between}\n{_encode(one)}"
        between = ","
    yield "[]" if between == "[" else "\n]"
