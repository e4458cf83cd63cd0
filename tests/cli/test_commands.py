"""From flags to options, from results to exit codes and streams: each command over the fake service."""

from __future__ import annotations

import dataclasses
from datetime import UTC, date, datetime

import pytest
from render import samples

from backfill_cli.core.options import BackfillOptions
from backfill_cli.errors import (
    AuditError,
    BackendError,
    ConflictError,
    NotFoundError,
    RefusedError,
    StoreError,
    UsageProblem,
)
from cli.fake import FakeService


def options_of(service: type[FakeService], name: str) -> BackfillOptions:
    [found] = [args[0] for called, args, _ in service.calls if called == name]
    assert isinstance(found, BackfillOptions)
    return found


def keywords_of(service: type[FakeService], name: str) -> dict:
    [found] = [kwargs for called, _, kwargs in service.calls if called == name]
    return found


def test_plan_hands_over_every_flag(bfill, service, tmp_path):
    conf = tmp_path / "conf.json"
    conf.write_text('{"region": "us", "depth": 2}', encoding="utf-8")
    bfill(
        *["plan", "--dag", "daily_sales", "--start", "2024-03-01", "--end", "2024-03-31T12:00Z", "--limit", "9"],
        *["--parallel", "4", "--workers", "8", "--reprocess", "failed, stale", "--reset-dag-run", "--run-backwards"],
        *["--ignore-first-depends-on-past", "--include-incomplete", "--ignore-dag-bounds", "--strict-templates"],
        *["--conf", f"@{conf}", "--conf", "region=eu", "--reason", "late file"],
        *["--dry-run", "-y", "--store", "x.db"],
    )
    assert options_of(service, "plan") == BackfillOptions(
        dag_id="daily_sales",
        start_date=date(2024, 3, 1),
        end_date=datetime(2024, 3, 31, 12, tzinfo=UTC),
        limit=9,
        max_parallel_runs=4,
        workers=8,
        reprocess=frozenset({"failed", "stale"}),
        reset_dag_run=True,
        run_backwards=True,
        ignore_first_depends_on_past=True,
        include_incomplete=True,
        ignore_dag_bounds=True,
        strict_templates=True,
        conf={"region": "eu", "depth": 2},
        reason="late file",
        dry_run=True,
        yes=True,
    )
    assert keywords_of(service, "init") == {"store": "x.db", "workers": 8}


def test_without_flags_the_options_are_the_defaults_of_the_python_service(bfill, service):
    bfill("plan", "--dag", "d")
    assert options_of(service, "plan") == BackfillOptions(dag_id="d")


def test_a_command_makes_a_dag_on_the_spot(bfill, service):
    bfill("run", "--command", "etl.sh {{ ds }}", "--schedule", "@daily", "--name", "etl", "--timezone", "UTC", "-q")
    made = options_of(service, "run")
    assert (made.command, made.schedule, made.name, made.timezone) == ("etl.sh {{ ds }}", "@daily", "etl", "UTC")


def test_dates_come_from_the_flag_or_a_file_with_comments(bfill, service, tmp_path):
    file = tmp_path / "dates.txt"
    file.write_text("\ufeff2024-03-11  # late file\n\n# 2024-03-12\n2024-03-13, 2024-03-14T05:00\n", encoding="utf-8")
    bfill("plan", "--dag", "d", "--dates-from", str(file))
    assert options_of(service, "plan").dates == (date(2024, 3, 11), date(2024, 3, 13), datetime(2024, 3, 14, 5))


def test_a_bad_date_in_a_file_is_told_with_its_line(bfill, tmp_path):
    file = tmp_path / "dates.txt"
    file.write_text("2024-03-11\nnope\n", encoding="utf-8")
    ran = bfill("plan", "--dag", "d", "--dates-from", str(file), "--json")
    assert (ran.code, ran.json["error"]["where"]) == (2, f"{file}:2")


