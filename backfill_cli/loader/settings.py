"""Settings: flag beats environment beats file, and every value is checked once, here.

Owns the table of settings, the search for the file, and `secret:` references, which stay references until an attempt
reads them. What a setting does is its reader's business.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from backfill_cli.errors import BfillError, InputError, SettingsError
from backfill_cli.loader.places import short_path

if TYPE_CHECKING:
    from backfill_cli.core.pool_rules import PoolRules
    from backfill_cli.loader.event_targets import EventTarget

_FROM_ENVIRONMENT = (
    "store", "timezone", "workers", "max_runs", "import_timeout_s", "import_memory_mb", "grace_s", "scheduled_first",
    "on_event",
)  # fmt: skip
SECRET = "secret:"
_CONN, _VAR = "BFILL_CONN_", "BFILL_VAR_"


@dataclass(frozen=True, slots=True)
class Settings:
    """Every setting, checked. Paths are absolute.

    Args:
        root: Folder of the settings file, else the working directory: where relative paths of the file start.
        file: The settings file, None without one.
        store: Path or URL of the store.
        dags: Folders (or files) in which a dag_id is looked for.
        timezone: IANA zone of DAGs that name none.
        workers: Tasks at once.
        max_runs: Dates a command may make without being asked twice.
        import_timeout_s: Seconds a DAG file may take to load.
        import_memory_mb: MiB of memory it may take for that.
        grace_s: Seconds running tasks have to end after a stop; None is the engine's default: 30 after TERM and HUP, as
            long as they take after INT.
        scheduled_first: Whether scheduled runs come before backfills where slots of a pool are scarce.
        on_event: Who gets each event of `run`, `rerun-failed` and `scheduler`; None is nobody.
        connections: Name → URL or `secret:ENV_NAME`.
        variables: Name → text or `secret:ENV_NAME`; JSON text for what is not text in the file.
        pools: Name → slots; -1 is unlimited.
        pool_rules: Name → what else is said of a pool; one that is given no slots stands here alone.
    """

    root: Path
    file: Path | None = None
    store: str = ""
    dags: tuple[Path, ...] = ()
    timezone: str = "UTC"
    workers: int = 32
    max_runs: int = 10_000
    import_timeout_s: float = 30.0
    import_memory_mb: int = 2_048
    grace_s: float | None = None
    scheduled_first: bool = True
    on_event: EventTarget | None = field(default=None, repr=False)
    # Not in the repr: it may end up in somebody's log.
    connections: Mapping[str, str] = field(default_factory=dict, repr=False)
    variables: Mapping[str, str] = field(default_factory=dict, repr=False)
    pools: Mapping[str, int] = field(default_factory=dict)
    pool_rules: Mapping[str, PoolRules] = field(default_factory=dict)


class _Bad(ValueError):
    """A value its setting cannot have; the text says what it takes."""


class _Where(NamedTuple):
    """Where a value stands, and the folder its relative paths start in."""

    place: str
    base: Path


def load_settings(cwd: Path, environ: Mapping[str, str], overrides: Mapping[str, Any] | None = None) -> Settings:
    """Return the settings of a working directory.

    Args:
        cwd: Where the search for `bfill.toml` or `[tool.bfill]` in `pyproject.toml` begins, upwards.
        environ: `BFILL_STORE`, `BFILL_DAGS` (separated like PATH), …, `BFILL_CONN_NAME`, `BFILL_VAR_NAME`; a name there
            is the one in the file that differs in case alone, else lower case.
        overrides: Flags by setting; None is not given. Connections, variables and pools are laid over, name by name.

    Raises:
        SettingsError: A key is unknown (the hint names the nearest), a value impossible, the file not TOML.
    """
    cwd = cwd.absolute()
    file, table, lines = _find(cwd)
    root = file.parent if file else cwd
    found: dict[str, Any] = {}
    for key, value in table.items():
        where = _Where(_line_of(file, lines, key), root)
        if key not in _CONVERTERS:
            from backfill_cli.core.graph import near_hint

            raise SettingsError(
                f"unknown setting '{key}'", hint=near_hint(key, _CONVERTERS), code="unknown-setting", where=where.place
            )
        found[key] = _convert(key, value, where)
    for key, value in _from_environment(environ, found).items():
        found[key] = _lay_over(found.get(key), _convert(key, value, _Where("the environment", cwd)))
    for key, value in (overrides or {}).items():
        if value is not None:
            found[key] = _lay_over(found.get(key), _convert(key, value, _Where("the command line", cwd)))
    found.setdefault("store", str(root / ".bfill" / "bfill.db"))
    found.setdefault("dags", (root / "dags",))
    found["pool_rules"] = rules = found.pop("pools", {})
    found["pools"] = {name: one.slots for name, one in rules.items() if one.slots is not None}
    return Settings(root=root, file=file, **found)


def resolve_secret(value: str, environ: Mapping[str, str]) -> str:
    """Return the value itself, or what the environment holds for a `secret:ENV_NAME` reference.

    Raises:
        InputError: The environment has no such variable. The message names it and shows no value.
    """
    if not value.startswith(SECRET):
        return value
    name = value.removeprefix(SECRET)
    try:
        return environ[name]
    except KeyError:
        raise InputError(
            f"'{value}' refers to the environment variable {name}, which is not set",
            hint=f"set it before the command: export {name}=…",
            code="missing-secret",
        ) from None


def settings_places(cwd: Path) -> Iterator[Path]:
    """Yield the files that may hold the settings of a working directory; the first one that has some is the file."""
    for folder in (cwd, *cwd.parents):
        yield folder / "bfill.toml"
        yield folder / "pyproject.toml"


def _find(cwd: Path) -> tuple[Path | None, dict[str, Any], list[str]]:
    """Return the settings file, its table and its lines."""
    for file in settings_places(cwd):
        if not file.is_file():
            continue
        text = _read(file)
        if file.name == "bfill.toml":
            return file, _parse(file, text), text.splitlines()
        # Looking before parsing: somebody else's broken pyproject.toml far above is not our error.
        if "tool.bfill" in text:
            table = _parse(file, text).get("tool", {}).get("bfill")
            if table is not None:
                return file, table, text.splitlines()
    return None, {}, []


def _read(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "it is not UTF-8"
        raise SettingsError(
            f"cannot read {short_path(file)}: {reason}", hint="make it readable, or move it away", code="bad-settings"
        ) from error


def _parse(file: Path, text: str) -> dict[str, Any]:
    import tomllib

    try:
        return tomllib.loads(text)
    except (ValueError, RecursionError) as error:  # TOMLDecodeError; and what numbers and brackets without end lead to
        line = re.search(r"at line (\d+)", str(error))
        raise SettingsError(
            f"is not TOML: {error}",
            hint="a text stands in quotes, a table in [brackets]",
            code="bad-settings",
            where=f"{short_path(file)}:{line[1]}" if line else short_path(file),
        ) from error


def _line_of(file: Path | None, lines: list[str], key: str) -> str:
    pattern = re.compile(rf"""\s*(?:\[(?:tool\.bfill\.)?)?["']?{re.escape(key)}["']?\s*[\].=]""")
    for number, line in enumerate(lines, 1):
        if pattern.match(line):
            return f"{short_path(file or '')}:{number}"
    return short_path(file or "")


def _from_environment(environ: Mapping[str, str], known: Mapping[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key in _FROM_ENVIRONMENT:
        if value := environ.get(f"BFILL_{key.upper()}"):
            found[key] = value
    if value := environ.get("BFILL_DAGS"):
        found["dags"] = value.split(os.pathsep)
    for prefix, key in ((_CONN, "connections"), (_VAR, "variables")):
        names = {name.lower(): name for name in known.get(key, {})}
        given = {name[len(prefix) :].lower(): value for name, value in environ.items() if name.startswith(prefix)}
        if given:
            found[key] = {names.get(name, name): value for name, value in given.items() if name}
    return found


def _lay_over(below: Any, value: Any) -> Any:
    return {**below, **value} if isinstance(below, dict) and isinstance(value, dict) else value


def _convert(key: str, value: Any, where: _Where) -> Any:
    try:
        return _CONVERTERS[key](value, where)
    except _Bad as error:
        what, _, takes = str(error).rpartition("|")
        raise SettingsError(
            f"{what or f'{key} = {value!r}'} is not possible",
            hint=f"{'it' if what else key} takes {takes}",
            code="bad-setting",
            where=where.place,
        ) from None
    except BfillError as error:
        raise SettingsError(
            f"{key} = {value!r}: {error.message}", hint=error.hint, code="bad-setting", where=where.place
        ) from error


def _store(value: Any, where: _Where) -> str:
    if not isinstance(value, (str, os.PathLike)) or not str(value):
        raise _Bad("a path or a URL")
    return _url(str(value), where) if "://" in str(value) else str(_path(value, where))


def _url(url: str, where: _Where) -> str:
    """Make the relative path of a file database start in the settings' folder, not where a command is typed."""
    found = re.fullmatch(r"((?:sqlite|duckdb)(?:\+\w+)?:///)(?!/|:memory:|file:)([^?]+)(.*)", url)
    return f"{found[1]}{where.base / found[2]}{found[3]}" if found else url


def _path(value: Any, where: _Where) -> Path:
    return Path(os.path.normpath(where.base / Path(value).expanduser()))


def _dags(value: Any, where: _Where) -> tuple[Path, ...]:
    given = [value] if isinstance(value, (str, os.PathLike)) else value
    if not isinstance(given, (list, tuple)) or not all(
        isinstance(one, (str, os.PathLike)) and str(one) for one in given
    ):
        raise _Bad("a list of folders")
    return tuple(_path(one, where) for one in given)


def _zone(value: Any, _where: _Where) -> str:
    from backfill_cli.core.zones import check_zone

    if not isinstance(value, str):
        raise _Bad("the name of a zone, such as 'Europe/Paris'")
    return check_zone(value).key


def _on_event(value: Any, where: _Where) -> EventTarget | None:
    from backfill_cli.loader.event_targets import TAKES, event_target

    try:
        return event_target(value, where.base)
    except ValueError as error:
        raise _Bad(f"on_event: {error}|{TAKES}") from None


def _number(least: float, *, whole: bool) -> Callable[[Any, _Where], Any]:
    takes = f"a {'whole ' if whole else ''}number from {least:g}"

    def convert(value: Any, _where: _Where) -> float:
        try:
            number = (int if whole else float)(value) if isinstance(value, str) else value
        except ValueError:
            raise _Bad(takes) from None
        kinds = int if whole else (int, float)
        # `<=` is false for NaN, which TOML knows
        if isinstance(number, bool) or not isinstance(number, kinds) or not least <= number < float("inf"):
            raise _Bad(takes)
        return number

    return convert


def _flag(value: Any, _where: _Where) -> bool:
    said = {"true": True, "false": False}.get(value.strip().lower()) if isinstance(value, str) else value
    if not isinstance(said, bool):
        raise _Bad("true or false")
    return said


def _connections(value: Any, where: _Where) -> dict[str, str]:
    found: dict[str, str] = {}
    for name, url in _table(value, "a table of NAME = URL").items():
        if not isinstance(url, str) or ("://" not in url and not url.startswith(SECRET)):
            # The value may hold a password: it is not shown.
            raise _Bad(f"connection '{name}'|URLs such as 'sqlite:///warehouse.db', or 'secret:ENV_NAME'")
        found[name] = _url(url, where)
    return found


def _variables(value: Any, _where: _Where) -> dict[str, str]:
    found: dict[str, str] = {}
    for name, one in _table(value, "a table of NAME = value").items():
        try:
            found[name] = one if isinstance(one, str) else json.dumps(one)
        except TypeError:
            raise _Bad(f"variable '{name}'|texts, numbers, lists and tables; write a date as text") from None
    return found


def _pools(value: Any, _where: _Where) -> dict[str, PoolRules]:
    from backfill_cli.loader.pool_settings import BadPool, pool_rules

    try:
        return {name: pool_rules(name, one) for name, one in _table(value, "a table of NAME = slots").items()}
    except BadPool as error:
        raise _Bad(str(error)) from None


def _table(value: Any, takes: str) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        raise _Bad(f"a {type(value).__name__} in its place|{takes}")  # not the value: it may hold a password
    return value


_CONVERTERS: dict[str, Callable[[Any, _Where], Any]] = {
    "store": _store,
    "dags": _dags,
    "timezone": _zone,
    "workers": _number(1, whole=True),
    "max_runs": _number(1, whole=True),
    "import_timeout_s": _number(0.01, whole=False),
    "import_memory_mb": _number(64, whole=True),
    "grace_s": _number(0, whole=False),
    "scheduled_first": _flag,
    "on_event": _on_event,
    "connections": _connections,
    "variables": _variables,
    "pools": _pools,
}
