"""DAG files that do what a DAG file should not: the table behind promise 9.

Owns the sources and what an error must say. A good DAG stands in front of what a file does.
"""

from __future__ import annotations

from typing import NamedTuple

GOOD = """\
from datetime import datetime
from backfill_cli import DAG, PythonOperator

def work(): pass

with DAG("{name}", schedule="@daily", start_date=datetime(2024, 1, 1)):
    PythonOperator(task_id="a", python_callable=work)
"""
LINES = GOOD.count("\n")


class Hostile(NamedTuple):
    """One file.

    Args:
        body: What stands behind a good DAG of this name, or, with `before`, in front of it.
        says: Words of the error; none: the file loads, and does no harm.
        line: Of the body, where the error must point; 0 where nobody can know.
    """

    name: str
    body: str
    says: tuple[str, ...] = ()
    line: int = 1
    whole: bool = False

    @property
    def source(self) -> str:
        good = GOOD.replace("{name}", self.name)
        return self.body if self.whole else good + self.body

    @property
    def where(self) -> str:
        """What the error begins with behind `error: `."""
        place = f"dags/{self.name}.py"
        return f"{place}:{self.line + (0 if self.whole else LINES)}: " if self.line else f"{place}:"

    @property
    def is_large(self) -> bool:
        """It takes seconds to build what is refused: once is enough."""
        return self.name.startswith("a_million")

    @property
    def timeout_s(self) -> float:
        """The time limit to load it with: short where the limit is what is tried, else far off."""
        return 0.3 if self.says == SLOW else 20


SLOW = ("does not end within", "import_timeout_s")

