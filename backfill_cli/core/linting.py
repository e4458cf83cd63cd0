"""What `plan` says about a template before anything runs: names that nothing knows, with the nearest one.

Owns the notes and their codes: `unknown-macro` and `missing-conf`, `-param`, `-variable`, `-connection`, `-xcom`.
Refusals are `MacroError`s, not notes: syntax and unsafe places by `compile_field`, unknown names in `{% %}` here.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from difflib import get_close_matches
from typing import Final

from backfill_cli.core.macros import MACRO_NAMES, Macros
from backfill_cli.core.problems import Problem
from backfill_cli.core.templates import Place, compile_field
from backfill_cli.core.views import DagRunView, DagView, TaskView, Variables
from backfill_cli.core.xcoms import TaskInstanceView
from backfill_cli.errors import MacroError

_VIEWS: Final = {
    "macros": Macros.template_names,
    "dag": DagView.template_names,
    "dag_run": DagRunView.template_names,
    "task": TaskView.template_names,
    "ti": TaskInstanceView.template_names,
    "task_instance": TaskInstanceView.template_names,
    "var": Variables.template_names,
}
# Airflow's, left out because a backfill run again must see the same values
_NOT_REPEATABLE: Final = {"random", "time", "uuid"}


def lint_field(
    text: str,
    place: Place = Place.PLAIN,
    *,
    conf_keys: Collection[str] | None,
    param_keys: Collection[str] = (),
    variable_names: Collection[str] | None = None,
    connection_names: Collection[str] | None = None,
    upstream_ids: Collection[str] | None = None,
    known: Collection[str] = MACRO_NAMES,
) -> list[Problem]:
    """Notes on the names a template uses, sorted by code and name; empty when all are known.

    Args:
        conf_keys: Keys of the run's conf. They count as params too, as they do in `params.KEY`. None when each run has
            its own: what conf and params hold is not known then.
        variable_names: None, like `connection_names` and `upstream_ids`, leaves that check out.
        upstream_ids: Tasks whose XComs exist by then.

    Raises:
        MacroError: The template does not compile, a value stands where no quoting is safe, or a `{% %}` cannot do
            without a name that nothing knows.
    """
    field = compile_field(text, place)
    used = field.references
    params = None if conf_keys is None else {*param_keys, *conf_keys}
    unknown = sorted(field.unknown_macros(frozenset(known)) - used.optional)
    notes = []
    for name in unknown:
        note = _note("unknown-macro", name, "there is no macro", name, known)
        notes.append(_unless_required(note, {name}, used.required))
    for base, attribute in sorted(used.attributes):
        if attribute not in _VIEWS[base] and f"{base}.{attribute}" not in used.optional:
            notes.append(_unless_required(_unknown_attribute(base, attribute), {f"{base}.{attribute}"}, used.required))
    checks: tuple[tuple[str, str, str, Iterable[str], Collection[str] | None], ...] = (
        ("missing-conf", "conf", "the conf has no key", used.conf, conf_keys),
        ("missing-param", "params", "there is no param", used.params, params),
        ("missing-variable", "var.value", "there is no variable", used.variables, variable_names),
        ("missing-connection", "conn", "there is no connection", used.connections, connection_names),
    )
    for code, prefix, what, names, present in checks:
        for name in sorted(names) if present is not None else ():
            spelled = {f"{prefix}.{name}", f"dag_run.{prefix}.{name}", f"var.json.{name}"}
            if present is not None and name not in present and not spelled & used.optional:
                note = _note(code, f"{prefix}.{name}", what, name, present)
                notes.append(_unless_required(note, spelled, used.required))
    if upstream_ids is not None:
        notes += _xcom_notes(used.xcoms, upstream_ids)
    return notes


def _note(code: str, written: str, what: str, name: str, known: Collection[str]) -> Problem:
    near = get_close_matches(name, sorted(known), n=1, cutoff=0.6)
    hint = f"did you mean '{near[0]}'?" if near else _FALLBACK_HINTS[code].format(name=name)
    return Problem(code, f"'{{{{ {written} }}}}' stays as written: {what} '{name}'", hint)


def _unless_required(note: Problem, spelled: Collection[str], required: frozenset[str]) -> Problem:
    """Return the note, or refuse: in `{% %}` nothing can stay as written."""
    for name in required.intersection(spelled):
        raise MacroError(f"'{name}' in {{% %}} is undefined", hint=note.hint, code=note.code)
    return note


_FALLBACK_HINTS: Final = {
    "unknown-macro": "a value of your own comes from --conf {name}=…, as {{{{ conf.{name} }}}}",
    "missing-conf": "give it with --conf {name}=…, or write conf.{name} | default('…')",
    "missing-param": "give it with --conf {name}=…, or add it to the DAG's params",
    "missing-variable": "set it in [variables] of bfill.toml, or as BFILL_VAR_{name}",
    "missing-connection": "set it in [connections] of bfill.toml, or as BFILL_CONN_{name}",
}


def _unknown_attribute(base: str, attribute: str) -> Problem:
    if base == "macros" and attribute in _NOT_REPEATABLE:
        hint = (
            "left out on purpose: a date that runs again must see the same values; use ds, run_id or data_interval_end"
        )
        return Problem("unknown-macro", f"'macros.{attribute}' does not exist", hint)
    near = get_close_matches(attribute, sorted(_VIEWS[base]), n=1, cutoff=0.6)
    hint = f"did you mean '{base}.{near[0]}'?" if near else f"{base} has: {', '.join(sorted(_VIEWS[base]))}"
    return Problem(
        "unknown-macro", f"'{{{{ {base}.{attribute} }}}}' stays as written: {base} has no '{attribute}'", hint
    )


def _xcom_notes(xcoms: Iterable[tuple[str, str]], upstream_ids: Collection[str]) -> Iterator[Problem]:
    for task_id, key in sorted(xcoms):
        if task_id not in upstream_ids:
            near = get_close_matches(task_id, sorted(upstream_ids), n=1, cutoff=0.6)
            yield Problem(
                "missing-xcom",
                f"the XCom '{key}' of '{task_id}' is pulled, but that task does not run before this one",
                f"did you mean '{near[0]}'?" if near else f"make it an upstream task: {task_id} >> …",
            )
