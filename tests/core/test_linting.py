"""What plan says about templates: names nothing knows, with the nearest one."""

from __future__ import annotations

from typing import Any

import pytest

from backfill_cli.core.holes import Place
from backfill_cli.core.linting import lint_field
from backfill_cli.errors import MacroError


def notes(text: str, **known: Any) -> list[tuple[str, str]]:
    return [(note.code, note.hint) for note in lint_field(text, **{"conf_keys": (), **known})]


@pytest.mark.parametrize(
    "text",
    [
        "no template",
        "{{ ds }} {{ macros.ds_add(ds, 1) }} {{ dag_run.run_id }} {{ ti.task_id }} {{ range(3) | list }}",
        "{{ conf.region }} {{ dag_run.conf['region'] }} {{ params.region }} {{ conf.get('x', 1) }}",
        "{{ conf.x | default('d') }} {% if params.x is defined %}{% endif %} {{ nope | default(1) }}",
        "{% set own = 1 %}{{ own }}{% for i in [1] %}{{ i }}{{ loop.index }}{% endfor %}",
        "{{ var.value.anything }} {{ conn.anything }} {{ ti.xcom_pull('anything') }}",
    ],
)
def test_a_template_whose_names_are_known_has_no_notes(text: str) -> None:
    assert notes(text, conf_keys={"region"}) == []


def test_an_unknown_macro_is_noted_with_the_nearest_name() -> None:
    (note,) = lint_field("{{ dss }}", conf_keys=())
    assert note.code == "unknown-macro"
    assert note.message == "'{{ dss }}' stays as written: there is no macro 'dss'"
    assert note.hint == "did you mean 'ds'?"
    assert notes("{{ zzzzzz }}") == [
        ("unknown-macro", "a value of your own comes from --conf zzzzzz=…, as {{ conf.zzzzzz }}")
    ]
    assert notes("{{ macros.ds_ad(ds, 1) }}") == [("unknown-macro", "did you mean 'macros.ds_add'?")]
    assert notes("{{ dag_run.runid }}") == [("unknown-macro", "did you mean 'dag_run.run_id'?")]


def test_macros_that_would_not_repeat_say_why_they_are_left_out() -> None:
    assert all(
        "must see the same values" in hint for _, hint in notes("{{ macros.random() }} {{ macros.uuid.uuid4() }}")
    )
    assert len(notes("{{ macros.random() }} {{ macros.uuid.uuid4() }}")) == 2


def test_a_missing_conf_key_is_noted_with_the_nearest_key() -> None:
    assert notes("{{ dag_run.conf.regoin }}", conf_keys={"region"}) == [("missing-conf", "did you mean 'region'?")]
    assert notes("{{ conf.x }}") == [("missing-conf", "give it with --conf x=…, or write conf.x | default('…')")]


def test_params_come_from_the_conf_too() -> None:
    assert notes("{{ params.a }} {{ params.b }}", conf_keys={"a"}, param_keys={"b"}) == []
    assert notes("{{ params.c }}")[0][0] == "missing-param"


def test_variables_connections_and_xcoms_are_checked_when_their_names_are_given() -> None:
    text = "{{ var.value.v }} {{ var.json.w }} {{ conn.c.host }} {{ ti.xcom_pull(task_ids='extrac') }}"
    found = notes(text, variable_names={"w"}, connection_names={"c"}, upstream_ids={"extract"})
    assert found == [
        ("missing-variable", "set it in [variables] of bfill.toml, or as BFILL_VAR_v"),
        ("missing-xcom", "did you mean 'extract'?"),
    ]


@pytest.mark.parametrize(
    "text",
    [
        "{% if dss %}{% endif %}",
        "{% if not conf.k %}{% endif %}",
        "{% if dag_run.conf.k == 'a' and ds %}{% endif %}",
        "{% for one in params['k'] %}{% endfor %}",
        "{% if macros.ds_ad(ds, 1) > ds %}{% endif %}",
        "{% if var.json.k | length > 1 %}{% endif %}",
    ],
)
def test_an_unknown_name_that_a_block_cannot_do_without_is_refused(text: str) -> None:
    with pytest.raises(MacroError, match=r"in \{% %\} is undefined"):
        notes(text, variable_names=())


@pytest.mark.parametrize(
    "text",
    [
        "{% if 'k' in conf and conf.k %}{% endif %}",
        "{% if 'k' in conf %}{% if conf.k %}{% endif %}{% endif %}",
        "{% if ds > '2024' %}{% elif conf.k %}{% endif %}",
        "{% if (conf.k if 'k' in conf else 1) == 1 %}{% endif %}",
        "{% if ds == ts == conf.k %}{% endif %}",
    ],
)
def test_a_name_that_a_block_may_never_look_at_is_only_noted(text: str) -> None:
    assert [code for code, _ in notes(text)] == ["missing-conf"]


def test_a_block_looks_at_no_conf_that_each_run_has_of_its_own() -> None:
    assert notes("{% if conf.k and params.p %}{% endif %}", conf_keys=None) == []
    assert notes("{% if conf.k is defined or conf.k | default('') %}{% endif %}") == []


def test_refusals_are_errors_not_notes() -> None:
    with pytest.raises(MacroError):
        lint_field("eval {{ conf.x }}", Place.SHELL, conf_keys={"x"})
    with pytest.raises(MacroError):
        lint_field("{{ ds", conf_keys=())