FILES = [
    # it raises
    Hostile("raises", "raise ValueError('no such region')", ("raises ValueError: no such region",)),
    Hostile("raises_base", "class Mine(BaseException): pass\nraise Mine('x')", ("raises Mine: x",), 2),
    Hostile("raises_interrupt", "raise KeyboardInterrupt", ("raises KeyboardInterrupt",)),
    Hostile("raises_generator_exit", "raise GeneratorExit", ("raises GeneratorExit",)),
    Hostile("raises_many_lines", "raise RuntimeError('a\\n' * 10_000)", ("raises RuntimeError",)),
    Hostile("raises_unprintable", "class E(Exception):\n def __str__(self): 1/0\nraise E", ("raises E",), 3),
    Hostile("raises_group", "raise ExceptionGroup('several', [ValueError(1)])", ("raises ExceptionGroup",)),
    Hostile("raises_in_del", "class D:\n def __del__(self): 1/0\nD()"),
    Hostile("raises_warning", "import warnings\nwarnings.simplefilter('error')\nwarnings.warn('old')",
            ("UserWarning",), 3),
    Hostile("warnings_are_errors", "import warnings\nwarnings.simplefilter('error')"),
    Hostile("missing_import", "import no_such_module_of_mine", ("ModuleNotFoundError", "install it")),
    Hostile("missing_name", "from os import no_such_name", ("ImportError", "no_such_name")),
    Hostile("syntax", "def (:", ("is not Python",)),
    Hostile("tabs", "if 1:\n\tx = 1\n        y = 2", ("is not Python",), 3),
    Hostile("nulls", "x = 1\0", ("is not Python",), 0, True),
    Hostile("encoding", "# coding: no-such\nimport backfill_cli; dag = 1", ("is not Python",), 0, True),
    Hostile("deep_source", "x = " + "(" * 5_000 + ")" * 5_000, ("is not Python",), 0),
    Hostile("deep_expression", "x = " + "-" * 200_000 + "1", ("nested too deeply",), 0),
    Hostile("import_itself", "import import_itself", ("used twice",), 0),
    # it leaves
    Hostile("exits", "import sys; sys.exit(0)", ("sys.exit(0)", "__main__")),
    Hostile("exits_text", "raise SystemExit('bye')", ("sys.exit('bye')",)),
    Hostile("exits_quit", "quit()", ("sys.exit(None)",)),
    Hostile("os_exit_0", "import os; os._exit(0)", ("os._exit(0)",)),
    Hostile("os_exit_7", "import os\nos._exit(7)", ("os._exit(7)",), 2),
    Hostile("c_exit", "import ctypes; ctypes.CDLL(None).exit(3)", ("exit code 3",), 0),
    Hostile("becomes", "import os; os.execvp('true', ['true'])", ("becomes another program",)),
    Hostile("becomes_sleep", "import os; os.execvp('sleep', ['sleep', '60'])", ("becomes another program",)),
    Hostile("at_exit", "import atexit; atexit.register(print, 'goodbye')"),
    # it crashes
    Hostile("null_pointer", "import ctypes; ctypes.string_at(0)", ("SIGSEGV", "memory access")),
    Hostile("aborts", "import os; os.abort()", ("SIGABRT",)),
    Hostile("kills_itself", "import os, signal; os.kill(os.getpid(), signal.SIGKILL)", ("SIGKILL",)),
    Hostile("terms_itself", "import os, signal; os.kill(os.getpid(), signal.SIGTERM)", ("SIGTERM",)),
    Hostile("kills_the_group", "import os, signal; os.killpg(0, signal.SIGKILL)", ("SIGKILL",)),
    Hostile("kills_the_parent", "import os, signal; os.kill(os.getppid(), signal.SIGKILL)", ("PermissionError",)),
    Hostile("recursion", "def f(): f()\nf()", ("RecursionError",), 1),
    Hostile("c_recursion", "import sys\nsys.setrecursionlimit(10**9)\nx = []\nfor _ in range(10**5): x = [x]\nrepr(x)",
            ("SIGSEGV",), 5),
    # it hangs
    Hostile("loops", "while True: pass", SLOW),
    Hostile("sleeps", "import time\ntime.sleep(3600)", SLOW, 2),
    Hostile("swallows", "import time\nwhile True:\n try: time.sleep(1)\n except BaseException: pass", SLOW, 0),
    Hostile("blocks_the_alarm", "import signal, time\nsignal.pthread_sigmask(signal.SIG_BLOCK, range(1, 32))\n"
            "while True:\n time.sleep(1)", SLOW, 4),
    Hostile("hangs_in_c", "import ctypes\nctypes.PyDLL(None).pause()", SLOW, 0),
    Hostile("waits_for_a_lock", "import threading\nl = threading.Lock()\nl.acquire()\nl.acquire()", SLOW, 4),
    Hostile("waits_on_a_socket", "import socket\ns = socket.socket()\ns.bind(('127.0.0.1', 0))\ns.listen()\ns.accept()",
            SLOW, 0),
    Hostile("big_power", "x = len(str(7 ** (7 ** 9)))", SLOW, 0),
    Hostile("reads_stdin", "input('name? ')", ("EOFError", "--conf")),
    Hostile("joins_a_thread", "import threading, time\nthreading.Thread(target=time.sleep, args=(3600,)).start()"),
    Hostile("child_lives_on", "import subprocess\nsubprocess.Popen(['sleep', '0.2'])"),
    # it forks
    Hostile("forks", "import os\nos.fork()", ("os.fork()",), 2),
    Hostile("forks_and_leaves", "import os\nif os.fork() == 0: os._exit(0)\nos.wait()"),
    Hostile("daemon", "import os\nif os.fork(): os._exit(0)", ("os._exit(0)",), 2),
    Hostile("fork_bomb", "import os\nwhile True: os.fork()", ("os.fork()",), 0),
    # it floods
    Hostile("prints", "print('{\"schema\": \"bfill/1\"}')"),
    Hostile("prints_from_c", "import os; os.write(1, b'not json'); os.system('echo not json')"),
    Hostile("floods_stdout", "while True: print('x' * 1_000)", ("prints more than 1 MiB",), 0),
    Hostile("floods_stderr", "import os\nwhile True: os.write(2, b'x' * 1_000)", ("prints more than 1 MiB",), 0),
    Hostile("allocates", "x = []\nwhile True: x.append(bytearray(10**7))", ("MemoryError", "memory"), 2),
    # it changes the process
    Hostile("changes_everything", "import os, signal, sys\nos.chdir('/')\nos.umask(0o777)\n"
            "for s in ('SIGINT', 'SIGTERM', 'SIGHUP', 'SIGCHLD', 'SIGPIPE'):\n"
            " signal.signal(getattr(signal, s), signal.SIG_IGN)\n"
            "os.environ['X'] = 'y'\nsys.setrecursionlimit(60)\nsys.stdout = sys.stderr = None"),
    Hostile("no_paths", "import sys\nsys.path = []\nsys.path_hooks.clear()\nsys.meta_path.clear()"),
    Hostile("no_modules", "import sys\nfor name in list(sys.modules):\n if 'backfill' in name: del sys.modules[name]"),
    Hostile("no_builtins", "import builtins\nbuiltins.open = builtins.len = None"),
    Hostile("closes_the_streams", "import os\nfor n in range(3): os.close(n)"),
    Hostile("closes_all", "import os\nos.closerange(0, 4096)", ("closes files that are not its own",), 0),
    Hostile("limits", "import resource\nresource.setrlimit(resource.RLIMIT_NOFILE, (3, resource.getrlimit(7)[1]))"),
    # it is large
    Hostile("a_million_tasks", "from backfill_cli import EmptyOperator\nwith DAG('million'):\n"
            " for n in range(10**6): EmptyOperator(task_id=f't{n}')", ("more than 20,000 tasks",), 3),
    Hostile("a_million_dags", "for n in range(10**6): DAG(f'd{n}')", ("more than 5,000 DAGs",)),
]  # fmt: skip
