"""Templates and values, tried in a process of their own: on bfill as it is, or on a copy with a guard taken out.

Owns both sides of `Renderer`. The warm process answers one JSON line with another; it forks for each, so that memory
and time are measured from the same start, and a crash is the end of a child.
"""

from __future__ import annotations

import json
import os
import random
import resource
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from warm import Warm

TESTS = Path(__file__).parents[1]
LONGEST_CPU_S = 8
VALUES = 20
"""Values of one batch; each goes into every quoting place."""

_PIECES = [bytes([code]) for code in b"'\"\\$`\n()\t!{# \xc3;&|<>*~-"] + [b"EOF", b"{{", b"}}", b"{%", b"touch canary"]


class Renderer(Warm):
    """The client: starts the warm process in a folder where nothing called `canary` may ever appear."""

    def __init__(self, code: Path | None = None) -> None:
        path = (TESTS,) if code is None else (code, TESTS)
        # `-m` looks in the working directory before all else.
        super().__init__(sys.executable, "-m", "promises.rendering", path=path, cwd=TESTS)


def random_value(dice: random.Random) -> str:
    """Random bytes, as the text that stands for them; often of those a shell takes for more than bytes."""
    from core.test_quoting import HOSTILE

    kind = dice.randrange(3)
    if kind == 0:
        raw = dice.randbytes(dice.randrange(24))
    elif kind == 1:
        raw = b"".join(dice.choices(_PIECES, k=dice.randrange(12)))
    else:
        raw = dice.choice(HOSTILE).encode("utf-8", "surrogateescape") + dice.choice(_PIECES)
    return raw.replace(b"\0", b"").decode("utf-8", "surrogateescape")


def template(text: str, place: str) -> dict[str, Any]:
    """Compile and render one template; what came of it, CPU seconds, and KiB it took."""
    from core.test_templates import make_context

    from backfill_cli.core.templates import Place, compile_field
    from backfill_cli.errors import MacroError

    before, begun = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.process_time()
    context = make_context(variables={"k": "hunter2"})
    try:
        shown, outcome = compile_field(text, Place(place)).render(context).text, "rendered"
    except MacroError as error:
        shown, outcome = f"{error} {error.hint}", "refused"
    took = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    return {
        "outcome": outcome,
        "length": len(shown),
        "shown": shown[:2_000],
        "seconds": time.process_time() - begun,
        "kib": took,
        "conf_is_whole": context["conf"]["list"] == [1, "b"],
    }


def shell(seed: int, name: str, folder: str) -> str:
    """Put a batch of random values into every quoting place, run it on a real shell; why it is wrong, or nothing."""
    from core.test_quoting import BASH_PLACES, PLACES, cases_of, run_all

    dice = random.Random(seed)
    values = [random_value(dice) for _ in range(VALUES)]
    places = PLACES + (BASH_PLACES if name == "bash" else [])
    try:
        run_all(name, cases_of(places, values), Path(folder))
    except AssertionError as error:
        return str(error)[:1_000] or "it does not arrive as its own bytes"
    return ""


def sql(seed: int) -> str:
    """Bind a batch of random values in a statement each, on a real database; why it is wrong, or nothing."""
    import sqlite3
    from contextlib import closing

    from core.test_templates import make_context

    from backfill_cli.core.templates import Place, compile_field

    dice = random.Random(seed)
    statements = [
        "SELECT {{ conf.v }}",
        "SELECT '{{ conf.v }}'",
        "SELECT 'x' || {{ conf.v }} || 'y' FROM canary WHERE 1 = 0 UNION ALL SELECT {{ conf.v }}",
        "SELECT v FROM (SELECT {{ conf.v }} AS v) -- it's {{ ds }}",
        "SELECT {{ ti.xcom_pull('up') }}",
    ]
    with closing(sqlite3.connect(":memory:")) as connection:
        connection.execute("CREATE TABLE canary (a)")
        for _ in range(VALUES):
            value = random_value(dice).encode("utf-8", "surrogateescape").decode("utf-8", "replace")
            context = make_context(conf={"v": value}, xcoms={"up": {"return_value": json.dumps(value)}})
            for statement in statements:
                made = compile_field(statement, Place.SQL).render(context)
                rows = connection.execute(made.text, dict(made.binds)).fetchall()
                if rows != [(value,)]:
                    return f"{statement}: {value!r} came back as {rows!r}"
            if not connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'canary'").fetchone():
                return f"{value!r} dropped the table"
    return ""


def answer(request: dict[str, Any]) -> Any:
    """Do what is asked in a child, and return what it says; a child that dies is its signal."""
    reading, writing = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.close(reading)
        resource.setrlimit(resource.RLIMIT_CPU, (LONGEST_CPU_S, LONGEST_CPU_S + 1))
        made = globals()[request.pop("do")](**request)
        with os.fdopen(writing, "w", encoding="utf-8") as out:
            json.dump(made, out)
        os._exit(0)
    os.close(writing)
    with os.fdopen(reading, encoding="utf-8") as lines:
        text = lines.read()
    _, status = os.waitpid(pid, 0)
    return json.loads(text) if text else {"outcome": f"died: {os.waitstatus_to_exitcode(status)}"}


def serve() -> None:
    import gc

    import core.test_quoting
    import core.test_templates  # noqa: F401  (what every child needs)

    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        for warm in ("{{ ds }}", "{{ logical_date.format('YYYY') }}{{ macros.json.dumps([1]) }}"):
            template(warm, "plain")
        gc.collect()
        gc.freeze()
        for line in sys.stdin:
            made = answer(json.loads(line))
            if Path("canary").exists():
                made = {"outcome": "canary"}
            print(json.dumps(made), flush=True)


if __name__ == "__main__":
    serve()
