"""Secrets planted in a project, tasks that let them out in every way, and the search for them in all that is left.

Owns no knowledge of how bfill masks: what a canary looks like when a program quotes or encodes it is asked of the
programs themselves.
"""

from __future__ import annotations

import base64
import json
import os
import shlex
from collections.abc import Iterator
from pathlib import Path
from random import Random
from urllib.parse import quote

from blackbox.world import Project

PLAIN = "ABCDEFGHJKLMNPQRSTUVWXYZabcdefghjkmnpqrstuvwxyz23456789"
HARD = PLAIN + "!#$%&'()*+,-./:;<=>?@[\\]^_`{|}~\" "

SOURCES = ("connection in the environment", "connection behind a reference", "variable", "conf", "query of a URL")
"""Where canary number 0, 1, … comes from, and 5, 6, … again."""

CANARIES = 20
SINKS = 8
"""Canaries in a project, and the tasks that let each of them out: other ones for each."""

DAG = """
import base64, json, logging, os, subprocess, sys, threading
from urllib.parse import quote

SINKS = {sinks}  # of each canary

def template(n):
    return "{{{{ " + (f"conn.c{{n}}.password", f"conn.c{{n}}.password", f"var.value.v{{n}}", f"conf.k{{n}}",
                      f"conn.c{{n}}.extra_dejson['password']")[n % 5] + " }}}}"

def secret(n, context):
    conn, number = context["conn"], n % 5
    return (context["var"].value[f"v{{n}}"] if number == 2 else context["conf"][f"k{{n}}"] if number == 3 else
            conn[f"c{{n}}"].extra_dejson["password"] if number == 4 else conn[f"c{{n}}"].password)

def halves(s):
    at = max(1, len(s) * {cut} // 100)
    return s[:at], s[at:]

def printed(n, context):
    s = secret(n, context)
    print(s, repr(s), json.dumps(s), quote(s, safe=""), s.encode())
    print("to stderr", s, file=sys.stderr)
    print(base64.b64encode(("user:" + s).encode()).decode())

def in_pieces(n, context):
    s = secret(n, context)
    first, second = halves(s)
    sys.stdout.write("pieces " + first)
    sys.stdout.flush()
    sys.stdout.write(second + " and ")
    for char in s:
        sys.stdout.write(char)
    print()

def logged(n, context):
    s = secret(n, context)
    logging.getLogger("mine").warning("password is %s", s)
    try:
        raise ValueError(s)
    except ValueError:
        logging.exception("again %r", s)

def raised(n, context):
    s = secret(n, context)
    try:
        raise KeyError(s)
    except KeyError as error:
        raise RuntimeError("x" * 490 + f" no login with {{s}}") from error

def skipped(n, context):
    raise SkipTask("skipped for " + secret(n, context))

def returned(n, context):
    return {{"deep": [secret(n, context)]}}

def pushed(n, context):
    context["ti"].xcom_push("key of " + secret(n, context), 1)

def from_a_child(n, context):
    s = secret(n, context)
    first, second = halves(s)
    # printf, not echo: that of dash makes one character of \\a, which is the task's own change to a secret.
    say = 'printf "child %s\\n" "$S"; printf "%s\\n" "$S" >&2; printf %s "$A"; sleep 0.01; printf "%s\\n" "$B"'
    subprocess.run(["sh", "-c", say],
                   env={{"S": s, "A": first, "B": second, "PATH": os.environ["PATH"]}}, check=True)
    os.write(1, ("from C " + s + "\\n").encode())

def from_a_thread(n, context):
    s = secret(n, context)
    def say():
        first, second = halves(s)
        print("thread " + first, end="")
        print(second)
        logging.error(s)
    thread = threading.Thread(target=say)
    thread.start()
    thread.join()

def crying(context):
    raise OSError(secret(int(context["task"].task_id.rpartition("_")[2]), context))

SHELL = {{
    "echoed": 'echo "$S"; echo "$S" >&2; echo done',
    "traced": 'set -x; : "$S" $S; echo done',
    "cut": 'n=$(( $(printf %s "$S" | wc -c) * {cut} / 100 )); printf "cut %s" "${{S:0:n}}"; sleep 0.01; '
           'echo "${{S:n}}"; echo done',
    "quoted": 'printf "%q %s\\\\n" "$S" "$(printf "user:%s" "$S" | base64 -w0)"; echo done',
    "complained": 'echo "no login with $S" >&2; exit 3',
    "last": 'echo "$S"',
}}
PYTHON = [printed, in_pieces, logged, raised, skipped, returned, pushed]
SHARED = [from_a_child, from_a_thread]  # all of them write to one stderr: in turns, or their pieces would mix

with DAG("canaries", schedule="@daily", start_date=datetime(2024, 1, 1)):
    for n, sinks in enumerate(SINKS):
        for name, command in SHELL.items():
            if name in sinks:
                BashOperator(task_id=f"{{name}}_{{n}}", bash_command=command,
                             env={{"S": template(n), "PATH": os.environ["PATH"]}})
        if "templated" in sinks:
            BashOperator(task_id=f"templated_{{n}}", bash_command=f"echo {{template(n)}}; echo done")
        if "selected" in sinks:
            SQLOperator(task_id=f"selected_{{n}}", conn_id="local", sql=f"SELECT {{template(n)}}")
        if "cried" in sinks:
            PythonOperator(task_id=f"cried_{{n}}", python_callable=lambda: 1 / 0, on_failure_callback=crying)
        for f in PYTHON + SHARED:
            if f.__name__ in sinks:
                PythonOperator(task_id=f"{{f.__name__}}_{{n}}", pool="stderr" if f in SHARED else "default_pool",
                               python_callable=lambda n=n, f=f, **context: f(n, context))
    if {processes}:
        for n, f in enumerate((in_pieces, raised, from_a_child, returned)):
            PythonOperator(task_id=f"process_{{f.__name__}}_{{n}}", executor="process", pool="stderr",
                           python_callable=lambda n=n, f=f, **context: f(n, context))
"""

