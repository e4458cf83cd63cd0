"""The map of the code cannot rot: each module stands in it once, and the page says what their docstrings say."""

from __future__ import annotations

import runpy
from collections import Counter
from pathlib import Path

ROOT = Path(__file__).parents[1]
MAP = runpy.run_path(str(ROOT / "docs" / "map.py"))


def test_every_module_answers_one_question() -> None:
    for layer, questions in MAP["groups"]().items():
        named = Counter(name for names in questions.values() for name in names)
        there = Counter(module.stem for module in MAP["folder_of"](layer).glob("*.py") if module.stem != "__init__")
        assert named == there, f"docs/map.py, layer {layer}"


def test_every_layer_is_on_the_map() -> None:
    layers = {folder.name for folder in MAP["PACKAGE"].iterdir() if (folder / "__init__.py").exists()}
    assert layers == MAP["groups"]().keys() - {"."}


def test_the_page_says_what_the_modules_say() -> None:
    assert (ROOT / "docs" / "map.md").read_text("utf-8") == MAP["page"](), "python docs/map.py writes it anew"
