"""Contract section 3 through the command line: shell data, strictness, warnings, secrets."""

from __future__ import annotations

from pathlib import Path

import pytest

from blackbox.world import Project

DAY = ("--dates", "2024-01-31")


def shell(project: Project, command: str, *words: str, **options: str) -> Path:
    more = "".join(f", {name}={value}" for name, value in options.items())
    return project.write(
        "dags/shell.py",
        f'with DAG("shell", schedule="@daily", start_date=datetime(2024, 1, 1){more}):\n'
        f"    BashOperator(task_id='only', bash_command={command!r})\n",
    )


def ran(project: Project) -> object:
    return project.xcoms("shell")["only", "return_value"]


def test_bfill_variables_stand_in_the_environment(project: Project) -> None:
    shell(
        project,
        'echo "$BFILL_DS|$BFILL_LOGICAL_DATE|$BFILL_RUN_ID|$BFILL_CONF_REGION|$BFILL_CONF_DEEP|$BFILL_TRY_NUMBER'
        '|$BFILL_DAG_ID|$BFILL_TASK_ID|$BFILL_DATA_INTERVAL_END|$KEPT"',
    )
    conf = '{"region": "eu; rm -rf x", "deep": {"a": [1]}}'
    project.bfill("run", "--dag", "shell", *DAY, "--conf", conf, env={"KEPT": "mine"}).exits(0)
    assert ran(project) == (
        "2024-01-31|2024-01-31T00:00:00+00:00|backfill__2024-01-31T00:00:00+00:00|eu; rm -rf x|"
        '{"a": [1]}|1|shell|only|2024-02-01T00:00:00+00:00|mine'
    )


HOSTILE = "a'b\"c $(touch pwned) `touch pwned` ; touch pwned # \\ * {{ ds }}"


@pytest.mark.parametrize(
    "command",
    [
        "printf %s {{ dag_run.conf.word }}",
        "printf %s '{{ dag_run.conf.word }}'",
        'printf %s "{{ dag_run.conf.word }}"',
        "cat <<END\n{{ dag_run.conf.word }}\nEND",
    ],
)
def test_conf_in_a_shell_command_is_data_in_every_place(project: Project, command: str) -> None:
    shell(project, command)
    project.write("word.json", '{"word": ' + repr_json(HOSTILE) + "}")
    project.bfill("run", "--dag", "shell", *DAY, "--conf", "@word.json").exits(0)
    assert ran(project) == HOSTILE
    assert not list(project.folder.rglob("pwned"))


def repr_json(text: str) -> str:
    import json

    return json.dumps(text)


@pytest.mark.parametrize(
    "command",
    [
        "echo $(( {{ conf.n }} + 1 ))",
        "[[ {{ conf.n }} -eq 1 ]] && echo yes",
        "echo `echo {{ conf.n }}`",
        "eval {{ conf.n }}",
        "sh -c 'echo {{ conf.n }}'",
        "cat <<'END'\n{{ conf.n }}\nEND",
    ],
)
def test_a_place_where_no_quoting_is_safe_is_refused_before_anything_runs(project: Project, command: str) -> None:
    shell(project, command)
    with project.unchanged():
        ran = project.bfill("run", "--dag", "shell", *DAY, "--conf", "n=1")
        ran.says(3, "dags/shell.py:", "'only'", "BFILL_CONF_N", "argument")


def test_dates_may_stand_where_conf_may_not(project: Project) -> None:
    shell(project, "echo $(( {{ ds_nodash }} + 1 ))")
    project.bfill("run", "--dag", "shell", *DAY).exits(0)
    assert ran(project) == "20240132"


def test_nul_is_refused(project: Project) -> None:
    shell(project, "echo {{ conf.word }}")
    data = project.bfill("run", "--dag", "shell", *DAY, "--conf", '{"word": "a\\u0000b"}', "--json").exits(1).data
    assert "NUL" in data["results"][0]["reason"]


