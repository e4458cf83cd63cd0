"""Many command lines over one folder in one process: the command line as it is, for the price of a function call.

Owns both sides of `Batches`. A warm process imports bfill once and forks for every batch; the child calls the entry of
the command line for each of its command lines, one after the other. A crash of the interpreter takes the rest of the
batch with it and shows as its signal; a hang is ended by an alarm. What only a process of its own does (signals,
streams, start-up) is for other promises to show.
"""

from __future__ import annotations

import io
import json
import os
import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from warm import Warm

TESTS = Path(__file__).parents[1]
LONGEST_S = 60


class Ended(NamedTuple):
    """How one command line ended.

    Args:
        wrote: The store file has another content than before.
        commits: Transactions it committed.
        commits_after: Those of them that it committed after it had found the store damaged.
    """

    words: tuple[str, ...]
    code: int
    out: str
    err: str
    wrote: bool
    commits: int
    commits_after: int

    @property
    def json(self) -> dict[str, Any]:
        found = json.loads(self.out)
        assert isinstance(found, dict), self
        return found


class Batches(Warm):
    """The client.

    Args:
        pythonpath: Where bfill is imported from; None takes the one under test.
    """

    def __init__(self, pythonpath: Path | None = None) -> None:
        path = (TESTS,) if pythonpath is None else (pythonpath, TESTS)
        super().__init__(sys.executable, "-m", "promises.batch", path=path, cwd=TESTS)

    def run(self, folder: Path, commands: Sequence[Sequence[str]], store: Path) -> list[Ended]:
        """Run command lines in `folder`, one after the other. AssertionError when the process crashes or hangs."""
        answer = self.ask(folder=str(folder), commands=[list(one) for one in commands], store=str(store))
        ended = [Ended(tuple(words), *rest) for words, *rest in answer["ended"]]
        assert answer["status"] == 0 and len(ended) == len(commands), (
            f"the process ended with {answer['status']} in: bfill {' '.join(commands[len(ended)])}"
        )
        return ended


def content(store: Path) -> tuple[bytes, ...]:
    """Return what a store file holds; how often it was opened for writing and in which journal mode does not count."""
    if not store.is_file():
        return ()
    whole = bytearray(store.read_bytes())
    # sqlite.org/fileformat.html: read and write version, change counter, version-valid-for and the library's number.
    for first, behind in ((18, 20), (24, 28), (92, 100)):
        whole[first:behind] = bytes(len(whole[first:behind]))
    return (bytes(whole),)


class _Watch:
    """Counts the writing transactions that are committed, and those after damage was found."""

    def __init__(self) -> None:
        from backfill_cli.errors import StoreError
        from backfill_cli.store.connections import Connection

        self.begin()
        run, made = Connection.run, StoreError.__init__

        def watched(connection: Connection, sql: str, parameters: Sequence[Any] = ()) -> int:
            self.is_writing = sql == "BEGIN IMMEDIATE" or (self.is_writing and sql != "ROLLBACK")
            changed = run(connection, sql, parameters)
            # A store of an older schema is read from a copy in memory, which has no file and is nobody's store.
            if sql == "COMMIT" and self.is_writing and (connection.one("PRAGMA database_list") or (0, "", ""))[2]:
                self.is_writing = False
                self.commits += 1
                self.commits_after += self.is_damaged
            return changed

        def noted(error: StoreError, *args: Any, **named: Any) -> None:
            made(error, *args, **named)
            self.is_damaged = self.is_damaged or error.code == "store-damaged"

        Connection.run = watched  # type: ignore[method-assign]
        StoreError.__init__ = noted  # type: ignore[method-assign]

    def begin(self) -> None:
        self.commits = self.commits_after = 0
        self.is_writing = self.is_damaged = False


def _one(words: list[str]) -> tuple[int, str, str]:
    """Run one command line as the console entry would, with streams of its own."""
    from backfill_cli.cli.complete import answer
    from backfill_cli.cli.main import run

    sys.argv = ["bfill", *words]
    out, err = (io.TextIOWrapper(io.BytesIO(), encoding="utf-8", write_through=True) for _ in range(2))
    before = sys.stdout, sys.stderr
    sys.stdout, sys.stderr = out, err
    try:
        code = answer(words[1:]) if words[0] == "__complete" else run(words)
    finally:
        sys.stdout, sys.stderr = before
    texts = [one.buffer.getvalue().decode("utf-8", "backslashreplace") for one in (out, err)]
    return code, texts[0], texts[1]


def _batch(request: dict[str, Any], write: int) -> None:
    """The child: run every command line and write how each ended, a line each."""
    signal.alarm(LONGEST_S)
    os.chdir(request["folder"])
    environ = {"PATH": os.environ["PATH"], "HOME": request["folder"], "TZ": "UTC", "LANG": "C.UTF-8"}
    environ |= {"COLUMNS": "100", "BFILL_COMPLETE_DEBUG": "1", "TMPDIR": request["folder"]}
    os.environ.clear()
    os.environ.update(environ)
    # Descriptor 1 is the client's; what a task or bfill itself writes past sys.stdout is of no interest.
    null = os.open("/dev/null", os.O_RDWR)
    for number in (0, 1):
        os.dup2(null, number)
    store = Path(request["store"])
    watch = _Watch()
    with os.fdopen(write, "w", encoding="utf-8") as answers:
        for words in request["commands"]:
            before = content(store)
            watch.begin()
            code, out, err = _one(words)
            seen = [words, code, out, err, content(store) != before, watch.commits, watch.commits_after]
            answers.write(json.dumps(seen) + "\n")
            answers.flush()


def _serve() -> None:
    requests, answers = os.fdopen(os.dup(0)), os.fdopen(os.dup(1), "w")
    for line in requests:
        read, write = os.pipe()
        pid = os.fork()
        if pid == 0:
            os.close(read)
            try:
                _batch(json.loads(line), write)
            except BaseException:  # noqa: BLE001  (nothing may reach the loop of the parent)
                import traceback

                traceback.print_exc()
                os._exit(99)
            os._exit(0)
        os.close(write)
        with os.fdopen(read, encoding="utf-8") as found:
            ended = [json.loads(one) for one in found if one.endswith("\n")]
        status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
        answers.write(json.dumps({"status": status, "ended": ended}) + "\n")
        answers.flush()


if __name__ == "__main__":
    from blackbox.forker import warm_up

    warm_up()
    _serve()
