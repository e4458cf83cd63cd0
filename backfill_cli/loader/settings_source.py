"""Where settings came from, for whoever stays longer than they do: a look says whether they changed, and reads again.

Owns the look: names, times and sizes of the files that may hold settings, and no file is opened for it. What they mean
is `settings.py`; what is another between two readings is `settings_changes.py`.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from backfill_cli.loader.settings import Settings, load_settings, settings_places

Signature = tuple[tuple[int, int, int, int] | None, ...]


@dataclass(frozen=True, slots=True)
class SettingsSource:
    """What `load_settings` was asked: a working directory, the environment, and flags, which stay as they are."""

    cwd: Path
    environ: Mapping[str, str]
    overrides: Mapping[str, Any]
    _places: tuple[str, ...] = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_places", tuple(map(str, settings_places(self.cwd.absolute()))))

    def load(self) -> Settings:
        """Return the settings as they stand now. Raises SettingsError."""
        return load_settings(self.cwd, self.environ, self.overrides)

    def signature(self) -> Signature:
        """Return all that is to be compared of the files; a file that is not there is a part of it."""
        return tuple(map(_seen, self._places))


def _seen(place: str) -> tuple[int, int, int, int] | None:
    try:
        stat = os.stat(place)  # noqa: PTH116  (every few seconds, for months)
    except OSError:
        return None
    # st_ctime: what may be read, and a file put in place of another with its time kept
    return stat.st_mtime_ns, stat.st_ctime_ns, stat.st_size, stat.st_ino
