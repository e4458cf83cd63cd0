"""A warm process that becomes `bfill` on request: the real command line in a process of its own, without start-up.

Owns the other side of `world.Forker`. It imports what bfill imports, then waits for requests, one JSON line each. For
`spawn` it forks; the child takes the given folder, environment and streams and runs the console entry, waits for its
threads as an interpreter does, and leaves. Nothing of bfill has run in it before.
"""

from __future__ import annotations

import atexit
import ctypes
import gc
import json
import os
import pkgutil
import signal
import sys
import threading
import time
from importlib import import_module
from pathlib import Path
from typing import Any

LIBRARIES = ("pendulum", "croniter", "jinja2.sandbox", "rich.console", "rich.table", "sqlalchemy", "sqlite3")
STOPS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def warm_up() -> None:
    """Import every module of bfill, and so the libraries behind it; modules do nothing when imported.

    And what they import later: a command that steps down to another user may not be able to read it any more.
    """
    import backfill_cli

    for module in pkgutil.walk_packages(backfill_cli.__path__, "backfill_cli."):
        if not module.name.endswith("__main__") and "_scenarios" not in module.name:
            import_module(module.name)
    for name in (*LIBRARIES, "faulthandler", "fcntl", "resource", "select"):
        import_module(name)
    gc.collect()
    gc.freeze()  # children share these pages as long as no collection walks through them


def become(request: dict[str, Any]) -> None:
    """Take on signals, a folder, an environment and streams."""
    # As before Python has begun, whose own Ctrl-C would end in a traceback; and whatever pytest was told to ignore.
    for number in STOPS:
        signal.signal(number, signal.SIG_IGN if number in request.get("ignored", ()) else signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, STOPS)
    os.umask(request["umask"])
    for number, (path, flags) in enumerate(
        ((request["stdin"], os.O_RDONLY), (request["out"], os.O_WRONLY), (request["err"], os.O_WRONLY))
    ):
        if path is None:  # closed, as by the shell's `>&-`: an interpreter that starts so has no such stream
            os.close(number)
            setattr(sys, ("stdin", "stdout", "stderr")[number], None)
            continue
        descriptor = os.open(path, flags | (os.O_CREAT | os.O_TRUNC if number else 0), 0o600)
        os.dup2(descriptor, number)
        os.close(descriptor)
    # Those of the warm process know what they were opened on: perhaps a file, in which one can seek.
    for number, name, errors in ((1, "stdout", "strict"), (2, "stderr", "backslashreplace")):
        if getattr(sys, name) is not None:
            setattr(sys, name, open(number, "w", encoding="utf-8", errors=errors, closefd=False))  # noqa: SIM115
    if request["uid"]:
        os.setgroups([])
        os.setgid(request["uid"])
        os.setuid(request["uid"])
    os.chdir(request["cwd"])
    if request.get("session"):
        os.setsid()
    if request.get("traced"):
        await_tracer()
    os.environ.clear()
    os.environ.update(request["env"])
    sys.argv = ["bfill", *request["argv"]]


def await_tracer() -> None:
    """Wait until somebody traces this process; anybody who may may, also where only a parent could by itself."""
    ctypes.CDLL(None).prctl(0x59616D61, ctypes.c_ulong(-1 & 0xFFFFFFFFFFFFFFFF), 0, 0, 0)  # PR_SET_PTRACER_ANY
    while "TracerPid:\t0\n" in Path("/proc/self/status").read_text():
        time.sleep(0.002)


def serve() -> dict[str, Any] | None:
    """Answer requests; return None at their end, and in a child the request it is to fulfil."""
    requests = os.fdopen(os.dup(0), encoding="utf-8")
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    children: dict[int, int | None] = {}
    for line in requests:
        request: dict[str, Any] = json.loads(line)
        if request["do"] == "spawn":
            signal.pthread_sigmask(signal.SIG_BLOCK, STOPS)  # until the child is no longer what this process is
            pid = os.fork()
            if pid == 0:
                return request
            signal.pthread_sigmask(signal.SIG_UNBLOCK, STOPS)
            children[pid] = None
            answer: int | None = pid
        else:
            pid = request["pid"]
            if children[pid] is None:
                found, status = os.waitpid(pid, 0 if request["block"] else os.WNOHANG)
                children[pid] = os.waitstatus_to_exitcode(status) if found else None
            answer = children[pid]
        answers.write(json.dumps(answer) + "\n")
        answers.flush()
    return None


def run() -> int:
    """Run the console entry and return the exit code, as the interpreter would make it of `SystemExit`."""
    from backfill_cli.__main__ import main

    try:
        main()
    except SystemExit as leave:
        if isinstance(leave.code, str):
            print(leave.code, file=sys.stderr)
        return leave.code if isinstance(leave.code, int) else int(leave.code is not None)
    except BaseException:  # noqa: BLE001  (as the interpreter itself does)
        sys.excepthook(*sys.exc_info())  # type: ignore[arg-type]
        return 1
    return 0


def leave(code: int) -> None:
    """End as an interpreter does, without taking apart some thousand modules: threads, exit functions, streams."""
    threading._shutdown()  # type: ignore[attr-defined]
    atexit._run_exitfuncs()
    for stream in (sys.stdout, sys.stderr):
        try:
            if stream is not None and not stream.closed:
                stream.flush()
        except OSError as error:
            if sys.stderr is not None:
                os.write(2, f"Exception ignored in: {stream!r}\n{error!r}\n".encode())
            code = 120
    os._exit(code)


if __name__ == "__main__":
    sys.path.pop(0)
    warm_up()
    asked = serve()
    if asked is not None:
        become(asked)
        try:
            leave(run())
        except KeyboardInterrupt as stop:  # a signal on the way out; an interpreter would tell bfill's own hook of it
            os._exit(getattr(stop, "exit_code", 130))
