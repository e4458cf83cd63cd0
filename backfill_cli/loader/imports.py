"""Running users' files: one at a time, with a time limit, without touching stdout, and with what they need importable.

Owns the guard around code of users at import time. It explains what ends in an exception, an exit or a hang; what ends
the interpreter cannot be explained from inside: `loader/rehearsal.py` finds that out in a child first.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stdout, suppress
from hashlib import blake2b
from pathlib import Path
from types import CodeType, FrameType, ModuleType
from typing import Any, NoReturn

from backfill_cli.errors import BfillError, DefinitionError
from backfill_cli.loader.endings import INTO_A_TASK, MUST_LOAD, slow
from backfill_cli.loader.places import Place, place_of_error, short_path
from backfill_cli.loader.process_state import Change, put_back

_ALARM_AGAIN_S = 0.2
"""A file that swallows the alarm (`except: pass` in a loop) gets the next one so soon."""


_SHORTEST_S = 0.01


class _TooSlow(BaseException):
    """Raised in the user's code by the alarm. Not an Exception: `except Exception` must not stop it."""


@contextmanager
def explained(file: str, folder: Path, *, timeout_s: float, spent_s: float = 0.0) -> Iterator[list[Change]]:
    """Turn whatever users' code does wrong inside the block into one DefinitionError with file and line.

    KeyboardInterrupt passes. What is printed to stdout goes to stderr, so that `--json` stays one document. A copy that
    the code makes of the process ends here, and does not go on as bfill.

    Args:
        file: The file being run, for errors that have no line.
        folder: Lines of files below it are the user's.
        timeout_s: Seconds the file may take; enforced in the main thread, where alarms arrive.
        spent_s: Seconds of them that are over.

    Returns:
        What was changed about the process and has been put back; filled when the block ends.
    """
    pid = os.getpid()
    try:
        with _kept_in_check(folder) as changes, _time_limit(max(_SHORTEST_S, timeout_s - spent_s)):
            try:
                yield changes
            finally:
                if os.getpid() != pid:
                    _end_copy()
    except KeyboardInterrupt:
        raise
    except BfillError as error:
        error.where = error.where or str(place_of_error(error.__traceback__, folder, file))
        raise
    except _TooSlow as error:
        raise slow(timeout_s, str(place_of_error(error.__traceback__, folder, file))) from None
    except SystemExit as error:
        raise DefinitionError(
            f"leaves with sys.exit({error.code!r}) while it is loaded",
            hint='put what is meant for the command line under: if __name__ == "__main__":',
            code="exits",
            where=str(place_of_error(error.__traceback__, folder, file)),
        ) from error
    except SyntaxError as error:
        raise _syntax_error(error, file) from error
    except BaseException as error:
        raise _raised(error, str(place_of_error(error.__traceback__, folder, file))) from error


def run_file(path: Path) -> ModuleType:
    """Run a file as a module of its own and return it; called inside `explained`.

    The module's name is made of its path, so that two files of one name do not meet in `sys.modules`; it is registered
    there, because dataclasses and annotations look themselves up.
    """
    name = f"bfill_dag_{blake2b(str(path).encode('utf-8', 'surrogatepass'), digest_size=4).hexdigest()}_{path.stem}"
    module = ModuleType(name)
    module.__file__ = str(path)
    try:
        code: CodeType = compile(path.read_bytes(), str(path), "exec", dont_inherit=True)
    except ValueError as error:
        # Python before 3.11.4 says this of a null byte, later ones a SyntaxError.
        raise SyntaxError(str(error)) from error
    except (MemoryError, RecursionError):  # how the parser says that its stack is full
        raise SyntaxError("it is nested too deeply") from None
    sys.modules[name] = module
    try:
        exec(code, module.__dict__)
    except BaseException:
        sys.modules.pop(name, None)
        raise
    return module


class _Folders:
    """The folder whose files are importable by name now, and the modules that came from the others.

    Two DAG folders may both hold a `helpers.py`: what the one imported is put aside while the other is in use.
    """

    def __init__(self) -> None:
        self.current: str | None = None
        self._aside: dict[str, dict[str, ModuleType]] = {}

    def use(self, folder: Path) -> None:
        """Make `folder` a place imports look in, for the file being loaded and for its tasks later.

        The last place, as in Airflow: bfill and its libraries import late, and a DAG file may be called `rich.py`.
        """
        new = str(folder)
        if new == self.current and new in sys.path:
            return
        if self.current is not None:
            self._aside[self.current] = _take_modules_below(self.current)
            with suppress(ValueError):
                sys.path.remove(self.current)
        sys.path.append(new)
        sys.modules.update(self._aside.pop(new, {}))
        self.current = new


