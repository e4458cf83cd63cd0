"""The one error hierarchy: what went wrong, and the next thing to type.

Owns the classes and their exit codes (contract section 6). Raising them is everybody's job, at the edge where the
cause is known; catching all of them is the job of `cli/main.py` alone.
"""

from __future__ import annotations

from typing import ClassVar


class BfillError(Exception):
    """A refusal or failure that a person can act on.

    Args:
        message: What is wrong, with the value in it. One line, no full stop.
        hint: The next command or edit. Empty when there is none.
        code: A stable slug for scripts; by default the class's own.
        where: `file:line` or another place, put in front of the message.
    """

    exit_code: ClassVar[int] = 70
    kind: ClassVar[str] = "bug"

    def __init__(self, message: str, *, hint: str = "", code: str = "", where: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        self.code = code or self.kind
        self.where = where

    def __str__(self) -> str:
        return f"{self.where}: {self.message}" if self.where else self.message


class UsageProblem(BfillError):
    """Flags or options that contradict each other, or a range that cannot be one."""

    exit_code = 2
    kind = "usage"


class InputError(BfillError):
    """The DAG, the conf, a template or a name is wrong. Its children say which."""

    exit_code = 3
    kind = "input"


class DefinitionError(InputError):
    """A DAG file that raises, exits, hangs, or defines something impossible."""

    kind = "definition"


class ScheduleError(InputError):
    """A cron, delta or zone that cannot be a schedule."""

    kind = "schedule"


class MacroError(InputError):
    """A template that does not compile, is unsafe, or in strict mode names something unknown."""

    kind = "macro"


class CycleError(DefinitionError):
    """Tasks that wait for each other; the message holds the path."""

    kind = "cycle"


class UnknownPoolError(InputError):
    """A task names a pool that does not exist, or needs more slots than it has."""

    kind = "unknown-pool"


class NotFoundError(InputError):
    """No DAG, backfill, task or date of that name; the hint lists near names."""

    kind = "not-found"


class SettingsError(InputError):
    """`bfill.toml`, an environment variable or `[tool.bfill]` holds something unknown or wrong."""

    kind = "settings"


class StoreError(BfillError):
    """The store cannot be opened, is locked, full, read-only, damaged or of a newer version."""

    exit_code = 4
    kind = "store"


class ConflictError(BfillError):
    """Another live process holds these dates."""

    exit_code = 5
    kind = "conflict"


class AuditError(BfillError):
    """The audit chain does not verify."""

    exit_code = 6
    kind = "audit"


class RefusedError(BfillError):
    """Needs `--yes`, is over a limit, or is a plan that has moved."""

    exit_code = 7
    kind = "refused"


class BackendError(BfillError):
    """The executor cannot start or was lost."""

    exit_code = 8
    kind = "backend"


class StoppedError(BfillError):
    """A signal came before there was a result; the exit code is 128 + its number, not the class's."""

    exit_code = 130
    kind = "stopped"