@pytest.mark.parametrize(
    ("given", "conf"),
    [
        ([], None),
        (["{}"], {}),
        (["a=007"], {"a": "007"}),
        (["a="], {"a": ""}),
        (["a=b=c"], {"a": "b=c"}),
        (['{"a": {"b": [1, null]}}'], {"a": {"b": [1, None]}}),
        (['{"a": "x=y"}'], {"a": "x=y"}),
        (["a=1", '{"a": 2, "b": 3}'], {"a": 2, "b": 3}),
        (["url=http://x/?q={y}"], {"url": "http://x/?q={y}"}),
    ],
)
def test_conf_is_merged_from_left_to_right(bfill, service, given, conf):
    """A KEY=VALUE stays text: 007 is no number."""
    words = [word for one in given for word in ("--conf", one)]
    bfill("plan", "--dag", "d", *words)
    assert options_of(service, "plan").conf == conf


@pytest.mark.parametrize("name", ["failed", "success", "completed", "stale", "all", "none", "failed,success"])
def test_every_promised_word_of_reprocess_is_known(bfill, service, name):
    bfill("plan", "--dag", "d", "--reprocess", name)
    assert options_of(service, "plan").reprocess == frozenset(name.split(",")) - {"none"}


def test_plan_shows_its_warnings_as_a_part_of_the_screen(bfill):
    ran = bfill("plan", "--dag", "d")
    assert ran.code == 0
    assert " ! 03-31 has 23 hours" in ran.out
    assert ran.err == ""


def test_plan_in_json_has_its_warnings_also_as_problems(bfill):
    made = bfill("plan", "--dag", "d", "--json").json
    assert made["problems"] == made["data"]["warnings"]
    assert made["problems"][0]["code"] == "clock-change"


@pytest.mark.parametrize(("answer", "code"), [(samples.plan, 10), (samples.plan_nothing, 0), (samples.plan_empty, 0)])
def test_detailed_exitcode_tells_whether_there_is_something_to_do(bfill, service, answer, code):
    service.answers["plan"] = answer
    assert bfill("plan", "--dag", "d", "--detailed-exitcode").code == code
    made = bfill("plan", "--dag", "d", "--detailed-exitcode", "--json")
    assert (made.code, made.json["exit_code"]) == (code, code)


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (NotFoundError("there is no DAG 'd'"), 3),
        (StoreError("store x is damaged"), 4),
        (UsageProblem("--start after --end"), 2),
    ],
)
def test_detailed_exitcode_leaves_errors_their_own_code(bfill, service, error, code):
    """A script that takes 10 for "there is work" must never take an error for either answer."""
    service.answers["plan"] = error
    assert bfill("plan", "--dag", "d", "--detailed-exitcode").code == code
    assert bfill("plan", "--dag", "d", "--detailed-exitcode", "--json").json["exit_code"] == code


def test_detailed_exitcode_of_a_mistyped_flag_is_a_usage_error(bfill):
    assert bfill("plan", "--dag", "d", "--detailed-exitcode", "--nope").code == 2


def test_run_with_an_id_asks_for_that_backfill(bfill, service):
    ran = bfill("run", "bf-20240401-7k2m")
    made = options_of(service, "run")
    assert (made.backfill_id, made.dag_id) == ("bf-20240401-7k2m", None)
    assert keywords_of(service, "run")["signals"] is True
    assert ran.code == 1


def test_run_without_a_terminal_writes_lines_to_stderr_and_the_result_to_stdout(bfill):
    ran = bfill("run", "--dag", "d")
    assert "backfill bf-20240401-7k2m daily_sales 5 dates parallel 4" in ran.err
    assert "finished failed ok 26 failed 2 blocked 0 skipped 0 total 28 seconds 552" in ran.err
    assert "finished with failures in 9 min 12 s" in ran.out
    assert "next: bfill rerun-failed bf-20240401-7k2m" in ran.out


def test_without_a_terminal_nobody_is_asked(bfill, service):
    bfill("run", "-q")
    assert keywords_of(service, "run")["choose"] is None
    bfill("reset", "--dag", "d")
    assert keywords_of(service, "reset")["confirm"] is None


def test_quiet_says_nothing_and_the_exit_code_tells(bfill, service):
    ran = bfill("run", "--dag", "d", "-q")
    assert (ran.code, ran.out, ran.err) == (1, "", "")
    assert keywords_of(service, "run")["listener"] is None


def test_quiet_still_says_errors(bfill, service):
    service.answers["run"] = ConflictError("held", hint="wait")
    assert bfill("run", "--dag", "d", "-q").err == "error: held\nhint: wait\n"


