"""Settings that are asked again: what counts as a change of the file, and what is another between two readings."""

from __future__ import annotations

import os
from dataclasses import fields
from itertools import pairwise
from pathlib import Path
from unittest.mock import patch

import pytest

from backfill_cli.errors import SettingsError
from backfill_cli.loader.settings import Settings, load_settings
from backfill_cli.loader.settings_changes import changes
from backfill_cli.loader.settings_source import SettingsSource

BEFORE = """
workers = 8
[pools]
api = 4
[variables]
region = "eu"
password = "hunter22"
"""


@pytest.fixture
def source(tmp_path: Path) -> SettingsSource:
    (tmp_path / "bfill.toml").write_text(BEFORE)
    (tmp_path / "below").mkdir()
    return SettingsSource(tmp_path / "below", {"BFILL_TIMEZONE": "Europe/Paris"}, {"max_runs": 7})


def told(before: str, after: str, tmp_path: Path) -> list[str]:
    found = []
    for text in (before, after):
        (tmp_path / "bfill.toml").write_text(text)
        found.append(load_settings(tmp_path, {}))
    return [str(one) for one in changes(*found)]


def test_a_look_opens_no_file_and_says_whether_one_is_another(source: SettingsSource, tmp_path: Path) -> None:
    file = tmp_path / "bfill.toml"
    with patch("pathlib.Path.open", side_effect=AssertionError), patch("builtins.open", side_effect=AssertionError):
        assert source.signature() == source.signature()
    seen = [source.signature()]
    for change in (
        lambda: file.write_text(BEFORE.replace("8", "9")),
        lambda: file.chmod(0o600),
        lambda: os.utime(file, ns=(0, 0)),
        lambda: (tmp_path / "new").write_text(BEFORE) and (tmp_path / "new").replace(file),
        lambda: (tmp_path / "below" / "pyproject.toml").write_text("[tool.bfill]\n"),
        (tmp_path / "below" / "pyproject.toml").unlink,
        file.unlink,
    ):
        change()
        seen.append(source.signature())
    assert len({*seen[:5]}) == 5
    assert all(one != another for one, another in pairwise(seen))


def test_what_is_read_again_is_what_was_asked_at_first(source: SettingsSource, tmp_path: Path) -> None:
    """Flags and environment still beat the file."""
    (tmp_path / "bfill.toml").write_text("workers = 9\nmax_runs = 1\ntimezone = 'Asia/Tokyo'\n")
    found = source.load()
    assert (found.workers, found.max_runs, found.timezone) == (9, 7, "Europe/Paris")


def test_changes_have_the_names_people_write(tmp_path: Path) -> None:
    after = """
    workers = 16
    grace_s = 5
    scheduled_first = false
    [pools.api]
    slots = 2
    [pools.lake]
    slots = 1
    rate_limit = "1/s"
    [variables]
    password = "hunter33"
    """
    assert told(BEFORE, after, tmp_path) == [
        "workers 8 → 16", "grace_s default → 5", "scheduled_first true → false",
        "variables.region taken out", "variables.password", "pools.api 4 → 2", "pools.lake new",
    ]  # fmt: skip
    assert told(after, after.replace("1/s", "2/s"), tmp_path) == ["pools.lake"]
    assert told(after, after, tmp_path) == []


def test_no_value_that_may_be_secret_is_in_a_change(tmp_path: Path) -> None:
    before = (
        'on_event = "https://a.example/T0K3N1"\nstore = "one.db"\n[connections]\nw = "postgresql://u:pw12345@h/d"\n'
    )
    assert told(before, before.replace("1", "2").replace("one", "two"), tmp_path) == [
        "store", "on_event", "connections.w"
    ]  # fmt: skip


def test_every_setting_is_compared(tmp_path: Path) -> None:
    """A setting that is added to the table is told of as well."""
    before = Settings(tmp_path)
    for field in fields(Settings):
        if field.name not in ("root", "file", "pools"):
            other = Settings(tmp_path)
            object.__setattr__(other, field.name, {"x": 1} if isinstance(getattr(before, field.name), dict) else "x")
            (found,) = changes(before, other)
            assert found.name.partition(".")[0] in (field.name, "pools"), field.name


@pytest.mark.parametrize("text", ["x = " + "[" * 100_000, "workers = " + "9" * 5_000])
def test_what_breaks_the_reader_of_toml_is_an_error_of_the_file(tmp_path: Path, text: str) -> None:
    (tmp_path / "bfill.toml").write_text(text)
    with pytest.raises(SettingsError):
        load_settings(tmp_path, {})
