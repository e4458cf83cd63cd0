"""What `logs` and `audit` say of what was: headlines that fit, hints that are true, reasons in full."""

from __future__ import annotations

import signal
from pathlib import Path

from blackbox.world import Project, until

HELD = """\
with DAG("held", schedule="@daily", start_date=datetime(2024, 1, 1), timezone="Europe/Paris"):
    BashOperator(task_id="work", bash_command="test {{ local_ds }} != 2024-01-03", depends_on_past=True)
"""


def test_logs_of_a_date_without_any_name_dates_that_did_run(project: Project) -> None:
    """A date that waits has a dag_run and never ran: it is no date to look at instead."""
    project.write("dags/held.py", HELD)
    project.bfill("logs", "--dag", "held", "2024-01-02").says(3, "nothing of held has run yet")
    project.bfill("run", "--dag", "held", "--start", "2024-01-02", "--end", "2024-01-05").exits(1)
    waits = "2024-01-04 is blocked: work waits for 2024-01-03"
    project.bfill("logs", "--dag", "held", "2024-01-04").says(3, "has run on 2024-01-04", waits)
    project.bfill("logs", "--dag", "held", "2024-01-01").says(3, "the nearest date that has run: 2024-01-02")
    project.bfill("logs", "--dag", "held", "2024-01-09").says(3, "the nearest date that has run: 2024-01-03")
    project.bfill("run", "--dag", "held", "--dates", "2024-01-20", "--ignore-first-depends-on-past").exits(0)
    project.bfill("logs", "--dag", "held", "2024-01-09").says(3, "that have run: 2024-01-03 and 2024-01-20")


def test_the_headline_of_a_log_fits_and_names_the_whole_file(project: Project, sales: Path) -> None:
    project.bfill("run", "--dag", "sales", "--dates", "2024-01-01").exits(0)
    for width in (80, 120, 200):
        lines = project.bfill("logs", "--dag", "sales", "2024-01-01", "load", env={"COLUMNS": str(width)}).out
        head, *rest = lines.splitlines()
        path = ".bfill/logs/sales/backfill__2024-01-01T00:00:00+00:00/load.1.log"
        assert len(head) <= width
        assert path in (head if width > 100 else rest[0])
        assert "   loaded 2024-01-01" in rest


def test_the_reason_of_an_audit_entry_is_never_cut(project: Project, sales: Path) -> None:
    reason = "the source was wrong for three days, " * 4 + "see ticket 4711"
    project.bfill("run", "--dag", "sales", "--dates", "2024-01-01", "--reason", reason).exits(0)
    out = project.bfill("audit", env={"COLUMNS": "80"}).out
    assert max(map(len, out.splitlines())) <= 80
    assert " ".join(out.split()).count(reason) == 2
    assert "digest" not in out


def test_a_value_that_is_no_conf_is_not_said_to_be_in_a_conf_variable(project: Project) -> None:
    project.write(
        "dags/unsafe.py",
        """\
        with DAG("unsafe", schedule="@daily", start_date=datetime(2024, 1, 1)):
            BashOperator(task_id="a", bash_command="date") >> BashOperator(
                task_id="b", bash_command="eval {{ ti.xcom_pull('a') }}"
            )
        """,
    )
    ran = project.bfill("plan", "--dag", "unsafe", "--dates", "2024-01-01")
    ran.says(3, "no quoting is safe", "as an argument: ./script.sh {{ ti.xcom_pull('a') }}")
    assert "BFILL_CONF" not in ran.err
    project.write(
        "dags/unsafe.py",
        (project.folder / "dags/unsafe.py").read_text().replace("ti.xcom_pull('a')", "conf['x']"),
        head="",
    )
    project.bfill("plan", "--dag", "unsafe", "--dates", "2024-01-01").says(3, '"$BFILL_CONF_X"')


NAPS = """\
with DAG("naps", schedule="@daily", start_date=datetime(2024, 1, 1)):
    BashOperator(task_id="nap", bash_command="touch ../started; while test ! -e ../go; do sleep 0.02; done")
"""


def test_tab_says_that_a_backfill_whose_process_died_is_interrupted(project: Project) -> None:
    """It is offered as what `status` calls it, and `run ID` goes on with it."""
    project.write("dags/naps.py", NAPS)
    going = project.start("run", "--dag", "naps", "--dates", "2024-01-01")
    until((project.folder / "started").exists)
    assert " running " in project.bfill("__complete", "backfills", "bf-").exits(0).out
    going.signal(signal.SIGKILL)
    going.wait()
    (project.folder / "go").touch()
    assert " interrupted " in project.bfill("__complete", "backfills", "bf-").exits(0).out
    assert project.bfill("status", "--json").data["backfills"][0]["state"] == "interrupted"
    (found,) = project.bfill("status", "--where", "interrupted", "--json").exits(0).data["backfills"]
    assert found["state"] == "interrupted", "though its row says running"
    assert project.bfill("status", "--where", "running", "--json").exits(0).data["backfills"] == []