def test_a_run_with_failures_in_json_is_a_whole_result_and_not_an_error(bfill):
    ran = bfill("run", "--dag", "d", "--json")
    assert (ran.json["ok"], ran.json["exit_code"], ran.code) == (False, 1, 1)
    assert ran.json["data"]["failed"] == 2
    assert "error" not in ran.json


def test_a_dry_run_of_run_is_the_plan(bfill, service):
    ran = bfill("run", "--dag", "d", "--dry-run", "--json")
    assert ran.json["command"] == "plan"
    assert options_of(service, "plan").dry_run is True


def test_rerun_failed_without_arguments_asks_for_the_latest(bfill, service):
    ran = bfill("rerun-failed", "--whole-run", "--reason", "fixed")
    made = options_of(service, "rerun_failed")
    assert made == BackfillOptions(rerun_failed=True, whole_run=True, reason="fixed")
    assert ran.code == 0


def test_reset_hands_over_what_to_clear(bfill, service):
    bfill("reset", "--dag", "d", "--task", "load", "--task", "x_*", "--downstream", "--where", "failed", "-y")
    assert options_of(service, "reset").yes is True
    given = keywords_of(service, "reset")
    assert (given["tasks"], given["downstream"], given["where"]) == (("load", "x_*"), True, frozenset({"failed"}))


def test_status_hands_over_its_page_and_filter(bfill, service):
    bfill("status", "--dag", "d", "--where", "failed,missing", "--gaps", "--limit", "50", "--after", "2024-03-01")
    assert keywords_of(service, "status") == {
        "where": frozenset({"failed", "missing"}),
        "gaps": True,
        "limit": 50,
        "after": date(2024, 3, 1),
    }


def test_status_watches_until_it_is_over_and_shows_the_last_state(bfill, service, monkeypatch):
    monkeypatch.setattr("backfill_cli.cli.status._EVERY_S", 0.0)
    left = [samples.status_backfill(), samples.status_backfill()]
    over = samples.status_backfill()
    view = dataclasses.replace(over.backfill, state="success") if over.backfill else None
    service.answers["status"] = lambda: left.pop() if left else dataclasses.replace(over, backfill=view)
    ran = bfill("status", "bf-1", "--watch")
    assert [line.split(" ", 1)[1] for line in ran.err.splitlines()] == [
        "bf-20240401-7k2m running 19/28 failed 2",
        "bf-20240401-7k2m success 19/28 failed 2",
    ]
    assert "✓ success" in ran.out


def test_audit_hands_over_its_filters(bfill, service):
    bfill("audit", "--actor", "ana", "--action", "run", "--target", "d", "--since", "2024-03-01", "--limit", "5")
    assert keywords_of(service, "audit") == {
        "actor": "ana",
        "action": "run",
        "target": "d",
        "since": date(2024, 3, 1),
        "until": None,
        "limit": 5,
    }


def test_audit_verify_exits_6_when_the_chain_is_broken(bfill, service):
    service.answers["audit_verify"] = samples.verdict_bad
    ran = bfill("audit", "verify", "--expect-head", "1042:9f", "--json")
    assert (ran.code, ran.json["command"], ran.json["ok"]) == (6, "audit verify", False)
    assert ran.json["data"]["first_bad"] == 17
    assert keywords_of(service, "audit_verify") == {"expect_head": "1042:9f"}


def test_audit_report_hands_over_its_filters_and_prints_markdown(bfill, service):
    filters = ("--actor", "ana", "--dag", "d", "--target", "bf-1", "--since", "2024-03-01", "--until", "2024-03-31")
    ran = bfill("audit", "report", *filters)
    assert keywords_of(service, "audit_report") == {
        "actor": "ana",
        "dag": "d",
        "target": "bf-1",
        "since": date(2024, 3, 1),
        "until": date(2024, 3, 31),
    }
    assert (ran.code, ran.out.splitlines()[0], ran.err) == (0, "# Audit report", "")
    assert bfill("audit", "report", "-q").out == ""


