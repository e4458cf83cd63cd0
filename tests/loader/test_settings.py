"""Settings: what beats what, and every mistake named with its place (contract section 5)."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from backfill_cli.errors import InputError, SettingsError
from backfill_cli.loader.settings import load_settings, resolve_secret

Toml = Callable[..., Path]


@pytest.fixture
def toml(tmp_path: Path) -> Toml:
    def write(text: str, name: str = "bfill.toml") -> Path:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        return path

    return write


def test_without_a_file_everything_has_its_default(tmp_path: Path) -> None:
    found = load_settings(tmp_path, {})
    assert (found.root, found.file) == (tmp_path, None)
    assert found.store == str(tmp_path / ".bfill" / "bfill.db")
    assert found.dags == (tmp_path / "dags",)
    assert (found.timezone, found.workers, found.max_runs, found.import_timeout_s) == ("UTC", 32, 10_000, 30.0)
    assert (found.connections, found.variables, found.pools) == ({}, {}, {})


def test_flag_beats_environment_beats_file(tmp_path: Path, toml: Toml) -> None:
    toml("workers = 1\nmax_runs = 1\ntimezone = 'Europe/Paris'\n")
    found = load_settings(tmp_path, {"BFILL_WORKERS": "2", "BFILL_MAX_RUNS": "2"}, {"workers": 3, "grace_s": None})
    assert (found.workers, found.max_runs, found.timezone) == (3, 2, "Europe/Paris")


def test_the_file_is_found_by_walking_up(tmp_path: Path, toml: Toml) -> None:
    file = toml("workers = 5\n")
    deep = tmp_path / "a" / "b"
    deep.mkdir(parents=True)
    found = load_settings(deep, {})
    assert (found.file, found.root, found.workers) == (file, tmp_path, 5)
    assert found.store == str(tmp_path / ".bfill" / "bfill.db")
    assert found.dags == (tmp_path / "dags",)


def test_pyproject_counts_when_it_has_the_table(tmp_path: Path, toml: Toml) -> None:
    toml("[tool.bfill]\nworkers = 5\n[tool.bfill.pools]\nwarehouse = 2\n", "pyproject.toml")
    toml("[tool.other]\n", "inner/pyproject.toml")
    found = load_settings(tmp_path / "inner", {})
    assert (found.root, found.workers, found.pools) == (tmp_path, 5, {"warehouse": 2})


def test_bfill_toml_goes_before_pyproject_beside_it(tmp_path: Path, toml: Toml) -> None:
    toml("[tool.bfill]\nworkers = 5\n", "pyproject.toml")
    toml("workers = 6\n")
    assert load_settings(tmp_path, {}).workers == 6


def test_a_broken_pyproject_of_somebody_else_is_passed_over(tmp_path: Path, toml: Toml) -> None:
    toml("[tool.other\n", "pyproject.toml")
    assert load_settings(tmp_path, {}).file is None


def test_relative_paths_start_where_they_are_written(tmp_path: Path, toml: Toml) -> None:
    toml("store = 'state/b.db'\ndags = ['flows', '/abs']\n[connections]\nwh = 'sqlite:///wh.db'\n")
    inner = tmp_path / "inner"
    inner.mkdir()
    found = load_settings(inner, {})
    assert found.store == str(tmp_path / "state" / "b.db")
    assert found.dags == (tmp_path / "flows", Path("/abs"))
    assert found.connections == {"wh": f"sqlite:///{tmp_path}/wh.db"}
    assert load_settings(inner, {"BFILL_STORE": "b.db"}).store == str(inner / "b.db")
    assert load_settings(inner, {"BFILL_DAGS": "x:/y"}).dags == (inner / "x", Path("/y"))
    assert load_settings(inner, {}, {"store": "c.db"}).store == str(inner / "c.db")


@pytest.mark.parametrize("url", ["postgresql://u@host/db", "sqlite:////abs.db", "sqlite:///:memory:", "sqlite://"])
def test_other_urls_stay_as_they_are(tmp_path: Path, url: str) -> None:
    assert load_settings(tmp_path, {"BFILL_STORE": url}).store == url


def test_connections_and_variables_come_from_the_environment_too(tmp_path: Path, toml: Toml) -> None:
    toml("[connections]\nWarehouse = 'sqlite:////a.db'\no = 'sqlite:////o.db'\n[variables]\nregion = 'eu'\nlimit = 3\n")
    found = load_settings(
        tmp_path,
        {"BFILL_CONN_WAREHOUSE": "sqlite:////b.db", "BFILL_CONN_API": "https://x", "BFILL_VAR_REGION": ""},
    )
    assert found.connections == {"Warehouse": "sqlite:////b.db", "o": "sqlite:////o.db", "api": "https://x"}
    assert found.variables == {"region": "", "limit": "3"}


def test_an_empty_environment_variable_sets_nothing(tmp_path: Path) -> None:
    assert load_settings(tmp_path, {"BFILL_WORKERS": "", "BFILL_STORE": ""}).workers == 32


def test_what_a_task_sees_in_its_environment_is_no_setting(tmp_path: Path) -> None:
    """A bfill started inside a task inherits BFILL_DS and its kin."""
    assert load_settings(tmp_path, {"BFILL_DS": "2024-01-01", "BFILL_CONF_X": "1"}).workers == 32


def test_an_unknown_key_names_its_line_and_the_nearest(
    tmp_path: Path, toml: Toml, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    toml("# team\nworkers = 2\nwokers = 3\n")
    with pytest.raises(SettingsError) as caught:
        load_settings(tmp_path, {})
    assert str(caught.value) == "bfill.toml:3: unknown setting 'wokers'"
    assert "'workers'" in caught.value.hint
    assert caught.value.exit_code == 3


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("workers = 0", "bfill.toml:1: workers = 0 is not possible"),
        ('[pools]\n"sales:load" = 1', "bfill.toml:1: pool 'sales:load' is not possible"),
        ("pools.api = 2147483649", "bfill.toml:1: pool api = 2147483649 is not possible"),
        ("workers = true", "bfill.toml:1: workers = True is not possible"),
        ("workers = 2.5", "bfill.toml:1: workers = 2.5 is not possible"),
        ("grace_s = nan", "bfill.toml:1: grace_s = nan is not possible"),
        ("store = 3", "bfill.toml:1: store = 3 is not possible"),
        ("dags = [1]", "bfill.toml:1: dags = [1] is not possible"),
        ("\n[pools]\na = 'x'", "bfill.toml:2: pool a = 'x' is not possible"),
        ("timezone = 'Mars/Base'", "bfill.toml:1: timezone = 'Mars/Base': there is no time zone 'Mars/Base'"),
        ("[variables]\nday = 2024-01-01", "bfill.toml:1: variable 'day' is not possible"),
    ],
)
def test_an_impossible_value_names_its_line(
    tmp_path: Path, toml: Toml, monkeypatch: pytest.MonkeyPatch, text: str, message: str
) -> None:
    monkeypatch.chdir(tmp_path)
    toml(text)
    with pytest.raises(SettingsError) as caught:
        load_settings(tmp_path, {})
    assert str(caught.value) == message
    assert caught.value.hint


def test_an_impossible_value_of_the_environment_says_so(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="the environment: workers = 'many'"):
        load_settings(tmp_path, {"BFILL_WORKERS": "many"})


@pytest.mark.parametrize("text", ["[connections]\nwh = 'hunter2'", "connections = 'postgresql://me:hunter2@db'"])
def test_a_wrong_connection_is_not_shown(tmp_path: Path, toml: Toml, text: str) -> None:
    toml(text)
    with pytest.raises(SettingsError) as caught:
        load_settings(tmp_path, {})
    assert "hunter2" not in f"{caught.value} {caught.value.hint}"


def test_a_file_that_is_not_toml_names_its_line(tmp_path: Path, toml: Toml, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    toml("workers = 2\nstore = oops\n")
    with pytest.raises(SettingsError, match=r"^bfill.toml:2: is not TOML"):
        load_settings(tmp_path, {})


def test_a_secret_stays_a_reference_until_it_is_read(tmp_path: Path, toml: Toml) -> None:
    toml("[connections]\nwh = 'secret:WH_URL'\n")
    reference = load_settings(tmp_path, {"WH_URL": "sqlite://"}).connections["wh"]
    assert reference == "secret:WH_URL"
    assert resolve_secret(reference, {"WH_URL": "sqlite://"}) == "sqlite://"
    assert resolve_secret("plain", {}) == "plain"


def test_a_missing_secret_says_what_to_set() -> None:
    with pytest.raises(InputError, match="WH_URL") as caught:
        resolve_secret("secret:WH_URL", {})
    assert (caught.value.exit_code, caught.value.hint) == (3, "set it before the command: export WH_URL=…")
