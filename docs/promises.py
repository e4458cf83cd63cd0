"""`python docs/promises.py [FIGURES]`: write what the last long run of the promises saw into docs/promises.md.

FIGURES is what `.ci/long` leaves, build/promises.json. Promises it says nothing about keep the figures they have, so
that a part can be run again alone.
"""

from __future__ import annotations

import json
import re
import sys
from collections import Counter
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "promises.md"


def told(figures: list[dict[str, Any]]) -> str:
    """Return one promise's figures in words: tests, trials, what was seen in them, how long that took."""
    bad = [one["test"] for one in figures if one["outcome"] != "passed"]
    if bad:
        raise SystemExit(f"not passed, so no figure: {', '.join(bad)}")
    trials = sum(one["trials"] for one in figures)
    seen: Counter[str] = Counter()
    for one in figures:
        seen.update(one["seen"])
    minutes = sum(one["seconds"] for one in figures) / 60
    words = [f"{trials:,} trials in {len(figures)} tests, {minutes:.1f} min"]
    words += [f"{count:,} {what}" for what, count in seen.items() if count]
    return "; ".join(words)


def rewritten(page: str, figures: list[dict[str, Any]]) -> str:
    """Return the page with the figures put behind each promise's `Seen:`."""
    for number in sorted({one["promise"] for one in figures}):
        mine = told([one for one in figures if one["promise"] == number])
        page, found = re.subn(rf"(?m)^(<!-- p{number} -->) .*$", lambda match: f"{match[1]} {mine}.", page)  # noqa: B023
        if not found:
            raise SystemExit(f"{PAGE.name} has no line '<!-- p{number} --> …'")
    return page


if __name__ == "__main__":
    source = Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT / "build" / "promises.json"
    PAGE.write_text(rewritten(PAGE.read_text("utf-8"), json.loads(source.read_text("utf-8"))), "utf-8")