_folders = _Folders()
use_folder = _folders.use


def folder_in_use() -> Path | None:
    """Return the folder that imports look in now: to be used again for the tasks of what was just loaded."""
    return None if _folders.current is None else Path(_folders.current)


def _take_modules_below(folder: str) -> dict[str, ModuleType]:
    below = folder + os.sep
    taken: dict[str, ModuleType] = {}
    for name, module in list(sys.modules.items()):
        file = getattr(module, "__file__", None) or next(iter(getattr(module, "__path__", [])), "")
        is_installed = "site-packages" in file or name.split(".")[0] in ("backfill_cli", "__main__", "conftest")
        if file.startswith(below) and not is_installed and not name.startswith("bfill_dag_"):
            taken[name] = sys.modules.pop(name)
    return taken


@contextmanager
def _time_limit(timeout_s: float) -> Iterator[None]:
    if threading.current_thread() is not threading.main_thread():
        yield  # signals reach the main thread alone
        return
    is_over = False

    def ring(_signal: int, _frame: FrameType | None) -> None:
        if not is_over:
            raise _TooSlow

    before = signal.signal(signal.SIGALRM, ring)
    left, again = signal.setitimer(signal.ITIMER_REAL, timeout_s, _ALARM_AGAIN_S)
    try:
        yield
    finally:
        is_over = True
        signal.setitimer(signal.ITIMER_REAL, left, again)
        signal.signal(signal.SIGALRM, before)


@contextmanager
def _kept_in_check(folder: Path) -> Iterator[list[Change]]:
    """Send stdout to stderr, the object and the descriptor, and put back what the block changes about the process."""
    if threading.current_thread() is not threading.main_thread():
        with redirect_stdout(sys.stderr):
            yield []  # another thread's file cannot be told from what the host does meanwhile
        return
    with suppress(OSError, ValueError, AttributeError):
        sys.stdout.flush()
    with put_back(folder) as changes, redirect_stdout(sys.stderr):
        sys.unraisablehook = _in_one_line(sys.unraisablehook, folder)
        try:
            yield changes
        finally:
            with suppress(OSError, ValueError, AttributeError):
                sys.stderr.flush()


def _in_one_line(before: Callable[[Any], None], folder: Path) -> Callable[[Any], None]:
    """Return a hook that tells what Python ignores, such as an exception in `__del__`, in one line."""

    def tell(broken: Any) -> None:
        if broken.exc_value is None or isinstance(broken.exc_value, KeyboardInterrupt):
            before(broken)
            return
        error = _raised(broken.exc_value, str(place_of_error(broken.exc_traceback, folder, str(folder))))
        sys.stderr.write(f"{error}, where Python ignores it\n")

    return tell


def _end_copy() -> NoReturn:
    from backfill_cli.loader.rehearsed import leave_copy

    leave_copy()


def _syntax_error(error: SyntaxError, file: str) -> DefinitionError:
    shown = (error.text or "").strip()
    return DefinitionError(
        f"is not Python: {error.msg}" + (f": {shown}" if shown else ""),
        hint=f"see it with: python -m py_compile {short_path(error.filename or file)}",
        code="syntax-error",
        where=str(Place(error.filename or file, error.lineno or 1)),
    )


def _raised(error: BaseException, where: str) -> DefinitionError:
    said = " ".join(_text_of(error).split())
    hint = MUST_LOAD
    if isinstance(error, ModuleNotFoundError) and error.name:
        hint = f"install it beside bfill, or put {error.name}.py into the DAG file's folder"
    elif isinstance(error, MemoryError):
        hint = f"it needs more memory than there is for loading; {INTO_A_TASK}"
    elif isinstance(error, EOFError):
        hint = "there is nothing to read from while a DAG file is loaded; use params, or --conf KEY=VALUE"
    message = f"raises {type(error).__name__}" + (f": {_cut(said)}" if said else "")
    return DefinitionError(message, hint=hint, code="raises", where=where)


def _text_of(error: BaseException) -> str:
    try:
        return str(error)
    except BaseException:  # noqa: BLE001  (it is the user's __str__)
        return ""


def _cut(text: str, longest: int = 300) -> str:
    return text if len(text) <= longest else text[:longest] + "…"
