"""`--junit`: a backfill as a test report, one case a date, for the CI systems that show such reports.

Owns the XML, in the form that Jenkins, GitLab, GitHub and Azure agree on: `testsuites/testsuite/testcase`, with
`failure`, `error` or `skipped` in a case. A date that failed is a failure; one that is blocked, not reached or left
alone is skipped. It is written as it is made: a million dates take no more memory than ten. Characters that XML 1.0
cannot hold, such as the ESC of coloured output in a reason, are written as escapes.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping
from typing import IO

from backfill_cli.core.instants import iso_us
from backfill_cli.core.masking import SECRETS
from backfill_cli.core.results import BackfillResult, DateResult
from backfill_cli.errors import BfillError

LogOf = Callable[[str, str], str]
"""(run_id, task_id) → the path of the latest log, empty where there is none."""

_NOT_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_HEAD = '<?xml version="1.0" encoding="UTF-8"?>\n'
_NAMES = {"&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;", "\t": "&#9;", "\n": "&#10;", "\r": "&#13;"}


def write_junit(file: IO[str], result: BackfillResult, *, command: str, log_of: LogOf) -> None:
    """Write the report of a result.

    Args:
        command: The suite's name: `bfill run`.
    """
    kinds = Counter(map(_kind, result.results))
    counts = {
        "tests": len(result.results),
        "failures": kinds["failure"],
        "errors": 0,
        "skipped": kinds["skipped"],
        "time": f"{result.took_s or 0:.3f}",
    }
    suite = {"name": f"{command} {result.dag_id}", **counts}
    if result.started_at is not None:
        suite["timestamp"] = (iso_us(result.started_at) or "")[:19]
    file.write(_HEAD + _open("testsuites", {"name": "bfill", **counts}) + "\n" + _open("testsuite", suite) + "\n")
    known = {"backfill_id": result.backfill_id, "state": result.state, "audit_head": result.audit_head}
    file.write(
        "<properties>"
        + "".join(_open("property", {"name": name, "value": value}, "/") for name, value in known.items())
    )
    file.write("</properties>\n")
    causes = _causes(result)
    for one in result.results:
        file.write(_case(result.dag_id, one, causes.get(_second(one), []), log_of))
    file.write("</testsuite>\n</testsuites>\n")


def write_junit_error(file: IO[str], error: BfillError, *, command: str) -> None:
    """Write the report of a command that ended with an error and has no result: one case, an `error` in it."""
    counts = {"tests": 1, "failures": 0, "errors": 1, "skipped": 0, "time": "0.000"}
    text = _open("error", {"type": error.code, "message": error.message}) + _text(f"{error.message}\n{error.hint}")
    file.write(
        _HEAD
        + _open("testsuites", {"name": "bfill", **counts})
        + _open("testsuite", {"name": command, **counts})
        + _open("testcase", {"classname": command, "name": "start", "time": "0.000"})
        + f"{text}</error></testcase></testsuite></testsuites>\n"
    )


def _case(dag_id: str, one: DateResult, causes: list[tuple[str, str]], log_of: LogOf) -> str:
    case = {
        "classname": dag_id,
        "name": one.logical_date.isoformat(),
        "time": f"{one.duration_s or 0:.3f}",
    }
    inside = "".join(_inside(one, causes, log_of))
    return _open("testcase", case, "" if inside else "/") + inside + ("</testcase>\n" if inside else "\n")


def _kind(one: DateResult) -> str:
    """What stands in the case: a failure, also one that was left alone, because it is why the exit code is 1."""
    if one.state == "failed":
        return "failure"
    return "" if one.state == "success" and not one.left_alone else "skipped"


def _inside(one: DateResult, causes: list[tuple[str, str]], log_of: LogOf) -> Iterator[str]:
    kind = _kind(one)
    if kind == "failure":
        # One <failure> a case: parsers that want the schema to the letter refuse a second.
        task_id, reason = causes[0] if causes else ("dag_run", one.reason or "no reason given")
        lines = []
        for task, why in causes or [(task_id, reason)]:
            log = log_of(one.run_id, task)
            lines += [f"{task}: {why}", *([f"log: {log}"] if log else [])]
        yield (
            _open("failure", {"type": task_id, "message": f"{task_id}: {reason}"})
            + _text("\n".join(lines))
            + "</failure>"
        )
    elif kind == "skipped":
        why = f"left alone: {one.reason or one.state}" if one.left_alone else _waits(one)
        yield _open("skipped", {"message": why}, "/")


def _waits(one: DateResult) -> str:
    return f"{one.state}: {one.reason}" if one.reason else one.state


def _causes(result: BackfillResult) -> Mapping[int, list[tuple[str, str]]]:
    """Logical date → the (task, reason) pairs that failed on it."""
    found: dict[int, list[tuple[str, str]]] = defaultdict(list)
    for group in result.failures:
        for at, reason in group.reason_on():
            found[at].append((group.task_id, reason))
    return found


def _second(one: DateResult) -> int:
    return int(one.logical_date.timestamp())


def _open(name: str, attributes: Mapping[str, object], end: str = "") -> str:
    shown = "".join(
        f' {key}="{_text("" if value is None else value, attribute=True)}"' for key, value in attributes.items()
    )
    return f"<{name}{shown}{end}>"


def _text(value: object, *, attribute: bool = False) -> str:
    text = _NOT_XML.sub(lambda match: f"\\x{ord(match.group()):02x}", SECRETS.text(str(value)))
    # Line ends in an attribute would be read back as blanks, and a bare CR anywhere as a line end.
    known = _NAMES if attribute else {key: _NAMES[key] for key in "&<>\r"}
    return "".join(known.get(char, char) for char in text)
