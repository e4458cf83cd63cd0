"""The envelope of contract section 7, pinned key by key, and its streaming."""

from __future__ import annotations

import io
import json
import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backfill_cli.core.problems import Problem
from backfill_cli.core.records import Action, PlanRow
from backfill_cli.core.results import PlanRuns
from backfill_cli.core.states import RunState
from backfill_cli.errors import ConflictError
from backfill_cli.render.as_json import plan_run_texts, write_error, write_result
from render import samples

DATA_KEYS = {
    "plan": "dag_id dag_version schedule timezone start end backfill_id total counts runs estimate warnings",
    "run": "backfill_id parent_id dag_id state total_dates completed failed blocked skipped remaining interrupted"
    " started_at ended_at duration_s results audit_head",
    "rerun-failed": "backfill_id parent_id dag_id state total_dates completed failed blocked skipped remaining"
    " interrupted started_at ended_at duration_s results audit_head",
    "status": "backfill runs",
    "audit": "events head",
}


def document(command: str, result, exit_code: int = 0, problems=()) -> dict:
    file = io.StringIO()
    write_result(file, command, result.data(), exit_code=exit_code, problems=problems)
    assert file.getvalue().endswith("}\n")
    return json.loads(file.getvalue())


def test_the_envelope_has_exactly_the_promised_keys_in_order():
    made = document("plan", samples.plan(), problems=[Problem("a", "b", "c")])
    assert list(made) == ["schema", "command", "ok", "exit_code", "data", "problems"]
    assert made["schema"] == "bfill/1"
    assert made["command"] == "plan"
    assert made["problems"] == [{"code": "a", "message": "b", "hint": "c"}]


@pytest.mark.parametrize(("code", "ok"), [(0, True), (1, False), (10, False), (130, False)])
def test_ok_is_true_only_with_exit_code_zero(code, ok):
    made = document("run", samples.run_failed(), exit_code=code)
    assert (made["ok"], made["exit_code"]) == (ok, code)


def test_an_error_has_error_in_place_of_data():
    file = io.StringIO()
    error = ConflictError("2024-03-04 is being run", hint="wait", code="held", where="bfill.toml:3")
    write_error(file, "run", error, exit_code=5)
    assert json.loads(file.getvalue()) == {
        "schema": "bfill/1",
        "command": "run",
        "ok": False,
        "exit_code": 5,
        "error": {
            "kind": "conflict",
            "code": "held",
            "message": "2024-03-04 is being run",
            "hint": "wait",
            "where": "bfill.toml:3",
        },
    }


@pytest.mark.parametrize("name", samples.SAMPLES)
def test_every_result_becomes_one_json_document(name):
    command, make = samples.SAMPLES[name]
    made = document(command, make())
    promised = "backfill backfills" if name.startswith("status-latest") else DATA_KEYS.get(command, "")
    assert set(promised.split()) <= set(made["data"])


def test_the_runs_of_a_plan_are_in_their_place_with_the_promised_keys():
    made = document("plan", samples.plan())["data"]
    assert list(made).index("runs") < list(made).index("estimate")
    assert made["total"] == len(made["runs"]) == 31
    assert list(made["counts"]) == ["create", "resume", "rerun", "reset", "skip"]
    assert made["runs"][3] == {
        "logical_date": "2024-03-03T23:00:00+00:00",
        "data_interval_start": "2024-03-03T23:00:00+00:00",
        "data_interval_end": "2024-03-04T23:00:00+00:00",
        "run_id": "backfill__2024-03-03T23:00:00+00:00",
        "action": "rerun",
        "state": "failed",
        "reason": "failed",
    }


def test_an_empty_plan_has_an_empty_list_of_runs():
    assert document("plan", samples.plan_empty())["data"]["runs"] == []


rows = st.builds(
    PlanRow,
    st.integers(0, 4_102_444_800),
    st.integers(0, 4_102_444_800),
    st.sampled_from(Action),
    st.none() | st.sampled_from(RunState),
    st.sampled_from(["no run yet", "failed", ""]) | st.text(),
)


@given(st.lists(rows))
def test_the_quick_text_of_a_plan_is_what_the_encoder_makes_of_its_mappings(given_rows):
    encode = json.JSONEncoder(ensure_ascii=True).encode
    assert list(plan_run_texts(given_rows)) == [encode(one) for one in PlanRuns(lambda: given_rows)]


@given(st.lists(st.tuples(st.sampled_from([60, 3600, 82_800, 86_400, 90_000]), st.booleans()), max_size=60))
def test_an_end_that_is_the_next_start_is_written_once_and_a_gap_is_not_bridged(steps):
    at, given_rows = 1_711_839_600, []
    for width, leaves_a_gap in steps:
        given_rows.append(PlanRow(at, at + width, Action.CREATE, None, "no run yet"))
        at += width + (60 if leaves_a_gap else 0)
    encode = json.JSONEncoder(ensure_ascii=True).encode
    assert list(plan_run_texts(given_rows)) == [encode(one) for one in PlanRuns(lambda: given_rows)]


@pytest.mark.parametrize("number", [1, 999, 1000, 1001, 2500])
def test_streaming_in_chunks_drops_and_doubles_nothing(number):
    file = io.StringIO()
    write_result(file, "x", {"a": 1, "runs": iter(range(number)), "z": [2]}, exit_code=0)
    assert json.loads(file.getvalue())["data"] == {"a": 1, "runs": list(range(number)), "z": [2]}


def test_a_large_plan_streams_in_little_memory():
    """The rows of a plan are made and written one chunk after the other."""

    class Sink(io.StringIO):
        size = 0

        def write(self, text: str) -> int:
            self.size += len(text)
            return len(text)

    number = 100_000
    rows = lambda: (PlanRow(one * 300, one * 300 + 300, Action.CREATE, None, "no run yet") for one in range(number))  # noqa: E731
    plan = samples.plan(rows=rows, counts={**dict.fromkeys(Action, 0), Action.CREATE: number})
    sink = Sink()
    tracemalloc.start()
    write_result(sink, "plan", plan.data(), exit_code=0)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert sink.size > 20_000_000
    assert peak < 8_000_000


def test_the_whole_result_stands_in_the_document_of_a_run_with_failures():
    made = document("run", samples.run_failed(), exit_code=1)["data"]
    assert made["total_dates"] == sum(made[key] for key in ("completed", "failed", "blocked", "skipped", "remaining"))
    assert made["results"][7]["state"] == "failed"
    assert made["started_at"] == "2024-04-01T10:02:11+00:00"
    assert made["duration_s"] == 552.0
