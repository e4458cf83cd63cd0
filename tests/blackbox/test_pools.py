"""`pools list|set|delete` from outside: sizes, who says so, what is refused, what is put on record."""

from __future__ import annotations

import pytest

from blackbox.world import Project

ONE = """\
with DAG("calls", schedule="@daily", start_date=datetime(2024, 1, 1)):
    @task(pool="api", pool_slots=2)
    def call(ds: str):
        return ds
    call()
"""
JANUARY = ("--dag", "calls", "--start", "2024-01-01", "--end", "2024-01-02")


@pytest.fixture
def calls(project: Project) -> Project:
    """A DAG whose task needs two slots of a pool `api`, which nobody has made."""
    project.write("dags/calls.py", ONE)
    return project


def sizes(project: Project) -> dict[str, tuple[int, str]]:
    pools = project.bfill("pools", "list", "--json").exits(0).data["pools"]
    return {one["name"]: (one["slots"], one["from"]) for one in pools}


def test_without_a_word_there_is_the_default_pool_and_no_store_is_made(project: Project) -> None:
    with project.unchanged():
        assert sizes(project) == {"default_pool": (128, "built in")}


def test_a_pool_is_made_resized_described_and_deleted_and_all_of_it_is_on_record(project: Project) -> None:
    made = project.bfill("pools", "set", "api", "4", "--description", "four lines", "--reason", "partner").exits(0)
    assert "4 slots" in made.out
    data = project.bfill("pools", "set", "api", "-1", "--json").exits(0).data
    assert (data["before"]["slots"], data["after"]["slots"], data["after"]["description"]) == (4, -1, "four lines")
    assert (data["changed"], data["after"]["free"]) == (True, None)
    project.bfill("pools", "set", "web", "0").exits(0)
    assert "slots 0" in project.bfill("audit", "--target", "web").exits(0).out, "none is what was asked for"
    project.bfill("pools", "delete", "web").exits(0)
    with project.unchanged():
        assert not project.bfill("pools", "set", "api", "unlimited", "--json").exits(0).data["changed"]
    project.bfill("pools", "delete", "api").exits(0)
    assert sizes(project) == {"default_pool": (128, "built in")}
    events = project.bfill("audit", "--target", "api", "--json").data["events"]
    assert [(one["action"], one["reason"]) for one in events] == [
        ("pools set", "partner"),
        ("pools set", None),
        ("pools delete", None),
    ]
    assert (events[0]["details"]["slots"], events[1]["details"]["slots_before"]) == (4, 4)
    project.bfill("audit", "verify").exits(0)
    project.bfill("store", "check").exits(0)


def test_the_store_goes_before_the_settings_and_they_before_what_is_built_in(project: Project) -> None:
    project.write("bfill.toml", "[pools]\napi = 2\ndefault_pool = 5\n")
    assert sizes(project) == {"api": (2, "bfill.toml"), "default_pool": (5, "bfill.toml")}
    assert "bfill.toml says 2" in project.bfill("pools", "set", "api", "8").exits(0).out
    assert sizes(project)["api"] == (8, "store")
    project.bfill("pools", "delete", "api").exits(0)
    assert sizes(project)["api"] == (2, "bfill.toml")
    project.bfill("pools", "delete", "api").says(3, "bfill.toml says 2", "[pools]")


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (("set", "api"), 2, "needs a size"),
        (("set", "api", "1", "2"), 2, "one word too many"),
        (("set", "api", "few"), 2, "'few'"),
        (("set", "api", "-2"), 2, "'-2'"),
        (("set", "api", "3000000000"), 2, "3000000000"),
        (("set", "two words", "1"), 2, "'two words'"),
        (("set", "sales:load", "1"), 2, "'sales:load'"),
        (("set", "x" * 101, "1"), 2, "at most 100"),
        (("set", "api", "1", "--descripton", "x"), 2, "--descripton"),
        (("delete", "default_pool"), 7, "default_pool"),
        (("delete", "apy"), 3, "did you mean 'api'"),
    ],
)
def test_what_cannot_be_is_refused_and_nothing_is_written(
    project: Project, words: tuple[str, ...], code: int, said: str
) -> None:
    project.bfill("pools", "set", "api", "4").exits(0)
    with project.unchanged():
        project.bfill("pools", *words).says(code, said)


def test_a_task_asks_for_a_pool_that_is_there_and_large_enough(calls: Project) -> None:
    """Semantics section 6: a task that needs more than its pool has is an error when planned."""
    calls.bfill("plan", *JANUARY).says(3, "does not exist", "bfill pools set api 4")
    for slots in ("1", "0"):
        calls.bfill("pools", "set", "api", slots).exits(0)
        calls.bfill("run", *JANUARY).says(3, f"which has {slots}", "bfill pools set api 2")
        calls.bfill("dags", "validate").exits(3)
    calls.bfill("pools", "set", "api", "2").exits(0)
    calls.bfill("dags", "validate").exits(0)
    calls.bfill("run", *JANUARY).exits(0)


def test_a_pool_that_a_dag_uses_is_deleted_with_yes_alone(calls: Project) -> None:
    calls.bfill("pools", "set", "api", "2").exits(0)
    with calls.unchanged():
        calls.bfill("pools", "delete", "api").says(7, "DAG calls", "--yes")
    calls.bfill("pools", "delete", "api", "--yes").exits(0)
    assert "api" not in sizes(calls)


def test_a_pool_with_rules_in_the_settings_is_deleted_without_asking_as_its_tasks_can_still_be_planned(
    calls: Project,
) -> None:
    calls.write("bfill.toml", '[pools.api]\nrate_limit = "100/s"\n')
    calls.bfill("pools", "delete", "api").says(3, "bfill.toml says no limit")
    calls.bfill("pools", "set", "api", "2").exits(0)
    assert calls.bfill("pools", "delete", "api", "--json").exits(0).data["after"]["slots"] == -1


def test_a_pool_is_listed_with_what_the_settings_say_of_its_pace(project: Project) -> None:
    project.write(
        "bfill.toml",
        '[pools.api]\nslots = 2\nrate_limit = "100/min"\nhealth = "true"\nbreaker = {failures = 3, cooldown = "5s"}\n',
    )
    api, plain = project.bfill("pools", "list", "--json").exits(0).data["pools"]
    assert (api["rate_limit"], api["breaker"], api["has_health_check"]) == (
        "100/min",
        {"failures": 3, "cooldown_s": 5.0},
        True,
    )
    assert (plain["rate_limit"], plain["breaker"], plain["has_health_check"]) == (None, None, False)
    shown = project.bfill("pools", "list").exits(0).out
    assert "at most 100/min · breaker after 3 alike, for 5 s · health check" in shown
