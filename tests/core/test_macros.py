"""The macros of semantics section 7: every value written there is a case here."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backfill_cli.core.context import Context, PreviousSuccess, RunFacts
from backfill_cli.core.macros import MACRO_NAMES, MACROS, resolve_date_macros
from backfill_cli.core.schedules import compile_schedule
from backfill_cli.core.templates import compile_field
from backfill_cli.errors import MacroError, ScheduleError


def epoch(text: str) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp())


def make_facts(logical_date: str = "2024-01-31", schedule: object = "@daily", **changes: Any) -> RunFacts:
    zone = changes.get("timezone", "UTC")
    start = epoch(logical_date)
    values: dict[str, Any] = {
        "dag_id": "sales",
        "timezone": zone,
        "schedule": None if schedule is None else compile_schedule(schedule, zone=zone, anchor=start),
        "logical_date": start,
        "data_interval_end": start + 86_400,
        "run_id": f"backfill__{logical_date}T00:00:00+00:00",
        "run_type": "backfill",
        **changes,
    }
    return RunFacts(**values)


def render(template: str, facts: RunFacts | None = None) -> str:
    return compile_field(template).render(Context(facts or make_facts())).text


@pytest.mark.parametrize(
    ("template", "text"),
    [
        ("{{ ds }}", "2024-01-31"),
        ("{{ ds_nodash }}", "20240131"),
        ("{{ ts }}", "2024-01-31T00:00:00+00:00"),
        ("{{ ts_nodash }}", "20240131T000000"),
        ("{{ ts_nodash_with_tz }}", "20240131T000000+0000"),
        ("{{ logical_date }}", "2024-01-31 00:00:00+00:00"),
        ("{{ data_interval_start }}", "2024-01-31 00:00:00+00:00"),
        ("{{ data_interval_end }}", "2024-02-01 00:00:00+00:00"),
        ("{{ dag_run.logical_date }}", "2024-01-31 00:00:00+00:00"),
        ("{{ execution_date }}", "2024-01-31T00:00:00+00:00"),
        ("{{ ti.execution_date }}", "2024-01-31T00:00:00+00:00"),
        ("{{ prev_ds }} {{ next_ds }}", "2024-01-30 2024-02-01"),
        ("{{ prev_ds_nodash }} {{ next_ds_nodash }}", "20240130 20240201"),
        ("{{ yesterday_ds }} {{ tomorrow_ds }}", "2024-01-30 2024-02-01"),
        ("{{ yesterday_ds_nodash }} {{ tomorrow_ds_nodash }}", "20240130 20240201"),
        ("{{ prev_data_interval_start_success }}", "None"),
        ("{{ prev_data_interval_end_success }} {{ prev_start_date_success }}", "None None"),
        ("{{ run_id }} {{ try_number }}", "backfill__2024-01-31T00:00:00+00:00 1"),
        ("{{ dag.dag_id }} {{ task.task_id }}", "sales "),
        ("{{ macros.ds_add('2024-01-31', 7) }}", "2024-02-07"),
        ("{{ macros.ds_add(ds, -31) }}", "2023-12-31"),
        ("{{ macros.ds_format('1/5/2015', '%m/%d/%Y', '%Y-%m-%d') }}", "2015-01-05"),
        ("{{ macros.datetime(2024, 1, 31) + macros.timedelta(days=1) }}", "2024-02-01 00:00:00"),
        ("{{ (logical_date + macros.relativedelta(months=1)) | ds }}", "2024-02-29"),
        ("{{ macros.json.dumps({'a': 1}) }}", '{"a": 1}'),
        ("{{ macros.datetime_diff_for_humans(data_interval_end, logical_date) }}", "1 day after"),
    ],
)
def test_a_daily_run_of_2024_01_31_renders_as_semantics_section_7_says(template: str, text: str) -> None:
    assert render(template) == text


@pytest.mark.parametrize(
    ("filtered", "text"),
    [
        ("ds", "2024-01-31"),
        ("ds_nodash", "20240131"),
        ("ts", "2024-01-31T00:00:00+00:00"),
        ("ts_nodash", "20240131T000000"),
        ("ts_nodash_with_tz", "20240131T000000+0000"),
    ],
)
def test_the_date_filters_spell_any_datetime_section_7(filtered: str, text: str) -> None:
    assert render(f"{{{{ logical_date | {filtered} }}}}") == text


@pytest.mark.parametrize(
    ("schedule", "logical_date", "expected"),
    [
        ("@weekly", "2024-01-07", "2023-12-31 2024-01-14"),
        ("@hourly", "2024-02-29T23:00", "2024-02-29 2024-03-01"),
        ("@monthly", "2024-03-01", "2024-02-01 2024-04-01"),
        (timedelta(days=2), "2024-01-31", "2024-01-29 2024-02-02"),
    ],
)
def test_prev_ds_and_next_ds_are_neighbours_on_the_schedule_section_7(
    schedule: object, logical_date: str, expected: str
) -> None:
    assert render("{{ prev_ds }} {{ next_ds }}", make_facts(logical_date, schedule)) == expected


def test_yesterday_and_tomorrow_are_calendar_days_whatever_the_schedule_section_7() -> None:
    assert (
        render("{{ yesterday_ds }} {{ tomorrow_ds }}", make_facts("2024-03-01", "@weekly")) == "2024-02-29 2024-03-02"
    )


def test_without_a_schedule_there_are_no_neighbours() -> None:
    assert render("{{ prev_ds }} {{ next_ds }}", make_facts(schedule=None)) == "None None"


def test_a_manual_run_is_its_own_neighbour_as_in_airflow() -> None:
    assert render("{{ prev_ds }} {{ next_ds }}", make_facts(run_type="manual")) == "2024-01-31 2024-01-31"


def test_ds_is_the_utc_date_and_local_ds_the_dags_section_7() -> None:
    """Berlin midnight of 2024-07-01 is still June in UTC: the best known off-by-one-day bug."""
    facts = make_facts("2024-06-30T22:00", timezone="Europe/Berlin")
    assert render("{{ ds }}", facts) == "2024-06-30"
    assert render("{{ local_ds }} {{ local_ds_nodash }}", facts) == "2024-07-01 20240701"
    assert render("{{ local_ts }}", facts) == "2024-07-01T00:00:00+02:00"


def test_the_success_macros_name_the_latest_earlier_success_section_7() -> None:
    found = PreviousSuccess(epoch("2024-01-28"), epoch("2024-01-29"), 1_706_500_000_250_000)
    context = Context(make_facts(previous_success=found))
    assert str(context.prev_data_interval_start_success) == "2024-01-28 00:00:00+00:00"
    assert str(context.prev_data_interval_end_success) == "2024-01-29 00:00:00+00:00"
    assert context.prev_start_date_success.isoformat() == "2024-01-29T03:46:40.250000+00:00"


def test_params_are_dag_then_task_then_conf_section_7() -> None:
    facts = make_facts(params={"region": "us", "size": 1}, conf={"region": "eu", "extra": True})
    assert render("{{ params.region }} {{ params.size }} {{ params.extra }}", facts) == "eu 1 True"


def test_conf_answers_under_both_its_names() -> None:
    facts = make_facts(conf={"param": "x", "items": [1]})
    assert render("{{ dag_run.conf.param }} {{ conf.param }} {{ dag_run.conf['param'] }}", facts) == "x x x"
    assert render("{{ conf.items }}", facts) == "[1]", "a key named like a method is the key"


def test_variables_and_connections_render_by_name() -> None:
    facts = make_facts(
        variables={"root": "/data", "list": "[1, 2]"},
        connections={"dw": "postgresql+psycopg://ann:s%40fe@db.example:5433/sales?sslmode=require"},
    )
    assert render("{{ var.value.root }} {{ var.json.list[1] }} {{ var.value.get('none', 'x') }}", facts) == "/data 2 x"
    assert render("{{ conn.dw.host }}:{{ conn.dw.port }}/{{ conn.dw.schema }} {{ conn.dw.conn_type }}", facts) == (
        "db.example:5433/sales postgresql"
    )
    assert (
        render("{{ conn.dw.login }} {{ conn.dw.password }} {{ conn.dw.extra_dejson.sslmode }}", facts)
        == "ann s@fe require"
    )
    assert render("{{ conn.dw }}", facts) == "postgresql+psycopg://ann:s%40fe@db.example:5433/sales?sslmode=require"


def test_the_repr_of_a_connection_or_of_all_variables_shows_no_value() -> None:
    context = Context(make_facts(connections={"dw": "x://u:hunter2@h"}, variables={"key": "hunter2"}))
    assert "hunter2" not in f"{context.conn!r} {context.conn['dw']!r} {context.var!r} {context!r}"
    with pytest.raises(MacroError) as caught:
        render("{{ var.json.key }}", make_facts(variables={"key": "hunter2"}))
    assert "hunter2" not in str(caught.value)


def test_typed_values_are_pendulum_instants_in_utc() -> None:
    import pendulum

    context = Context(make_facts())
    assert isinstance(context["data_interval_end"], pendulum.DateTime)
    assert context["data_interval_end"] == datetime(2024, 2, 1, tzinfo=UTC)
    assert str(context["execution_date"].add(days=1)) == "2024-02-01T00:00:00+00:00"
    assert isinstance(context["ds"], str)


def test_every_macro_of_the_table_can_be_computed() -> None:
    context = Context(make_facts())
    assert set(context) == MACRO_NAMES >= set(MACROS)
    assert len(dict(context)) == len(context) == len(MACRO_NAMES)


def test_nothing_that_asks_the_clock_or_the_dice_is_a_macro() -> None:
    """A backfill that is run again must see the same values."""
    for template in ("{{ macros.random() }}", "{{ macros.time }}", "{{ macros.uuid.uuid4() }}"):
        assert render(template) == template
    for template in ("{{ macros.datetime.now() }}", "{{ logical_date.now() }}", "{{ macros.datetime.utcnow() }}"):
        with pytest.raises(MacroError, match="not available"):
            render(template)


@pytest.mark.parametrize("call", ["ds_add('31.1.2024', 1)", "ds_add(ds, 99999999)", "ds_format(ds, '%H', '%Y')"])
def test_a_date_that_cannot_be_read_or_moved_is_a_macro_error_with_a_hint(call: str) -> None:
    with pytest.raises(MacroError) as caught:
        render(f"{{{{ macros.{call} }}}}")
    assert caught.value.hint
    assert caught.value.where == "line 1, column 1"


# --- resolve_date_macros ------------------------------------------------------------------------------------------


def test_resolve_date_macros_does_several_macros_in_one_string() -> None:
    text = resolve_date_macros(
        "a {{ ds }} b {{ prev_ds }}..{{ next_ds }} {{ts_nodash}}", datetime(2024, 1, 31), "@daily"
    )
    assert text == "a 2024-01-31 b 2024-01-30..2024-02-01 20240131T000000"


def test_resolve_date_macros_leaves_what_is_no_date_macro_as_written() -> None:
    text = "{{ nope }} {{ conf.x }} {{ ti.xcom_pull('a') }} {{ run_id }} {{ params.y }}"
    assert resolve_date_macros(text, datetime(2024, 1, 31), "@daily") == text


def test_resolve_date_macros_takes_a_naive_date_as_utc_and_a_zone_from_an_aware_one() -> None:
    assert resolve_date_macros("{{ ts }}", datetime(2024, 7, 1), None) == "2024-07-01T00:00:00+00:00"
    berlin = datetime(2024, 7, 1, tzinfo=ZoneInfo("Europe/Berlin"))
    assert resolve_date_macros("{{ ds }} {{ local_ds }}", berlin, "0 0 * * *") == "2024-06-30 2024-07-01"
    assert resolve_date_macros("{{ next_ds }}", berlin, "@daily") == "2024-07-01"


@pytest.mark.parametrize(
    ("schedule", "end"),
    [("@daily", "2024-02-01"), ("@hourly", "2024-01-31"), (timedelta(days=3), "2024-02-03"), (None, "2024-01-31")],
)
def test_resolve_date_macros_knows_the_interval_of_its_schedule(schedule: object, end: str) -> None:
    assert resolve_date_macros("{{ data_interval_end | ds }}", datetime(2024, 1, 31), schedule) == end


def test_resolve_date_macros_refuses_a_schedule_that_is_none() -> None:
    with pytest.raises(ScheduleError):
        resolve_date_macros("{{ ds }}", datetime(2024, 1, 31), "99 * * * *")


@given(st.datetimes(datetime(1, 1, 3), datetime(9999, 12, 29)))
def test_the_spellings_agree_with_the_standard_library_for_any_second(moment: datetime) -> None:
    """The fast paths compute dates from day numbers; years before 1970 and before 1000 count too."""
    moment = moment.replace(microsecond=0, tzinfo=UTC)
    seconds = (moment - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(seconds=1)
    facts = RunFacts("d", "UTC", None, seconds, seconds, "r", "backfill")
    context = Context(facts)
    assert context.ds == moment.date().isoformat()
    assert context.ts == moment.isoformat()
    assert context.ds_nodash == context.ds.replace("-", "")
    assert context.yesterday_ds == (moment.date() - timedelta(days=1)).isoformat()
    assert context.tomorrow_ds == (moment.date() + timedelta(days=1)).isoformat()
    assert context.local_ds == context.ds
    assert context.logical_date == moment
    assert date.fromisoformat(context.ds) == moment.date()
    assert context.ts_nodash == moment.isoformat()[:19].replace("-", "").replace(":", "")
    assert context.ts_nodash_with_tz == moment.isoformat().replace("-", "").replace(":", "")
