"""The settings of a scheduler that stays: read again when their file has changed, and gone by when it is sound.

Owns the decision what holds. A file is read when it has rested from one look to the next: half of a file that is being
written, or none where one is put in the place of another, would hold for a moment. The store stays the one it began
with: shifts that run, and the lock that tells others of the scheduler, are there.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import TYPE_CHECKING

from backfill_cli.app.secrets import learn
from backfill_cli.core.agenda import Trouble
from backfill_cli.core.masking import SECRETS
from backfill_cli.core.problems import Problem
from backfill_cli.core.settings_news import Change, SettingsNews
from backfill_cli.errors import BfillError
from backfill_cli.loader.places import short_path
from backfill_cli.loader.settings_changes import changes

if TYPE_CHECKING:
    from backfill_cli.app.context import AppContext
    from backfill_cli.loader.settings import Settings
    from backfill_cli.loader.settings_source import SettingsSource, Signature

AT_REST_S = 0.5
"""Seconds between the look that sees a file change and the one that reads it, when it has rested since."""

_STORE = "store"


class SettingsWatch:
    """Looks at the settings of a context.

    Args:
        source: Where they came from; None: somebody made them, and they never change.
        take: Told of settings before they hold; raises BfillError when they cannot.

    Attributes:
        settings: What holds now.
        is_moving: The file has changed since the look before: somebody may be writing it.
    """

    def __init__(
        self, ctx: AppContext, source: SettingsSource | None, take: Callable[[Settings], None] | None = None
    ) -> None:
        self._ctx = ctx
        self._source = source
        self._take = take
        self._latest = self.settings = ctx.settings
        self._trouble: Trouble | None = None
        # Not read yet by this one, and it may have changed since it was: the first look reads it once more.
        self._read: Signature | None = None
        self._seen = None if source is None else source.signature()
        self.is_moving = False

    def look(self) -> SettingsNews | None:
        """Return what is new; None is nothing. Costs some calls of stat(2) while the files are as they were."""
        if self._source is None:
            return None
        seen, before = self._source.signature(), self._seen
        self._seen, self.is_moving = seen, seen not in (self._read, before)
        if seen == self._read or self.is_moving:
            return None
        self._read = seen
        try:
            found = self._source.load()
            learn(found, self._ctx.environ)
            if self._take is not None:
                self._take(found)
        except (BfillError, OSError) as error:
            if isinstance(error.__cause__ or error, OSError):
                self._read = None  # the machine may have been short of something, and the file as it was meant
            return self._broken(error)
        return self._sound(found)

    def problems(self) -> Iterator[Problem]:
        """Yield what a restart would meet."""
        if self._trouble is not None:
            yield Problem("settings-broken", f"the settings are broken: {self._trouble.message}", self._trouble.hint)
        if self._latest.store != self.settings.store:
            message = f"{self._name(self._latest)} names another store than the one this scheduler began with"
            yield Problem("settings-restart", message, "the next start of the scheduler takes that one")

    def _broken(self, error: BfillError | OSError) -> SettingsNews | None:
        if isinstance(error, BfillError):
            found = Trouble(SECRETS.text(str(error)), SECRETS.text(error.hint), error.exit_code)
        else:
            found = Trouble(f"the settings cannot be gone by: {error.strerror}", "they are read again soon", 3)
        is_known, self._trouble = found == self._trouble, found
        return None if is_known else SettingsNews(trouble=found)

    def _sound(self, found: Settings) -> SettingsNews | None:
        before, self._latest = self._latest, found
        is_mended, self._trouble = self._trouble is not None, None
        self.settings = replace(found, store=self.settings.store)
        new = changes(before, found)
        if not (new or is_mended):
            return None
        is_elsewhere = found.store != self.settings.store
        restart = tuple(one.name for one in new if one.name == _STORE and is_elsewhere)
        changed = tuple(self._told(one) for one in new if one.name not in restart)
        return SettingsNews(self._name(found), changed, restart, is_mended=is_mended)

    def _told(self, change: Change) -> Change:
        """Return a change with what the person who made it may not expect."""
        if change.name == _STORE:
            return change._replace(told="as it was when the scheduler began")
        table, _, pool = change.name.partition(".")
        slots = self._stored_slots(pool) if table == "pools" else None
        if slots is None or slots == self.settings.pools.get(pool):
            return change
        before = f", but the store says {slots} (bfill pools delete {pool})"
        return change._replace(told=f"{change.told}{before}")

    def _stored_slots(self, pool: str) -> int | None:
        """Return the size a pool has in the store, which goes before that of the file."""
        try:
            with self._ctx.store(write=False) as store:
                found = store.read(lambda reader: reader.pools()).get(pool)
        except BfillError:
            return None  # whoever has something to do in the store will say what is wrong with it
        return None if found is None else found.slots

    @staticmethod
    def _name(settings: Settings) -> str:
        return "" if settings.file is None else short_path(settings.file)
