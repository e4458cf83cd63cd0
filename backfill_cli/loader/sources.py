"""What a Python value does, as text: the same text for the same behaviour, whatever its comments and layout.

Owns the reading of functions for digests. A function is its syntax tree printed back, without comments, docstrings and
`@task` decorators, and with it whatever it reaches by name that lies below the DAG file's folder: helper functions,
classes, simple constants, its defaults and closure. Of code from elsewhere only the name counts (the version of a
library is not looked at), nor what is imported inside the function or found by `getattr` at run time.
"""

from __future__ import annotations

import ast
import functools
import linecache
import os
import types
from collections.abc import Iterator, Mapping
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from enum import Enum
from pathlib import Path, PurePath
from typing import Any

from backfill_cli.core.work import XComRef

_PACKAGE = str(Path(__file__).parent.parent) + os.sep
_SIMPLE = (
    str,
    bytes,
    int,
    float,
    complex,
    bool,
    type(None),
    datetime,
    date,
    time,
    timedelta,
    Decimal,
    PurePath,
    XComRef,
)
_DEEPEST = 12
"""How deep containers and objects are followed: an end for structures that hold themselves."""

Definition = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef | ast.Lambda


def text_of(value: Any, folder: Path) -> str:
    """Return text that changes when the behaviour of the value does.

    Args:
        value: Anything an author may pass: functions, constants, containers, objects.
        folder: Code below it is read, code elsewhere is named.
    """
    reach = _Reach(str(folder) + os.sep)
    head = reach.show(value)
    return "\n".join([head, *(f"{label} = {text}" for label, text in sorted(reach.parts.items()))])


class _Reach:
    """One walk from a value to all it reaches; each definition is taken once."""

    def __init__(self, below: str) -> None:
        self.below = below
        self.main = ""
        self.parts: dict[str, str] = {}

    def show(self, value: Any, depth: int = 0) -> str:
        """Return a short text for the value, and note the definitions behind it in `parts`."""
        if isinstance(value, Enum):
            return f"{type(value).__qualname__}.{value.name}"
        if isinstance(value, _SIMPLE):
            return repr(value)
        if depth > _DEEPEST:
            return type(value).__qualname__
        if isinstance(value, (dict, types.MappingProxyType)):
            items = sorted((self.show(key, depth + 1), self.show(one, depth + 1)) for key, one in value.items())
            return "{" + ", ".join(f"{key}: {one}" for key, one in items) + "}"
        if isinstance(value, (set, frozenset)):
            return "{" + ", ".join(sorted(self.show(one, depth + 1) for one in value)) + "}"
        if isinstance(value, (list, tuple)):
            return "[" + ", ".join(self.show(one, depth + 1) for one in value) + "]"
        if isinstance(value, types.ModuleType):
            return f"module {value.__name__}"
        return self._show_code(value, depth)

    def _show_code(self, value: Any, depth: int) -> str:
        if isinstance(value, functools.partial):
            return f"partial({self.show([value.func, value.args, value.keywords], depth + 1)})"
        if isinstance(value, types.MethodType):
            return f"{self.show(value.__self__, depth + 1)}.{value.__func__.__name__}"
        if isinstance(value, types.FunctionType):
            return self._function(value, depth)
        if isinstance(value, type):
            return self._class(value)
        if hasattr(value, "__wrapped__"):
            return self.show(value.__wrapped__, depth + 1)
        if hasattr(value, "digest_parts"):
            return self.show(value.digest_parts(), depth + 1)
        if isinstance(value, types.BuiltinFunctionType):
            return f"{value.__module__}.{value.__qualname__}"
        # The state of somebody else's object (os.environ, a logger, a session) belongs to the process, not to the DAG.
        state = self.show(vars(value), depth + 1) if hasattr(value, "__dict__") and self._is_our_class(value) else ""
        return f"{self._class(type(value))}({state})"

    def _is_our_module(self, value: Any) -> bool:
        return isinstance(value, types.ModuleType) and self._is_ours(getattr(value, "__file__", None) or "")

    def _is_our_class(self, value: Any) -> bool:
        import sys

        module = sys.modules.get(type(value).__module__)
        return self._is_ours(getattr(module, "__file__", None) or "")

    def _function(self, function: types.FunctionType, depth: int) -> str:
        code = function.__code__
        if not self._is_ours(code.co_filename):
            return f"{function.__module__}.{function.__qualname__}"
        label = self._label(code.co_filename, function.__qualname__)
        if label in self.parts:
            return label
        nodes = _definitions(code.co_filename).get((code.co_name, code.co_firstlineno), [])
        self.parts[label] = "\n".join(ast.unparse(node) for node in nodes) if nodes else _bytecode(code)
        for number, default in enumerate(function.__defaults__ or ()):
            self.parts[f"{label} default {number}"] = self.show(default, depth + 1)
        for name, default in (function.__kwdefaults__ or {}).items():
            self.parts[f"{label} default {name}"] = self.show(default, depth + 1)
        closure = {
            name: cell.cell_contents
            for name, cell in zip(code.co_freevars, function.__closure__ or (), strict=True)
            if _is_filled(cell)
        }
        for node in nodes:
            self._follow(label, node, {**function.__globals__, **closure}, _names(code))
        if not nodes:
            for name, value in closure.items():
                self.parts[f"{label} {name}"] = self.show(value, depth + 1)
        return label

    def _class(self, kind: type) -> str:
        import sys

        module = sys.modules.get(kind.__module__)
        file = getattr(module, "__file__", None) or ""
        if module is None or not self._is_ours(file):
            return f"{kind.__module__}.{kind.__qualname__}"
        label = self._label(file, kind.__qualname__)
        if label not in self.parts:
            nodes = [node for (name, _), found in _definitions(file).items() if name == kind.__name__ for node in found]
            self.parts[label] = "\n".join(ast.unparse(node) for node in nodes)
            for node in nodes:
                self._follow(label, node, vars(module), None)
        return label

    def _follow(self, label: str, node: ast.AST, scope: Mapping[str, Any], known: frozenset[str] | None) -> None:
        """Note every value the definition names, through attributes of modules too (`helpers.clean`)."""
        for one in ast.walk(node):
            if not isinstance(one, (ast.Name, ast.Attribute)):
                continue
            path = _dotted(one)
            if not path or path[0] not in scope or (known is not None and path[0] not in known):
                continue
            value = scope[path[0]]
            for step in path[1:]:
                if not self._is_our_module(value) or not hasattr(value, step):
                    break
                value = getattr(value, step)
            else:
                key = f"{label} uses {'.'.join(path)}"
                if key not in self.parts:
                    self.parts[key] = ""  # before looking: functions may call each other in a circle
                    self.parts[key] = self.show(value)

    def _label(self, file: str, name: str) -> str:
        # The file the walk begins in has no name here: a DAG file that is renamed is the same version.
        self.main = self.main or file
        return name if file == self.main else f"{file.removeprefix(self.below)}:{name}"

    def _is_ours(self, file: str) -> bool:
        is_below = file.startswith(self.below) and not file.startswith(_PACKAGE)
        return is_below and "site-packages" not in file and "dist-packages" not in file


