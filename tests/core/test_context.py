"""Context, `ti` and the JSON rule for XComs (contract section 2)."""

from __future__ import annotations

import json
import math
import pickle
import sys
import threading
from collections import namedtuple
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backfill_cli.core.context import (
    MISSING,
    Context,
    NoContextError,
    RunFacts,
    TaskInstanceView,
    encode_xcom,
    get_current_context,
    running_in,
)
from backfill_cli.core.xcoms import MAX_XCOM_BYTES
from backfill_cli.errors import BfillError, InputError


def make_facts(**changes: Any) -> RunFacts:
    values: dict[str, Any] = {
        "dag_id": "sales",
        "timezone": "UTC",
        "schedule": None,
        "logical_date": 1_706_659_200,
        "data_interval_end": 1_706_745_600,
        "run_id": "backfill__2024-01-31T00:00:00+00:00",
        "run_type": "backfill",
        "task_id": "load",
        "xcoms": {"extract": {"return_value": '{"rows":[1,2]}', "none": "null"}, "check": {"return_value": '"ok"'}},
        **changes,
    }
    return RunFacts(**values)


# --- Context --------------------------------------------------------------------------------------------------------


def test_a_macro_is_computed_on_first_use_and_kept() -> None:
    context = Context(make_facts())
    assert context["logical_date"] is context.logical_date


def test_a_macro_nobody_asks_for_is_never_computed() -> None:
    class Untouchable(Mapping[str, str]):
        def __getitem__(self, key: str) -> str:
            raise AssertionError("asked for a variable")

        def __iter__(self) -> Any:
            raise AssertionError("asked for the variables")

        def __len__(self) -> int:
            raise AssertionError("asked for the variables")

    assert Context(make_facts(variables=Untouchable()))["ds"] == "2024-01-31"


def test_the_context_is_a_read_only_mapping_with_attributes() -> None:
    context = Context(make_facts())
    assert "ds" in context
    assert "nope" not in context
    assert context.get("nope", 1) == 1
    with pytest.raises(KeyError):
        context["nope"]
    with pytest.raises(AttributeError, match="no macro 'nope'"):
        _ = context.nope
    with pytest.raises(AttributeError, match="read-only"):
        context.ds = "2020-01-01"
    with pytest.raises(AttributeError, match="read-only"):
        del context.ds
    with pytest.raises(TypeError):
        context["ds"] = "2020-01-01"  # type: ignore[index]


def test_what_a_task_does_to_its_conf_reaches_no_other_task() -> None:
    conf = {"tables": ["a"]}
    first, second = Context(make_facts(conf=conf)), Context(make_facts(conf=conf))
    first["conf"]["tables"].append("b")
    first["dag_run"].conf["x"] = 1
    first["params"]["tables"].append("c")
    assert second["conf"] == second["dag_run"].conf == second["params"] == conf == {"tables": ["a"]}


def test_the_context_of_a_task_holds_the_ti_it_was_given() -> None:
    facts = make_facts()
    ti = TaskInstanceView(facts)
    context = Context(facts, ti=ti)
    assert context["ti"] is context.task_instance is ti
    assert Context(facts)["ti"] is not ti


def test_facts_without_a_schedule_pickle() -> None:
    facts = make_facts()
    assert pickle.loads(pickle.dumps(facts)) == facts


def test_core_context_loads_neither_pendulum_nor_jinja() -> None:
    """Performance rule 7: heavy modules never on the start-up path."""
    import subprocess

    code = "import sys, backfill_cli.core.context, backfill_cli.core.templates as t, backfill_cli.core.linting; "
    code += "t.compile_field('no template'); heavy = {'jinja2', 'pendulum', 'dateutil', 'croniter'}; "
    code += "print(*sorted(heavy & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == ""


# --- get_current_context ------------------------------------------------------------------------------------------


def test_the_current_context_is_that_of_the_innermost_task() -> None:
    outer, inner = Context(make_facts()), Context(make_facts())
    with running_in(outer):
        with running_in(inner):
            assert get_current_context() is inner
        assert get_current_context() is outer


def test_outside_a_task_there_is_no_context_and_the_error_says_so() -> None:
    with pytest.raises(NoContextError, match="no task is running") as caught:
        get_current_context()
    assert isinstance(caught.value, RuntimeError)
    assert isinstance(caught.value, BfillError)
    assert caught.value.hint


def test_each_thread_has_its_own_current_context() -> None:
    seen: list[object] = []

    def task() -> None:
        try:
            seen.append(get_current_context())
        except NoContextError as error:
            seen.append(error)

    with running_in(Context(make_facts())):
        thread = threading.Thread(target=task)
        thread.start()
        thread.join()
    assert isinstance(seen[0], NoContextError)


