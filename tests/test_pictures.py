"""The pictures of the README: there, shown, from no other host, and of what `bfill` says today."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path
from types import ModuleType
from xml.etree import ElementTree

import pytest

ROOT = Path(__file__).parents[1]
NAMES = ["error", "plan", "run", "status"]


@pytest.fixture(scope="module")
def pictures() -> ModuleType:
    """docs/pictures.py, which is a script and in no package."""
    spec = importlib.util.spec_from_file_location("pictures", ROOT / "docs" / "pictures.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def text_of(svg: str) -> str:
    """What a reader of the picture reads, run together without its spaces."""
    texts = ElementTree.fromstring(svg).iter("{http://www.w3.org/2000/svg}text")
    return re.sub(r"\s", "", "".join(one.text or "" for one in texts))


def test_the_script_takes_the_pictures_that_are_there(pictures: ModuleType) -> None:
    assert sorted(pictures.COMMANDS) == NAMES
    assert sorted(one.stem for one in (ROOT / "docs" / "pictures").glob("*.svg")) == NAMES


@pytest.mark.parametrize("name", NAMES)
def test_the_readme_shows_the_picture_and_says_what_is_on_it(name: str) -> None:
    assert re.search(
        rf"!\[[^\]]{{20,}}\]\(docs/pictures/{name}\.svg\)", (ROOT / "README.md").read_text(encoding="utf-8")
    )


@pytest.mark.parametrize("name", NAMES)
def test_a_picture_fetches_nothing_and_names_no_host(name: str) -> None:
    """The one address in it is the name of the SVG vocabulary, which nobody fetches."""
    svg = (ROOT / "docs" / "pictures" / f"{name}.svg").read_text(encoding="utf-8")
    assert re.findall(r"\w+://[^\s\"')]+", svg) == ["http://www.w3.org/2000/svg"]
    assert not re.search(r"@import|@font-face|href|url\(|<script|<image", svg)
    assert len(svg) < 20_000


@pytest.mark.parametrize("name", NAMES)
def test_a_picture_shows_the_command_that_was_typed_for_it(name: str, pictures: ModuleType) -> None:
    shown = text_of((ROOT / "docs" / "pictures" / f"{name}.svg").read_text(encoding="utf-8"))
    assert re.sub(r"\s", "", f"$ bfill {pictures.COMMANDS[name]}") in shown


def test_the_picture_of_the_error_shows_what_bfill_says_today(tmp_path: Path, pictures: ModuleType) -> None:
    """Taken again, in a fresh folder: nothing in this one varies."""
    pictures.prepare(tmp_path)
    command = pictures.COMMANDS["error"]
    taken = pictures.picture("error", command, pictures.bfill(command, tmp_path))
    assert text_of(taken) == text_of((ROOT / "docs" / "pictures" / "error.svg").read_text(encoding="utf-8"))


def test_the_frame_is_the_one_nearest_to_two_thirds_with_a_failure_and_a_wait(pictures: ModuleType) -> None:
    wait = " waiting  1 task for pool warehouse"
    frames = [
        f" 2 of 9   1 failed\n{wait}",
        " 6 of 9   1 failed\n",
        f" 6 of 9\n{wait}",
        f" 5 of 9   1 failed\n{wait}",
        f" 9 of 9   1 failed\n{wait}",
    ]
    assert pictures.frame("\r\x1b[2K\x1b[1A\x1b[2K".join(frames)) == frames[3]
