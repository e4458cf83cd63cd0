"""What is wrong while a scheduler stays, told once, and again when it is another trouble.

Owns what has been told. What goes wrong with a DAG, and when it is tried again, is the agenda's.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from backfill_cli.core.agenda import Agenda, Trouble
    from backfill_cli.core.scheduling import Watcher

_SURVEY = ""
"""What goes wrong with the look at all DAGs has the name of none."""


class Troubles:
    """The troubles of an agenda.

    Attributes:
        of_survey: What went wrong with the last look at all DAGs.
    """

    def __init__(self, agenda: Agenda, watcher: Watcher) -> None:
        self.of_survey: Trouble | None = None
        self._agenda = agenda
        self._watcher = watcher
        self._told: dict[str, Trouble] = {}

    def tell(self) -> None:
        """Tell each trouble that is new or another one, and whose DAG is well again."""
        entries = self._agenda.entries
        found = {name: one.trouble for name, one in entries.items() if one.trouble is not None}
        if self.of_survey is not None:
            found[_SURVEY] = self.of_survey
        for name in self._told.keys() - found.keys():
            if name in entries:
                self._watcher.on_trouble(self._called(name), None)
        for name, trouble in found.items():
            if self._told.get(name) != trouble:
                self._watcher.on_trouble(self._called(name), trouble)
        self._told = found

    def _called(self, name: str) -> str:
        """Return what people call a DAG: its id, or the file that does not load."""
        entry = self._agenda.entries.get(name)
        return name if entry is None else entry.facts.dag_id
