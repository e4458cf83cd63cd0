"""A remark that goes with a result and changes nothing: the one shape of every warning and note."""

from __future__ import annotations

from typing import NamedTuple


class Problem(NamedTuple):
    """A warning or a note: a stable code, what is so, and what to do about it (may be empty)."""

    code: str
    message: str
    hint: str = ""

    def data(self) -> dict[str, str]:
        return {"code": self.code, "message": self.message, "hint": self.hint}
