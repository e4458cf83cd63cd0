"""XComs: the small JSON values tasks hand to each other.

Owns the JSON rule (`encode_xcom`, contract section 2) and `TaskInstanceView`, the `ti` of templates and Python tasks.
Storing and clearing them is the engine's and the store's business: here pushes only collect in a dict.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from math import isfinite
from typing import TYPE_CHECKING, Any, Final

from backfill_cli.core.masking import SECRETS
from backfill_cli.core.views import View
from backfill_cli.errors import InputError

if TYPE_CHECKING:
    from pendulum import DateTime

    from backfill_cli.core.context import RunFacts

RETURN_VALUE: Final = "return_value"
MAX_XCOM_BYTES: Final = 1_048_576
"""1 MiB of UTF-8 JSON. An XCom is a message, not a data set; a larger one belongs in a file whose path is the XCom."""


class _Missing:
    """Stands for an XCom nobody pushed; unlike None, which is a value."""

    def __repr__(self) -> str:
        return "MISSING"


MISSING: Final = _Missing()


def encode_xcom(value: object) -> str:
    """The JSON text of an XCom value. Tuples become lists; nothing else changes on the way.

    Args:
        value: None, bool, int, finite float, str, list, tuple, or dict with str keys, nested as one likes.

    Returns:
        JSON without spaces, at most `MAX_XCOM_BYTES` long in UTF-8.

    Raises:
        InputError: (code `xcom`) JSON cannot hold it; the message names the type and the place inside the value.
            (code `xcom-secret`) A secret stands in it.
    """
    try:
        _check(value, "")
        text = json.dumps(value, ensure_ascii=False, allow_nan=False, check_circular=False, separators=(",", ":"))
    except RecursionError:
        raise _refused("it is nested too deeply, or contains itself", "push a flat value") from None
    except ValueError as error:  # an int with more digits than Python converts
        raise _refused(str(error), "push it as text") from error
    try:
        size = len(text.encode())
    except UnicodeEncodeError:  # a lone surrogate, from an undecodable file name: JSON can escape it
        text = json.dumps(value, check_circular=False, separators=(",", ":"))
        size = len(text)
    _refuse_secret(text)
    if size > MAX_XCOM_BYTES:
        raise _refused(
            f"it takes {size:,} bytes, the limit is {MAX_XCOM_BYTES:,}", "write it to a file and push the path"
        )
    return text


def _refuse_secret(text: str) -> None:
    if SECRETS.holds(text):
        # The value stays out of the message, and the store: whoever reads an XCom later cannot know what it holds.
        raise InputError(
            "this value cannot be an XCom: it holds a secret, and XComs are kept in the store",
            hint="push the name of the connection or variable; for a command that prints it last: do_xcom_push=False",
            code="xcom-secret",
        )


def _check(value: object, path: str) -> None:
    # json.dumps would silently turn the key 1 into "1"; what comes back must equal what went in
    if value is None or isinstance(value, str | bool | int):
        return
    if isinstance(value, float):
        if not isfinite(value):
            raise _refused(f"{value} {_at(path)} is not a JSON number", "push None or text in its place")
    elif isinstance(value, list | tuple):
        for index, item in enumerate(value):
            _check(item, f"{path}[{index}]")
    elif isinstance(value, dict):
        for key, item in value.items():
            if not isinstance(key, str):
                raise _refused(
                    f"the key {key!r} {_at(path)} is of type {type(key).__name__}, not str", f"write str({key!r})"
                )
            _check(item, f"{path}[{key!r}]")
    else:
        raise _refused(f"{_qualified(value)} {_at(path)} is not JSON", _advice(value))


def _at(path: str) -> str:
    return f"at {path}" if path else "itself"


def _qualified(value: object) -> str:
    kind = type(value)
    return kind.__qualname__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}"


def _advice(value: object) -> str:
    if hasattr(value, "isoformat"):
        return "push value.isoformat()"
    if isinstance(value, bytes | bytearray):
        return "push value.decode(), or the path of a file"
    if isinstance(value, set | frozenset):
        return "push sorted(value)"
    return "push None, bool, numbers, str, lists and dicts of these; larger data as the path of a file"


def _refused(reason: str, hint: str) -> InputError:
    return InputError(f"this value cannot be an XCom: {reason}", hint=hint, code="xcom")


class TaskInstanceView(View):
    """`ti`: one attempt as its task sees it.

    Pulls read the XComs of this dag_run as they stood when the attempt began, and what this attempt has pushed since.
    Pushes collect in `pushed` (key → JSON text) for the attempt's report.
    """

    template_names = frozenset(
        {"task_id", "dag_id", "run_id", "try_number", "max_tries", "logical_date", "execution_date", "xcom_pull"}
    )

    def __init__(self, facts: RunFacts) -> None:
        self._facts = facts
        self.task_id = facts.task_id
        self.dag_id = facts.dag_id
        self.run_id = facts.run_id
        self.try_number = facts.try_number
        self.max_tries = facts.max_tries
        self.pushed: dict[str, str] = {}

    @property
    def logical_date(self) -> DateTime:
        """Start of the data interval, UTC."""
        from backfill_cli.core.macros import instant

        return instant(self._facts.logical_date)

    @property
    def execution_date(self) -> DateTime:
        """The same instant under its old name; prints ISO 8601."""
        from backfill_cli.core.macros import iso_instant

        return iso_instant(self._facts.logical_date)

    def xcom_push(self, key: str, value: object) -> None:
        """Hands `value` to later tasks under `key`; a second push of a key replaces the first.

        Raises:
            InputError: (code `xcom`) JSON cannot hold the value, or the key is not a text.
        """
        if not isinstance(key, str) or not key:
            raise _refused(f"its key is {key!r}, not a text", 'write ti.xcom_push("rows", value)')
        text = encode_xcom(value)
        _refuse_secret(key)
        self.pushed[key] = text

    def xcom_pull(
        self, task_ids: str | list[str] | tuple[str, ...] | None = None, key: str = RETURN_VALUE, default: Any = None
    ) -> Any:
        """The value another task of this dag_run pushed; a fresh copy at every call.

        Args:
            task_ids: One task; or several, which gives a list in their order; or None: the last task (in the DAG's
                order) that pushed this key.
            key: What the value was pushed under; a task's result is `return_value`.
            default: What comes back where nothing was pushed. A pushed None is None, not missing.
        """
        found = self.find_xcom(task_ids, key)
        if isinstance(found, list) and isinstance(task_ids, list | tuple):
            return [default if item is MISSING else item for item in found]
        return default if found is MISSING else found

    def find_xcom(self, task_ids: str | list[str] | tuple[str, ...] | None = None, key: str = RETURN_VALUE) -> Any:
        """As `xcom_pull`, with `MISSING` where nothing was pushed: a template must tell it from None."""
        if task_ids is None:
            holders = [self._facts.xcoms[task_id] for task_id in reversed(list(self._facts.xcoms))]
            return self._decode(next((held for held in (self.pushed, *holders) if key in held), {}), key)
        if isinstance(task_ids, str):
            return self._of_task(task_ids, key)
        return [self._of_task(task_id, key) for task_id in task_ids]

    def _of_task(self, task_id: str, key: str) -> Any:
        if task_id == self.task_id and key in self.pushed:
            return self._decode(self.pushed, key)
        return self._decode(self._facts.xcoms.get(task_id, {}), key)

    @staticmethod
    def _decode(held: Mapping[str, str], key: str) -> Any:
        text = held.get(key)
        return MISSING if text is None else json.loads(text)

    def __repr__(self) -> str:
        return f"<TaskInstance: {self.dag_id}.{self.task_id} {self.run_id} try {self.try_number}>"
