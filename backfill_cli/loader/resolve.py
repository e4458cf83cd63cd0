"""`--dag` → the DAG it means, and how a worker finds the same one again.

Owns the order of the forms (contract section 2) and what is said when none fits or several do. Each form is a small
function that returns the DAG or None, "not mine".
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING

from backfill_cli.core.graph import Dag, join_hints, near_hint
from backfill_cli.core.invocations import DagRef
from backfill_cli.errors import BfillError, DefinitionError, NotFoundError
from backfill_cli.loader import rehearsal, scenarios, versions
from backfill_cli.loader.authoring import DAG
from backfill_cli.loader.files import Uncompiled, compiled, dags_of, load_each, whole
from backfill_cli.loader.folders import Scanned, scan_dags
from backfill_cli.loader.places import short_path
from backfill_cli.loader.scopes import collecting
from backfill_cli.loader.settings import Settings

if TYPE_CHECKING:
    from backfill_cli.core.problems import Problem

DEFINITION = "definition:"
"""Head of the target of a `--command` DAG: its whole definition follows, so that a worker needs no store."""

KnownDefinition = Callable[[str], str | None]


@dataclass(frozen=True, slots=True)
class Resolved:
    """A DAG that was found.

    Args:
        dag: Compiled, its version over the settings it uses as well.
        ref: What a worker process gets; `target` is empty for a DAG that only lives in this process.
        definition: JSON of a `--command` DAG, for the store; None for others.
        warnings: What a person should know; the notes of the DAG.
    """

    dag: Dag
    ref: DagRef
    definition: str | None = None
    warnings: tuple[Problem, ...] = ()

    @property
    def path(self) -> str | None:
        """The DAG file, None for DAGs without one."""
        return self.dag.path


_loaded: dict[tuple[str, str], Dag] = {}


def resolve_dag(
    target: str, *, settings: Settings, known_definition: KnownDefinition = lambda _dag_id: None
) -> Resolved:
    """Return the DAG that `--dag` names; the forms are tried in the contract's order.

    A file in the dags folders that does not load never hides another file's DAG; it is spoken of when nothing is found.

    Args:
        target: A scenario's number or file name; `path/file.py` or `path/file.py:dag_id`; a dag_id from the dags
            folders or of a `--command` DAG; `package.module:name`.
        known_definition: The stored definition of a `--command` DAG by its dag_id, None without one.

    Raises:
        NotFoundError: Nothing has that name; the hint lists near ones.
        DefinitionError: The file is broken, or several DAGs answer to the name: they are listed.
    """
    target = target.strip()
    scanned: list[Scanned] = []
    for form in (_scenario, _file):
        found = form(target, settings)
        if found is not None:
            return _resolved(found, f"{found.path}:{found.dag_id}", settings)
    found = _from_folders(target, settings, scanned)
    if found is not None:
        return _resolved(found, f"{found.path}:{found.dag_id}", settings)
    definition = known_definition(target)
    if definition is not None:
        return resolve_definition(definition, settings=settings)
    found = _module(target, settings)
    if found is not None:
        return _resolved(found, target, settings)
    raise _broken_home(target, scanned) or _not_found(target, settings, scanned)


def resolve_definition(definition: str, *, settings: Settings) -> Resolved:
    """Return the DAG of a `--command` definition, as `adhoc_dag` makes it and the store keeps it."""
    from backfill_cli.loader.adhoc import from_definition

    return _resolved(from_definition(definition), DEFINITION + definition, settings, definition=definition)


def resolve_object(dag: DAG | Dag, *, settings: Settings) -> Resolved:
    """Return a DAG given as an object (contract section 8). Only thread workers can run one that is in no file."""
    core = dag.compile(timezone=settings.timezone) if isinstance(dag, DAG) else dag
    return _resolved(core, "", settings)


def load_ref(ref: DagRef, settings: Settings) -> Dag:
    """Return the DAG of a reference, on the side of a worker; loaded once a process for each target and version.

    Raises:
        DefinitionError: What is found there now is another version (code `dag-changed`), or does not load.
        NotFoundError: It is gone.
    """
    known = _loaded.get((ref.target or ref.dag_id, ref.version))
    if known is not None:
        return known
    if not ref.target:
        raise DefinitionError(
            f"DAG '{ref.dag_id}' exists only in the process that made it",
            hint="write it into a file to run it in other processes, or use --executor thread",
            code="dag-in-process",
        )
    if ref.target.startswith(DEFINITION):
        found = resolve_definition(ref.target.removeprefix(DEFINITION), settings=settings)
    else:
        found = resolve_dag(ref.target, settings=settings)
    if found.dag.version != ref.version:
        raise DefinitionError(
            f"DAG '{ref.dag_id}' is now version {found.dag.version[:7]}, this run began with {ref.version[:7]}",
            hint="the file changed meanwhile; run the same command again to go on with the new version",
            code="dag-changed",
            where=found.dag.where,
        )
    return found.dag


def _resolved(dag: Dag, target: str, settings: Settings, definition: str | None = None) -> Resolved:
    dag = versions.with_settings(dag, settings.connections, settings.variables)
    # Threads of this process get this very object: a file is run once, and its version kept to the end.
    _loaded[target or dag.dag_id, dag.version] = dag
    return Resolved(dag, DagRef(target, dag.dag_id, dag.version), definition, dag.notes)


def _scenario(target: str, settings: Settings) -> Dag | None:
    file = scenarios.find_scenario(target)
    if file is None:
        return None
    wanted = scenarios.scenario_dag_id(file)
    return _pick(_load(file, settings), wanted, short_path(file), target)


def _file(target: str, settings: Settings) -> Dag | None:
    path, name = _split(target)
    file = Path(path).expanduser()
    if not file.is_file():
        return None
    return _pick(_load(file, settings), name, short_path(file), path)


def _from_folders(target: str, settings: Settings, scanned: list[Scanned]) -> Dag | None:
    if "/" in target or target.endswith(".py") or ":" in target:
        return None  # no dag_id looks like this, so no file needs to be run to know
    scanned.extend(scan_dags(settings))
    found = [one for one in scanned if not isinstance(one.found, BfillError) and target in one.found]
    if len(found) > 1:
        places = ", ".join(short_path(one.path) for one in found)
        raise DefinitionError(
            f"dag_id '{target}' is defined in {len(found)} files: {places}",
            hint=f"name one: --dag {short_path(found[0].path)}:{target}",
            code="ambiguous-dag",
        )
    if not found:
        return None
    from backfill_cli.loader.imports import use_folder

    dags = found[0].dags(settings)
    use_folder(found[0].path.parent)  # the last file that was run need not be the one whose tasks import beside it
    return _pick(dags, target, short_path(found[0].path), target)


def _module(target: str, settings: Settings) -> Dag | None:
    module_name, name = _split(target)
    if not name or not all(part.isidentifier() for part in module_name.split(".")):
        return None
    from backfill_cli.loader.imports import use_folder

    folder, timeout_s = Path.cwd(), settings.import_timeout_s
    use_folder(folder)
    if rehearsal.is_possible():

        def load() -> tuple[str, ...]:
            _imported(module_name, folder, timeout_s)
            return ()

        work = rehearsal.Work(module_name, folder, load)
        (verdict,) = rehearsal.rehearse([work], rehearsal.Bounds(timeout_s, settings.import_memory_mb))
        if isinstance(verdict, BfillError):
            raise verdict
    imported = _imported(module_name, folder, timeout_s)
    if imported is None:
        return None
    module, created = imported
    spec = module.__spec__
    assert spec is not None
    file = Path(spec.origin or module_name)
    bound = getattr(module, name, None)
    # As in a file, a DAG needs no name of its own in the module: `with DAG("nightly"):` makes it.
    made = [one for one in created if one.home == spec.origin] or dags_of(module)
    dags = [bound] if isinstance(bound, DAG) else [one for one in made if one.dag_id == name]
    if not dags:
        known = [one for one, value in vars(module).items() if isinstance(value, DAG)] + [one.dag_id for one in made]
        raise NotFoundError(
            f"module '{module_name}' has no DAG '{name}'",
            hint=near_hint(name, set(known), otherwise="" if known else f"define one: with DAG('{name}', …):"),
            code="unknown-dag",
        )
    return whole(compiled(dags, file, timezone=settings.timezone, timeout_s=timeout_s)[0])


def _imported(name: str, folder: Path, timeout_s: float) -> tuple[ModuleType, list[DAG]] | None:
    """Return the module and the DAGs made while it was imported; None when there is no such module."""
    from importlib import import_module
    from importlib.util import find_spec

    from backfill_cli.loader.imports import explained

    # Looking for a module imports the packages around it: that is users' code too.
    with explained(name, folder, timeout_s=timeout_s), collecting() as created:
        try:
            spec = find_spec(name)
        except ModuleNotFoundError as error:
            if error.name is None or not f"{name}.".startswith(f"{error.name}."):
                raise  # a package on the way is there, and imports what is not
            spec = None
        return (import_module(name), created) if spec is not None else None


def _load(file: Path, settings: Settings) -> list[Dag | Uncompiled]:
    timeout_s, memory_mb = settings.import_timeout_s, settings.import_memory_mb
    return load_each(file, timeout_s=timeout_s, timezone=settings.timezone, memory_mb=memory_mb)


def _pick(dags: Sequence[Dag | Uncompiled], name: str | None, shown: str, typed: str) -> Dag:
    """Return the DAG of that name from one file, or its only one. Raises its error when it does not compile."""
    if name is None:
        if len(dags) == 1:
            return whole(dags[0])
        raise DefinitionError(
            f"{shown} holds {len(dags)} DAGs: {', '.join(dag.dag_id for dag in dags)}",
            hint=f"name one: --dag {typed}:{dags[0].dag_id}",
            code="ambiguous-dag",
        )
    for dag in dags:
        if dag.dag_id == name:
            return whole(dag)
    raise NotFoundError(
        f"{shown} has no DAG '{name}'", hint=near_hint(name, [dag.dag_id for dag in dags]), code="unknown-dag"
    )


def _split(target: str) -> tuple[str, str | None]:
    """`path:name` as its halves; a target that is itself a file has no name, whatever colons are in it."""
    head, colon, name = target.rpartition(":")
    return (head, name) if colon and head and not Path(target).is_file() else (target, None)


def _broken_home(target: str, scanned: Sequence[Scanned]) -> BfillError | None:
    """Return the error of a file that does not load and has the dag_id in it: whoever typed the id needs to read it."""
    for one in scanned:
        if isinstance(one.found, BfillError):
            text = one.path.read_text(encoding="utf-8", errors="replace") if one.path.is_file() else ""
            if f'"{target}"' in text or f"'{target}'" in text:
                return one.found
    return None


def _not_found(target: str, settings: Settings, scanned: Sequence[Scanned]) -> NotFoundError:
    path, _ = _split(target)
    if path.endswith(".py") or "/" in path:
        folder = Path(path).parent
        beside = [str(folder / one.name) for one in folder.glob("*.py")] if folder.is_dir() else []
        hint = near_hint(path, beside, otherwise="give the path of a DAG file, or a dag_id from: bfill dags list")
        return NotFoundError(f"there is no DAG file '{path}'", hint=hint, code="unknown-dag")
    module, colon, _ = target.rpartition(":")
    if colon and all(part.isidentifier() for part in module.split(".")):
        return NotFoundError(
            f"there is no module '{module}' to import, and no file of that name",
            hint=f"run bfill in the folder that {module.partition('.')[0]} is in, or install it beside bfill",
            code="unknown-module",
        )
    known = [dag_id for one in scanned if not isinstance(one.found, BfillError) for dag_id in one.found]
    if scenarios.looks_like_number(target):
        known = [scenarios.short_number(number) for number in scenarios.scenario_files()]
    folders = ", ".join(short_path(folder) for folder in settings.dags)
    hint = near_hint(
        target, known, otherwise="" if known else f"no DAG is defined in {folders}; give a file: --dag FILE.py"
    )
    broken = [one for one in scanned if isinstance(one.found, BfillError)]
    if broken:
        count = f"{len(broken)} files do" if len(broken) > 1 else "1 file does"
        hint = join_hints(hint, f"{count} not load, see: bfill dags validate")
    return NotFoundError(f"there is no DAG '{target}'", hint=hint, code="unknown-dag")
