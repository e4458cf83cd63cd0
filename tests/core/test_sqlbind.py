"""Values in SQL become bind parameters (contract section 3), tried on a real database with hostile values."""

from __future__ import annotations

import sqlite3
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from backfill_cli.core.context import Context, RunFacts
from backfill_cli.core.holes import Place
from backfill_cli.core.shellrules import DATA
from backfill_cli.core.sqlbind import escape_colons, plan_of
from backfill_cli.core.templates import Rendered, compile_field, render_value
from backfill_cli.errors import MacroError


def render(template: str, **conf: Any) -> Rendered:
    facts = RunFacts(
        "d", "UTC", None, 1_706_659_200, 1_706_745_600, "backfill__x", "backfill", conf=conf, variables={"v": "var"}
    )
    return compile_field(template, Place.SQL).render(Context(facts))


def run(rendered: Rendered) -> list[tuple[Any, ...]]:
    connection = sqlite3.connect(":memory:")
    try:
        connection.execute("create table t (a)")
        return connection.execute(rendered.text, dict(rendered.binds)).fetchall()
    finally:
        connection.close()


def test_a_value_becomes_a_parameter_and_a_date_stays_text() -> None:
    rendered = render(
        "select * from t where d = '{{ ds }}' and n > {{ conf.n }} and r = {{ conf.r }}", n=3, r="x'; drop"
    )
    assert rendered.text == "select * from t where d = '2024-01-31' and n > :bfill_0 and r = :bfill_1"
    assert rendered.binds == {"bfill_0": 3, "bfill_1": "x'; drop"}


def test_quotes_exactly_around_a_value_go_with_it() -> None:
    rendered = render("select '{{ conf.r }}', '{{ conf.none }}'", r="a'b", none=None)
    assert rendered.text == "select :bfill_0, :bfill_1"
    assert rendered.binds == {"bfill_0": "a'b", "bfill_1": None}


def test_a_literal_with_a_value_in_it_becomes_one_parameter() -> None:
    rendered = render("select '%it''s {{ conf.r }} {{ ds }}{{ conf.n }}%'", r="a''b", n=5)
    assert rendered.text == "select :bfill_0"
    assert run(rendered) == [("%it's a''b 2024-01-315%",)]


@pytest.mark.parametrize(
    "value", [1, 1.5, True, None, "text", "", "é", "{{ ds }}", ":bfill_9", "\\", "'", "''", "--", "/*"]
)
def test_a_parameter_keeps_its_type(value: object) -> None:
    assert run(render("select {{ conf.v }}", v=value)) == [(value,)]


def test_a_list_is_looped_over() -> None:
    template = "select 1 where 2 in ({% for x in conf.ids %}{{ x }}{{ ', ' if not loop.last }}{% endfor %})"
    rendered = render(template, ids=[1, 2, "3); drop table t"])
    assert rendered.text == "select 1 where 2 in (:bfill_0, :bfill_1, :bfill_2)"
    assert run(rendered) == [(1,)]


@pytest.mark.parametrize("value", [[1, 2], {"a": 1}])
def test_a_list_or_an_object_is_no_parameter(value: object) -> None:
    with pytest.raises(MacroError, match="one parameter holds one value") as caught:
        render("select {{ conf.v }}", v=value)
    assert "tojson" in caught.value.hint
    assert run(render("select {{ conf.v | tojson }}", v=value)) == [
        ("[1, 2]" if isinstance(value, list) else '{"a": 1}',)
    ]


@pytest.mark.parametrize(
    "template",
    [
        "select * from {{ conf.v }}",
        "select * from a join {{ conf.v }}",
        "insert into {{ conf.v }} values (1)",
        "update {{ conf.v }} set a = 1",
        "drop table if exists {{ conf.v }}",
        "select 1 order by {{ conf.v }}",
        "select 1 as {{ conf.v }}",
        "select * from mart.{{ conf.v }}",
        "select * from sales_{{ conf.v }}",
        "select {{ conf.v }}_id",
        'select "{{ conf.v }}"',
        "select `{{ conf.v }}`",
        "select [{{ conf.v }}]",
        "select {{ conf.v }}::int",
        "select {{ conf.v }}{{ conf.v }}",
        "select 1 -- {{ conf.v }}",
        "select 1 --{{ conf.v }}",
        "select 1 # {{ conf.v }}",
        "select 1 /* {{ conf.v }} */",
        "select $$ {{ conf.v }} $$",
        "select $tag$ {{ conf.v }} $tag$",
        "select date '{{ conf.v }}'",
        "select E'{{ conf.v }}'",
        "select N'{{ conf.v }}'",
        "select x'{{ conf.v }}'",
        "select '\\n{{ conf.v }}'",
        "select '\\'', {{ conf.v }}",
        "select /* a /* b */ {{ conf.v }} */",
        "select 'unmatched {{ conf.v }}",
        "select 1 --x' \n, {{ conf.v }}",
        "select 'a'{{ conf.v }}'b'",
        "select :{{ conf.v }}",
    ],
)
def test_where_no_parameter_can_stand_the_template_is_refused_when_compiled(template: str) -> None:
    with pytest.raises(MacroError) as caught:
        compile_field(template, Place.SQL)
    assert caught.value.exit_code == 3
    assert caught.value.code == "unsafe-place"
    assert caught.value.hint
    assert caught.value.where


