"""How a scenario is written: `@scenario def main(demo)`, and `play(main)` at the end of the file.

Owns the life of a demonstration: a stage is built, the story told, every claim checked, and the result handed over.
What goes wrong on the way becomes a failed check, and so does a scenario that claims nothing.
"""

from __future__ import annotations

import json
import signal
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from _shared.evidence import Span
from _shared.processes import Background, Ran
from _shared.stage import Stage

if TYPE_CHECKING:
    from _shared.narration import Narrator
    from backfill_cli.core.scenarios import Check, ScenarioRun


class Unexpected(Exception):
    """A command left with another exit code than the story says: what would follow makes no sense."""


class Demo(Stage):
    """What a scenario plays with: a stage, a voice, and checks.

    Every claim of the text is a `check` on something measured. `bfill` runs the real command line and shows it;
    everything of `Stage` is quiet.
    """

    def __init__(self, file: str, voice: Narrator, *, keep: bool = False) -> None:
        super().__init__(file, keep=keep)
        self._voice = voice
        self.checks: list[Check] = []

    def __enter__(self) -> Demo:
        super().__enter__()
        return self

    def step(self, title: str, text: str = "") -> None:
        """Begin a part of the story."""
        self._voice.step(title, text)

    def say(self, text: str) -> None:
        """Tell something: a paragraph, however it is indented in the source."""
        self._voice.say(text)

    def table(self, headings: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
        """Show rows."""
        self._voice.table(headings, rows)

    def timeline(self, spans: Mapping[str, Span]) -> None:
        """Show when each was busy."""
        self._voice.timeline(spans)

    def bfill(self, command: str, *, expect: int | None = 0, answer: str | None = None, **environ: str) -> Ran:
        """Run `bfill COMMAND`, show it, and go on only with the expected exit code.

        Args:
            command: As typed in a shell, without `bfill`.
            expect: None takes any code.
            answer: Run it at a terminal, and type this when it asks.
            environ: Added to its environment.

        Raises:
            Unexpected: Another code; the scenario ends there, failed.
        """
        return self._told(self.call(command, columns=self._voice.width - 6, answer=answer, **environ), expect)

    def start(self, command: str, **environ: str) -> Background:
        """Start `bfill COMMAND`, say so, and go on: a real second process beside the story."""
        self._voice.started(f"bfill {command}")
        return super().start(command, **{"COLUMNS": str(self._voice.width - 6), **environ})

    def wait(self, started: Background, *, expect: int | None = 0) -> Ran:
        """Wait until it has ended, and tell it as `bfill` does."""
        return self._told(started.wait(), expect)

    def shell(self, name: str, *, expect: int | None = 0, **environ: str) -> Ran:
        """Run a shell script of the private folder as `Stage.script` does, and tell it as `bfill` does."""
        return self._told(self.script(name, columns=self._voice.width - 6, **environ), expect)

    def show(self, name: str, text: str) -> None:
        """Write a file of the private folder, and show it."""
        self.write(name, text)
        self._voice.file(name, text.splitlines())

    def _told(self, ran: Ran, expect: int | None) -> Ran:
        self._voice.command(ran)
        if expect is not None and ran.code != expect:
            error = (ran.err.strip().splitlines() or ran.out.strip().splitlines() or [""])[0]
            raise Unexpected(f"{ran.command}: exit code {ran.code}, expected {expect}: {error}")
        return ran

    def edit(self, name: str, before: str, after: str) -> None:
        """Edit a file of the private folder as `Stage.edit` does, and show the difference."""
        old = (self.folder / name).read_text(encoding="utf-8").splitlines()
        super().edit(name, before, after)
        new = (self.folder / name).read_text(encoding="utf-8").splitlines()
        self._voice.change(name, [one for one in old if one not in new], [one for one in new if one not in old])

    def check(self, name: str, passed: bool, evidence: object = "") -> bool:
        """Make a claim: a sentence that is true of this run, whether it is, and what was measured.

        Raises:
            TypeError: `passed` is no bool: a list or a match that is "true enough" hides what was compared.
        """
        from backfill_cli.core.scenarios import Check

        if not isinstance(passed, bool):
            raise TypeError(f"check({name!r}) needs True or False, not {passed!r}")
        self.checks.append(Check(name, passed, said(evidence)))
        self._voice.check(self.checks[-1])
        return passed

    def check_equal(self, name: str, measured: object, expected: object) -> bool:
        """Make a claim about a value; the evidence is the value, and the expected one when it is another."""
        same = measured == expected
        return self.check(name, same, said(measured) if same else f"{said(measured)}, expected {said(expected)}")


Story = Callable[[Demo], None]


class Playable:
    """A scenario's `main`: called, it plays and returns what its checks found.

    Args:
        story: The function of the scenario's file.
    """

    def __init__(self, story: Story) -> None:
        self.story = story
        self.file = str(Path(story.__code__.co_filename).resolve())

    def __call__(self, *, silent: bool = False, keep: bool = False) -> ScenarioRun:
        """Play the story.

        Args:
            silent: Print nothing.
            keep: Leave the private folder, and say where it is.
        """
        from _shared.narration import Narrator
        from backfill_cli.core.scenarios import ScenarioRun
        from backfill_cli.loader.scenarios import read_scenario

        facts = read_scenario(Path(self.file))
        voice = Narrator(silent=silent)
        voice.title(facts)
        began = time.monotonic()
        demo = Demo(self.file, voice, keep=keep)
        beside = _strangers(demo.file.parent)
        with demo:
            try:
                self.story(demo)
            except Exception as error:  # noqa: BLE001  (a story may break off in any way)
                demo.check("the story can be told to its end", False, f"{type(error).__name__}: {error}")
                if not isinstance(error, Unexpected):
                    _trace()
            strewn = sorted(_strangers(demo.file.parent) - beside)
            if strewn:
                demo.check("no task writes beside the scenario's file", False, [*strewn, "a shell task needs cwd='.'"])
            if not demo.checks:
                demo.check("the scenario proves something", False, "it made no check")
        seconds = time.monotonic() - began
        voice.end(demo.checks, seconds, str(demo.folder) if keep else None)
        return ScenarioRun(facts, tuple(demo.checks), seconds)


scenario = Playable
"""`@scenario` above `def main(demo: Demo) -> None`."""


def play(main: Playable) -> None:
    """Play from the command line and leave: exit code 1 when a check fails. The last line of a scenario's file.

    `python scenarios/FILE.py [--keep] [--quiet] [--result FILE.json]`
    """
    import argparse

    parser = argparse.ArgumentParser(description="Play this scenario.")
    parser.add_argument("--keep", action="store_true", help="leave the private folder, and say where it is")
    parser.add_argument("--quiet", action="store_true", help="print nothing")
    parser.add_argument("--result", type=Path, metavar="FILE", help="write what the checks found, as JSON")
    asked = parser.parse_args()
    result = asked.result.absolute() if asked.result else None
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # a way out that passes every `finally`
    try:
        run = main(silent=asked.quiet, keep=asked.keep)
    except KeyboardInterrupt:
        sys.exit(130)
    if result:
        result.write_text(json.dumps(run.data()), encoding="utf-8")
    sys.exit(run.exit_code)


def _strangers(folder: Path) -> set[str]:
    """What lies in the scenarios' folder and is none: a shell task writes there unless it has `cwd="."`."""
    return {one.name for one in folder.iterdir() if one.suffix not in (".py", ".md") and one.name != "__pycache__"}


def _trace() -> None:
    """Say where a story broke off, for whoever writes it."""
    import traceback

    traceback.print_exc()


def said(value: object) -> str:
    """Return a measured value as people read it: lists joined, what repeats counted, at most 300 characters."""
    if isinstance(value, Mapping):
        text = ", ".join(f"{key} {said(one)}" for key, one in value.items())
    elif isinstance(value, (list, tuple, set, frozenset)):
        parts = [said(one) for one in (sorted(value, key=str) if isinstance(value, (set, frozenset)) else value)]
        text = ", ".join(f"{part} × {number}" if number > 1 else part for part, number in Counter(parts).items())
        text = text or "nothing"
    elif isinstance(value, int) and not isinstance(value, bool):
        text = f"{value:,}"
    else:
        text = str(value)
    return text if len(text) <= 300 else f"{text[:300]}…"