FAILING = ("complained", "last", "selected", "raised", "returned", "pushed", "cried")
"""Tasks that fail: because they are made to, or because an XCom would have held a secret."""

ALL_SINKS = (
    *("echoed", "traced", "cut", "quoted", "complained", "last", "templated", "selected", "cried", "printed"),
    *("in_pieces", "logged", "raised", "skipped", "returned", "pushed", "from_a_child", "from_a_thread"),
)

XCOMS = ("last", "selected", "returned", "pushed")


def make_canary(random: Random) -> str:
    """Return a secret: plain, hard to quote, of several lines, not ASCII, or short."""
    match random.randrange(5):
        case 0:
            return _some(random, PLAIN, 9, 40)
        case 1:
            # Blanks around a secret are no part of it: what a file ends with, or a quoting hand has added.
            return _some(random, PLAIN, 1, 1) + _some(random, HARD, 9, 40) + _some(random, PLAIN, 1, 1)
        case 2:
            return "\n".join(_some(random, PLAIN + "+/=", 24, 24) for _ in range(3))
        case 3:
            return _some(random, PLAIN + "äöüßéñЖ中日😀", 9, 30)
        case _:
            return _some(random, PLAIN, 5, 8)


def _some(random: Random, alphabet: str, least: int, most: int) -> str:
    return "".join(random.choices(alphabet, k=random.randint(least, most)))


def plant(project: Project, random: Random, canaries: list[str], *, processes: bool) -> None:
    """Write settings, environment and the DAG: each canary where its source has it."""
    connections, variables = ['local = "sqlite:///local.db"'], []
    for number, canary in enumerate(canaries):
        password = quote(canary, safe="")
        match number % len(SOURCES):
            case 0:
                project.env[f"BFILL_CONN_C{number}"] = f"postgresql://etl:{password}@db.example.com/sales"
            case 1:
                connections.append(f'c{number} = "secret:C{number}_URL"')
                project.env[f"C{number}_URL"] = f"postgresql+psycopg://etl:{password}@db.example.com/sales"
            case 2:
                variables.append(f'v{number} = "secret:V{number}"')
                project.env[f"V{number}"] = canary
            case 3:
                project.env[f"K{number}"] = canary
            case _:
                connections.append(f'c{number} = "mysql://user@db.example.com/sales?password={password}"')
    tables = ("[connections]", *connections, "[variables]", *variables, "[pools]", "stderr = 1")
    project.write("bfill.toml", "\n".join(tables) + "\n")
    # Worker processes start anew.
    project.env.update({name: os.environ[name] for name in ("PYTHONPATH",) if name in os.environ})
    sinks = [random.sample(ALL_SINKS, SINKS) for _ in canaries]
    # Near the middle: where something else is written in between, the pieces stay apart, and neither is most of it.
    dag = DAG.format(cut=random.randint(40, 60), processes=processes, sinks=sinks)
    project.write("dags/canaries.py", dag)


def conf_of(canaries: list[str]) -> dict[str, str]:
    """Return the conf that refers to the canaries whose source it is."""
    return {f"k{number}": f"secret:K{number}" for number in range(len(canaries)) if number % len(SOURCES) == 3}


def leaks(project: Project, canaries: list[str]) -> Iterator[str]:
    """Yield where a canary can be read, in files below the project and in what commands have written."""
    homes = {project.folder / "bfill.toml"}
    for path in [*project.folder.rglob("*"), *project.streams.rglob("*")]:
        if path.is_file() and path not in homes and path.suffix not in (".in", ".pyc"):
            yield from leaks_of(path.read_bytes(), canaries, path)


def leaks_of(raw: bytes, canaries: list[str], where: Path) -> Iterator[str]:
    for number, canary in enumerate(canaries):
        for notation, text in notations(canary):
            at = raw.find(text)
            if at >= 0:
                source, shown = SOURCES[number % len(SOURCES)], raw[max(0, at - 60) : at + len(text) + 20]
                yield f"{source}, {notation}, in {where}: …{shown!r}"


def notations(canary: str) -> Iterator[tuple[str, bytes]]:
    """Yield a canary as it may be found, and most of it: a mask must not leave half of a secret."""
    yield "literal", canary.encode()
    yield "percent", quote(canary, safe="").encode()
    yield "json", json.dumps(canary)[1:-1].encode()
    yield "repr", repr(canary)[1:-1].encode()
    yield "shell", shlex.quote(canary).encode()
    yield "one line", " ".join(canary.split()).encode()
    if len(canary) >= 12 and "\n" not in canary:
        yield "two thirds", canary[: len(canary) * 2 // 3].encode()
        yield "last two thirds", canary[len(canary) // 3 :].encode()
    if len(canary.encode()) >= 9:
        # "user:" are five bytes: the first character of the secret shares its place with the colon's bits.
        yield "base64", base64.b64encode(b"user:" + canary.encode())[8:-4]