def test_values_in_sql_become_bind_parameters(project: Project) -> None:
    project.env["BFILL_CONN_WH"] = f"sqlite:///{project.folder}/wh.db"
    project.write(
        "dags/sql.py",
        """\
        with DAG("sql", schedule="@daily", start_date=datetime(2024, 1, 1)):
            SQLOperator(task_id="only", conn_id="wh", sql="SELECT {{ conf.word }}, '{{ ds }}', '{{ conf.word }}'")
        """,
    )
    word = "x'; DROP TABLE t; --"
    project.bfill("run", "--dag", "sql", *DAY, "--conf", f"word={word}").exits(0)
    assert project.xcoms("sql")["only", "return_value"] == [[word, "2024-01-31", word]]


# names nobody knows


def test_an_unknown_name_stays_as_written_and_the_plan_warns_with_the_nearest(project: Project) -> None:
    shell(project, "echo '{{ logical_dat }} {{ conf.regoin }} {{ ds }}'")
    words = ("--dag", "shell", *DAY, "--conf", "region=eu", "--json")
    problems = project.bfill("plan", *words, "--dry-run").exits(0).problems
    assert "logical_dat" in problems["unknown-macro"]
    assert "logical_date'" in problems["unknown-macro"]
    assert "regoin" in problems["missing-conf"]
    assert "'region'" in problems["missing-conf"]
    assert set(project.bfill("run", *words).exits(0).problems) >= {"unknown-macro", "missing-conf"}
    assert ran(project) == "{{ logical_dat }} {{ conf.regoin }} 2024-01-31"


def test_strict_templates_refuse_before_anything_runs(project: Project) -> None:
    shell(project, "echo {{ conf.region }}")
    with project.unchanged():
        project.bfill("run", "--dag", "shell", *DAY, "--strict-templates").says(3, "region")
    shell(project, "echo {{ nothing }}", strict_templates="True")
    with project.unchanged():
        project.bfill("run", "--dag", "shell", *DAY).says(3, "nothing")
        project.bfill("plan", "--dag", "shell", *DAY).says(3, "nothing")
    shell(project, "echo {{ conf.region }}", strict_templates="True")
    project.bfill("run", "--dag", "shell", *DAY, "--conf", "region=eu").exits(0)


@pytest.mark.parametrize("block", ["{% if dss %}echo{% endif %}", "{% for one in conf.files %}echo{% endfor %}"])
def test_an_undefined_name_in_a_block_is_refused_before_anything_runs(project: Project, block: str) -> None:
    shell(project, block)
    with project.unchanged():
        project.bfill("plan", "--dag", "shell", *DAY).says(3, "dags/shell.py:", "undefined")
        project.bfill("run", "--dag", "shell", *DAY).says(3, "dags/shell.py:", "undefined")


@pytest.mark.parametrize("named", [("--command", "false {{ nothing }}", "--schedule", "@daily"), ("--dag", "shell")])
def test_strict_templates_given_with_a_stored_backfill_count(project: Project, named: tuple[str, ...]) -> None:
    shell(project, "false {{ nothing }}")
    planned = project.bfill("plan", *named, *DAY, "--json").exits(0).data["backfill_id"]
    with project.unchanged():
        project.bfill("run", planned, "--strict-templates").says(3, "nothing")
        project.bfill("run", "--strict-templates").says(3, "nothing")
    project.bfill("run", planned).exits(1)
    with project.unchanged():
        project.bfill("rerun-failed", "--strict-templates").says(3, "nothing")
        project.bfill("rerun-failed", planned, "--strict-templates").says(3, "nothing")


@pytest.mark.parametrize("option", ["cwd='/{{ nothing }}'", "env={'A': '{{ nothing }}'}"])
def test_every_template_of_a_shell_task_is_looked_at_before_it_runs(project: Project, option: str) -> None:
    project.write(
        "dags/shell.py",
        'with DAG("shell", schedule="@daily", start_date=datetime(2024, 1, 1)):\n'
        f"    BashOperator(task_id='only', bash_command='pwd', {option})\n",
    )
    assert "nothing" in project.bfill("plan", "--dag", "shell", *DAY, "--json").exits(0).problems["unknown-macro"]
    with project.unchanged():
        project.bfill("run", "--dag", "shell", *DAY, "--strict-templates").says(3, "nothing")