def test_a_name_comes_through_the_identifier_filter_or_not_at_all() -> None:
    assert render("select * from {{ conf.t | identifier }}", t="mart.sales").text == "select * from mart.sales"
    for hostile in ("t; drop table t", "t--", "a.b.c.d", "1a", "", "t t", 't"', None):
        with pytest.raises(MacroError, match="no plain name"):
            render("select * from {{ conf.t | identifier }}", t=hostile)


def test_blocks_choose_text_and_values_stay_parameters() -> None:
    rendered = render("select {% if conf.n > 2 %}{{ conf.n }}{% else %}0{% endif %} + {{ var.value.v }}", n=3)
    assert rendered == ("select :bfill_0 + :bfill_1", (), {"bfill_0": 3, "bfill_1": "var"})


def test_a_place_made_by_blocks_is_judged_when_rendered() -> None:
    with pytest.raises(MacroError, match="takes no parameter"):
        render('select {% if true %}"{% endif %}{{ conf.n }}"', n=3)


def test_what_is_undefined_stays_as_written() -> None:
    rendered = render("select '{{ conf.nope }}', {{ conf.n }}", n=1)
    assert rendered == ("select '{{ conf.nope }}', :bfill_0", ("conf.nope",), {"bfill_0": 1})


def test_the_same_value_in_a_loop_gets_a_parameter_each_time() -> None:
    rendered = render("select {% for x in conf.v %}{{ x }} + {% endfor %}0", v=[1, 2, 3])
    assert run(rendered) == [(6,)]


def test_a_template_with_a_parameter_of_bfills_own_name_is_refused() -> None:
    with pytest.raises(MacroError, match="of its own"):
        compile_field("select :bfill_0, {{ conf.v }}", Place.SQL)


def test_structures_of_sql_are_rendered_statement_by_statement() -> None:
    with pytest.raises(ValueError, match="one by one"):
        render_value(["select {{ conf.v }}"], {}, Place.SQL)


def test_colons_that_are_no_parameters_are_escaped_for_sqlalchemy() -> None:
    sqlalchemy = pytest.importorskip("sqlalchemy")
    text = "select a::int, ' :x', '12:30', :bfill_0, :own"
    escaped = escape_colons(text, {"bfill_0", "own"})
    clause = sqlalchemy.text(escaped)
    assert set(clause._bindparams) == {"bfill_0", "own"}
    compiled = str(clause.compile(dialect=__import__("sqlalchemy.dialects.sqlite", fromlist=["x"]).dialect()))
    assert compiled == "select a::int, ' :x', '12:30', ?, ?"


@settings(max_examples=400, deadline=None)
@given(
    st.text(max_size=20) | st.sampled_from(["' or 1=1 --", "'; drop table t; --", "\\' or 1=1", "$$", "/*", "\n", ":a"])
)
def test_any_text_arrives_as_itself_and_changes_nothing_around_it(value: str) -> None:
    if "\0" in value or any(0xD800 <= ord(character) < 0xE000 for character in value):
        return
    rendered = render("select {{ conf.v }}, '{{ conf.v }}', 'a{{ conf.v }}b''', 'end' -- it's", v=value)
    assert run(rendered) == [(value, value, f"a{value}b'", "end")]
    assert rendered.text == "select :bfill_0, :bfill_1, :bfill_2, 'end' -- it's"


@settings(max_examples=400, deadline=None)
@given(st.text(alphabet=f"{DATA}{DATA}'\"`-#/*[]$ab \n:\\(),", max_size=30))
def test_the_scanner_answers_once_for_every_value_of_any_text(skeleton: str) -> None:
    plan = plan_of(skeleton)
    bound = [at for bind in plan.binds for at in range(bind.start, bind.end) if skeleton[at] == DATA]
    refused = [at for at, _ in plan.refused]
    assert sorted(bound + refused) == [at for at, character in enumerate(skeleton) if character == DATA]
