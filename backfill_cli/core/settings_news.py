"""What a scheduler that stays tells of its settings: what is another now, what needs a restart, what is wrong.

Owns the shapes. The file is looked at by `app/settings_watch.py`.
"""

from __future__ import annotations

from typing import NamedTuple

from backfill_cli.core.agenda import Trouble


class Change(NamedTuple):
    """One setting that is another now.

    Args:
        name: As people write it: `workers`, `pools.api`.
        told: What became of it, in words: `8 → 16`; empty where its value is not to be shown.
    """

    name: str
    told: str = ""

    def __str__(self) -> str:
        return f"{self.name} {self.told}".rstrip()


class SettingsNews(NamedTuple):
    """What a look at the settings file has found.

    Args:
        file: It, as it is named from the working directory; empty when there is none any more.
        changed: What holds from the next shift on.
        restart: What is another in the file and holds only behind a restart.
        trouble: Why the file cannot be gone by: what was read before holds on.
        is_mended: It could not be gone by before, and can be again.
    """

    file: str = ""
    changed: tuple[Change, ...] = ()
    restart: tuple[str, ...] = ()
    trouble: Trouble | None = None
    is_mended: bool = False