def _definitions(file: str) -> dict[tuple[str, int], list[Definition]]:
    """Every definition of a file by name and first line, decorators included, as `co_firstlineno` counts."""
    linecache.checkcache(file)
    return _parse("".join(linecache.getlines(file)))


@functools.lru_cache(maxsize=64)
def _parse(source: str) -> dict[tuple[str, int], list[Definition]]:
    try:
        tree = ast.parse(source)
    except (SyntaxError, ValueError):
        return {}
    found: dict[tuple[str, int], list[Definition]] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Lambda):
            found.setdefault(("<lambda>", node.lineno), []).append(node)
        elif isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            first = min([node.lineno, *(one.lineno for one in node.decorator_list)])
            found.setdefault((node.name, first), []).append(node)
            node.decorator_list = [one for one in node.decorator_list if not _is_task(one)]
            if ast.get_docstring(node, clean=False) is not None:
                node.body = node.body[1:] or [ast.Pass()]
    return found


def _is_task(decorator: ast.expr) -> bool:
    """`@task`, `@task(…)`, `@task.bash`, `@bfill.task(…)`: their options count as the task's, not as code."""
    path = _dotted(decorator.func if isinstance(decorator, ast.Call) else decorator)
    return "task" in path[:2]


def _dotted(node: ast.AST) -> tuple[str, ...]:
    """`a.b.c` as its names; empty for anything that does not begin with a name."""
    if isinstance(node, ast.Name):
        return (node.id,)
    if isinstance(node, ast.Attribute):
        head = _dotted(node.value)
        return (*head, node.attr) if head else ()
    return ()


def _codes(code: types.CodeType) -> Iterator[types.CodeType]:
    yield code
    for one in code.co_consts:
        if isinstance(one, types.CodeType):
            yield from _codes(one)


def _names(code: types.CodeType) -> frozenset[str]:
    """Names the code looks up outside itself: a local variable that shares its name with a global is none."""
    return frozenset(name for one in _codes(code) for name in (*one.co_names, *one.co_freevars))


def _bytecode(code: types.CodeType) -> str:
    """What stands for a function without source: other under another Python, which is better than never changing."""
    parts: list[str] = []
    for one in _codes(code):
        constants = [const for const in one.co_consts if not isinstance(const, types.CodeType)]
        parts += [one.co_code.hex(), repr(constants), repr(one.co_names)]
    return " ".join(parts)


def _is_filled(cell: types.CellType) -> bool:
    try:
        cell.cell_contents  # noqa: B018
    except ValueError:
        return False
    return True
