"""Who watches a scheduler: lines on stderr, from every shift, each with the DAG it is about.

Owns the two halves of listening. A shift's listeners make text, in the process that runs it; here it is written, whole
lines at a time, so that shifts side by side never write into each other.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from backfill_cli.cli import streams

if TYPE_CHECKING:
    from collections.abc import Sequence

    from backfill_cli.core.listening import Listener
    from backfill_cli.core.scheduling import Say

LINES = "lines"


class Lines:
    """A `Watcher` for one pass: what happens, a line a fact; nothing with -q."""

    def __init__(self, *, quiet: bool) -> None:
        from backfill_cli.render.lines import LineListener

        self._listener = LineListener
        # Of its own: while tasks run, what they and their children write to descriptor 2 is made harmless on its way.
        self._stream = None if quiet else streams.progress(sys.stderr)

    def listeners(self, dag_id: str, say: Say) -> Sequence[Listener]:
        if self._stream is None:
            return ()
        return [self._listener(_Sayer(say, LINES), of=dag_id)]

    def heard(self, whom: str, text: str) -> None:
        if whom == LINES and self._stream is not None:
            streams.write_quietly(self._stream, text)


class _Sayer:
    """A stream whose text is said."""

    def __init__(self, say: Say, whom: str) -> None:
        self._say = say
        self._whom = whom

    def write(self, text: str, /) -> None:
        self._say(self._whom, text)

    def flush(self) -> None:
        """Nothing is kept back."""
