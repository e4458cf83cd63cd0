"""The client of a warm process that answers one JSON line with another: what is slow to import is imported once."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any, Self


class Warm:
    """Starts the process and asks it.

    Args:
        command: Its words.
        path: What its PYTHONPATH begins with.
        cwd: Its working directory; None is ours.
    """

    def __init__(self, *command: str, path: tuple[Path, ...] = (), cwd: Path | None = None) -> None:
        inherited = filter(None, [os.environ.get("PYTHONPATH")])
        env = {**os.environ, "PYTHONPATH": os.pathsep.join([*map(str, path), *inherited])}
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=env, cwd=cwd
        )

    def ask(self, **request: Any) -> Any:
        assert self._process.stdin is not None and self._process.stdout is not None
        self._process.stdin.write(json.dumps(request) + "\n")
        self._process.stdin.flush()
        return json.loads(self._process.stdout.readline())

    def close(self) -> None:
        assert self._process.stdin is not None and self._process.stdout is not None
        self._process.stdin.close()
        self._process.stdout.close()
        self._process.wait(10)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