# --- ti -------------------------------------------------------------------------------------------------------------


def test_a_pull_is_a_fresh_copy_each_time() -> None:
    ti = TaskInstanceView(make_facts())
    ti.xcom_pull("extract")["rows"].append(3)
    assert ti.xcom_pull("extract") == {"rows": [1, 2]}


def test_a_missing_xcom_is_none_in_python_and_a_pushed_none_is_not_missing() -> None:
    ti = TaskInstanceView(make_facts())
    assert ti.xcom_pull("nobody") is None
    assert ti.xcom_pull("nobody", default=7) == 7
    assert ti.xcom_pull("extract", key="none", default=7) is None
    assert ti.find_xcom("nobody") is MISSING
    assert ti.find_xcom("extract", "none") is None


def test_pulls_of_several_tasks_come_in_the_order_asked_for() -> None:
    ti = TaskInstanceView(make_facts())
    assert ti.xcom_pull(["check", "nobody", "extract"]) == ["ok", None, {"rows": [1, 2]}]
    assert ti.xcom_pull(("check",), default=0) == ["ok"]
    assert ti.xcom_pull() == "ok", "without task_ids: the last task that pushed the key"
    assert ti.xcom_pull(key="never") is None


def test_a_push_collects_json_and_can_be_pulled_by_its_own_task() -> None:
    ti = TaskInstanceView(make_facts())
    ti.xcom_push("pair", (1, "é"))
    ti.xcom_push("pair", (2, "é"))
    assert ti.pushed == {"pair": '[2,"é"]'}
    assert ti.xcom_pull("load", key="pair") == [2, "é"]
    assert ti.xcom_pull(key="pair") == [2, "é"]
    with pytest.raises(InputError):
        ti.xcom_push("", 1)


# --- encode_xcom ----------------------------------------------------------------------------------------------------

Point = namedtuple("Point", "x y")


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "null"),
        (True, "true"),
        (0.1, "0.1"),
        ("ä\n", '"ä\\n"'),
        ((1, (2, [3])), "[1,[2,[3]]]"),
        (Point(1, 2), "[1,2]"),
        ({"a": {"b": ()}}, '{"a":{"b":[]}}'),
        ("\udc80", '"\\udc80"'),
        (10**30, str(10**30)),
    ],
)
def test_json_values_encode_and_tuples_become_lists(value: object, text: str) -> None:
    assert encode_xcom(value) == text


@pytest.mark.parametrize(
    ("value", "named"),
    [
        (datetime(2024, 1, 1, tzinfo=UTC), "datetime.datetime itself"),
        ({"rows": [1, {"at": datetime(2024, 1, 1, tzinfo=UTC)}]}, "datetime.datetime at ['rows'][1]['at']"),
        ({1: "a"}, "the key 1 itself is of type int"),
        ({"a": {None: 1}}, "the key None at ['a'] is of type NoneType"),
        ([math.nan], "nan at [0]"),
        ({"x": -math.inf}, "-inf at ['x']"),
        ({1, 2}, "set itself"),
        (b"x", "bytes itself"),
        (object, "type itself"),
        ([1j], "complex at [0]"),
    ],
)
def test_what_json_cannot_hold_is_refused_naming_type_and_place(value: object, named: str) -> None:
    with pytest.raises(InputError) as caught:
        encode_xcom(value)
    assert named in caught.value.message
    assert caught.value.hint
    assert caught.value.code == "xcom"


def test_a_value_that_contains_itself_is_refused() -> None:
    value: list[object] = []
    value.append(value)
    with pytest.raises(InputError, match="contains itself"):
        encode_xcom(value)


def test_the_limit_is_one_mebibyte_of_utf8() -> None:
    assert len(encode_xcom("x" * (MAX_XCOM_BYTES - 2)).encode()) == MAX_XCOM_BYTES
    for value in ("x" * (MAX_XCOM_BYTES - 1), "é" * (MAX_XCOM_BYTES // 2)):
        with pytest.raises(InputError, match="limit is 1,048,576"):
            encode_xcom(value)


def test_a_number_with_more_digits_than_python_writes_is_refused() -> None:
    with pytest.raises(InputError, match="digits"):
        encode_xcom(10 ** (sys.get_int_max_str_digits() + 1))


def _as_lists(value: Any) -> Any:
    if isinstance(value, list | tuple):
        return [_as_lists(item) for item in value]
    return {key: _as_lists(item) for key, item in value.items()} if isinstance(value, dict) else value


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
        lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner) | st.tuples(inner, inner),
    )
)
def test_what_comes_out_is_what_went_in_but_for_tuples(value: object) -> None:
    assert json.loads(encode_xcom(value)) == _as_lists(value)