def test_dags_commands_reach_their_use_cases(bfill, service):
    assert bfill("dags", "list", "--json").json["command"] == "dags list"
    assert bfill("dags", "show", "daily_sales", "--json").json["data"]["tasks"][1]["upstream"] == ["extract"]
    assert bfill("dags", "validate", "a.py", "b.py").code == 3
    assert ("validate", (("a.py", "b.py"),), {}) in service.calls


def test_explain_takes_an_id_or_a_dag_and_tasks(bfill, service):
    bfill("explain", "bf-1", "2024-03-11")
    assert options_of(service, "explain").backfill_id == "bf-1"
    assert keywords_of(service, "explain") == {"date": date(2024, 3, 11), "task_ids": ()}
    service.calls.clear()
    bfill("explain", "--dag", "daily_sales", "2024-03-11", "--task", "load", "--task", "+clean")
    assert options_of(service, "explain").dag_id == "daily_sales"
    assert keywords_of(service, "explain")["task_ids"] == ("load", "+clean")


def test_logs_take_an_id_or_a_dag(bfill, service):
    bfill("logs", "bf-1", "2024-03-11", "load", "--try", "2")
    assert options_of(service, "logs").backfill_id == "bf-1"
    assert keywords_of(service, "logs") == {"date": date(2024, 3, 11), "task_id": "load", "try_number": 2}
    service.calls.clear()
    bfill("logs", "--dag", "daily_sales", "2024-03-11")
    assert options_of(service, "logs").dag_id == "daily_sales"
    assert keywords_of(service, "logs")["task_id"] is None


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (StoreError("locked", hint="wait"), 4),
        (ConflictError("held", hint="wait"), 5),
        (AuditError("broken", hint="restore"), 6),
        (RefusedError("needs --yes", hint="add --yes"), 7),
        (BackendError("gone", hint="start it"), 8),
    ],
)
def test_an_error_of_a_use_case_becomes_its_exit_code_and_two_lines(bfill, service, error, code):
    service.answers["plan"] = error
    ran = bfill("plan", "--dag", "d")
    assert (ran.code, ran.out) == (code, "")
    assert ran.err == f"error: {error.message}\nhint: {error.hint}\n"


def test_a_place_stands_in_front_of_the_message(bfill, service):
    from backfill_cli.errors import ScheduleError

    service.answers["plan"] = ScheduleError("schedule '0 0 30 2 *' never fires", hint="…", where="sales.py:12")
    assert bfill("plan", "--dag", "d").err.startswith("error: sales.py:12: schedule '0 0 30 2 *' never fires\n")


def test_a_bug_exits_70_with_the_traceback_in_a_file(bfill, service, tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    service.answers["plan"] = KeyError("surprise")
    ran = bfill("plan", "--dag", "d")
    assert ran.code == 70
    assert ran.err.startswith("error: a bug in bfill: KeyError: 'surprise'\nhint: the traceback is in ")
    assert "Traceback" not in ran.err
    [file] = tmp_path.iterdir()
    assert "Traceback" in file.read_text(encoding="utf-8")
    assert file.stat().st_mode & 0o777 == 0o600


def test_a_bug_in_json_is_an_envelope_too(bfill, service, tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    service.answers["plan"] = ZeroDivisionError()
    ran = bfill("plan", "--dag", "d", "--json")
    assert (ran.code, ran.json["error"]["kind"]) == (70, "bug")


def test_verbose_shows_the_traceback_of_a_bug(bfill, service, tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    service.answers["plan"] = KeyError("surprise")
    assert "Traceback" in bfill("plan", "--dag", "d", "-v").err


def test_ctrl_c_outside_a_run_exits_130_without_a_word(bfill, service):
    service.answers["status"] = KeyboardInterrupt()
    ran = bfill("status")
    assert (ran.code, ran.out, ran.err) == (130, "", "")


def test_problems_beside_a_result_go_to_stderr(bfill, service):
    from backfill_cli.core.problems import Problem

    problem = Problem("dag-moved", "daily_sales came from other.py before", "bfill dags list")
    service.answers["run"] = lambda: dataclasses.replace(samples.run_ok(), problems=(problem,))
    ran = bfill("run", "--dag", "d")
    assert "warning: daily_sales came from other.py before\nhint: bfill dags list\n" in ran.err
    assert "dag-moved" not in ran.out
    made = bfill("run", "--dag", "d", "--json").json
    assert made["problems"] == [problem.data()]