def test_strict_templates_know_that_a_date_keeps_its_conf(project: Project) -> None:
    """Semantics section 8: a rerun without --conf keeps the run's conf, so nothing of it is missing."""
    shell(project, "echo {{ conf.region }}; test -e mended", strict_templates="True")
    project.bfill("dags", "validate", "shell").exits(0)
    project.bfill("run", "--dag", "shell", *DAY, "--conf", "region=eu").exits(1)
    project.bfill("rerun-failed").exits(1)
    project.bfill("run", "--dag", "shell", *DAY, "--reprocess", "failed").exits(1)
    project.write("dags/mended", "")
    project.bfill("rerun-failed", "--dag", "shell", *DAY).exits(0)
    with project.unchanged():
        project.bfill("run", "--dag", "shell", "--dates", "2024-01-30,2024-01-31").says(3, "region")


@pytest.mark.parametrize("command", ["echo {{ ds", "echo {{ ds | nofilter }}", "{% if %}{% endif %}"])
def test_a_template_that_is_none_is_refused(project: Project, command: str) -> None:
    shell(project, command)
    with project.unchanged():
        project.bfill("run", "--dag", "shell", *DAY).says(3)


def test_what_a_value_contains_is_never_rendered_again(project: Project) -> None:
    shell(project, "echo {{ conf.word }}")
    project.bfill("run", "--dag", "shell", *DAY, "--conf", "word={{ ds }}").exits(0)
    assert ran(project) == "{{ ds }}"


def test_params_are_dag_then_task_then_conf(project: Project) -> None:
    project.write(
        "dags/params.py",
        """\
        with DAG("params", schedule="@daily", start_date=datetime(2024, 1, 1), params={"a": 1, "b": 1, "c": 1}):
            BashOperator(task_id="only", bash_command="echo {{ params.a }}{{ params.b }}{{ params.c }}",
                         params={"b": 2, "c": 2})
        """,
    )
    project.bfill("run", "--dag", "params", *DAY, "--conf", '{"c": 3}').exits(0)
    assert project.xcoms("params")["only", "return_value"] == "123"


# secrets


def test_a_secret_reference_is_read_at_attempt_time_and_stays_a_reference_in_the_store(project: Project) -> None:
    shell(
        project, "test {{ conf.token }} = s3cr3t && test $BFILL_CONF_TOKEN = s3cr3t && echo right {{ var.value.key }}"
    )
    project.env["BFILL_VAR_KEY"] = "secret:MY_KEY"
    words = ("run", "--dag", "shell", *DAY, "--conf", "token=secret:MY_TOKEN", "--json")
    done = project.bfill(*words, env={"MY_TOKEN": "s3cr3t", "MY_KEY": "k3y"}).exits(0)
    assert ran(project) == "right k3y"
    assert "secret-in-conf" not in done.problems
    assert b"s3cr3t" not in project.store.read_bytes()
    assert project.rows("SELECT conf FROM v_dag_runs") == [{"conf": '{"token":"secret:MY_TOKEN"}'}]


def test_a_secret_reference_to_nothing_fails_the_task_and_names_the_variable(project: Project) -> None:
    shell(project, "echo {{ conf.token }}")
    data = project.bfill("run", "--dag", "shell", *DAY, "--conf", "token=secret:MY_TOKEN", "--json").exits(1).data
    assert "MY_TOKEN" in data["results"][0]["reason"]


def test_a_conf_key_that_looks_secret_is_masked_wherever_it_is_shown(project: Project) -> None:
    shell(project, "true {{ conf.db_password }}")
    given = ("--dag", "shell", *DAY)
    shown = []
    for conf in (
        ["--conf", "db_password=hunter2"],
        ["--conf=db_password=hunter2"],
        ['--conf={"db_password": "hunter2"}'],
    ):
        plan = project.bfill("plan", *given, *conf, "--json").exits(0)
        assert "secret:" in plan.problems["secret-in-conf"]
        shown += [plan, project.bfill("plan", *given, *conf, "--dry-run")]
    shown.append(project.bfill("run", *given, "--conf", "db_password=hunter2", "--json").exits(0))
    shown += [
        project.bfill(*words) for words in (("status", "shell", "--json"), ("status", "shell"), ("audit", "--json"))
    ]
    shown += [project.bfill("status", "--dag", "shell"), project.bfill("audit")]
    for one in shown:
        assert "hunter2" not in one.exits(0).out + one.err, one.words
    assert "hunter2" not in str(project.rows("SELECT * FROM v_audit"))
    assert '"db_password":"***"' in str(project.rows("SELECT details FROM v_audit"))
