"""The limits at which a run ends itself, from what was asked: `--fail-fast`, `--max-failures`, `--max-duration`,
`--deadline`.

Owns the translation alone; `core/halting.py` knows when a limit is reached, `engine/coordinator.py` what happens then.
They hold for one command: whoever goes on with the rest says again how far it may go.
"""

from __future__ import annotations

from backfill_cli.core.halting import Halt, failures_allowed
from backfill_cli.core.options import BackfillOptions
from backfill_cli.errors import UsageProblem


def halt_of(options: BackfillOptions, *, dates: int, timezone: str, now_us: int) -> Halt:
    """Return the limits of a run.

    Args:
        dates: How many it has to do; a percentage is of these.
        timezone: Of the DAG; a deadline without a zone is wall time there.
        now_us: Epoch microseconds.

    Raises:
        UsageProblem: Two limits for failures, one that is none, or a deadline that has passed.
    """
    failures, said = _failures(options, dates)
    deadline_us, deadline_said = None, ""
    if options.deadline is not None:
        from backfill_cli.core.when import first_second
        from backfill_cli.core.zones import clock_of

        clock = clock_of(timezone)
        second = first_second(options.deadline, clock)
        deadline_us, deadline_said = second * 1_000_000, clock.show(second)
        if deadline_us <= now_us:
            raise UsageProblem(
                f"--deadline {deadline_said} has passed", hint="name a moment that is still to come", code="bad-value"
            )
    lasting = options.max_duration
    return Halt(
        failures,
        None if lasting is None else lasting.total_seconds(),
        deadline_us,
        failures_said=said,
        deadline_said=deadline_said,
    )


def _failures(options: BackfillOptions, dates: int) -> tuple[int | None, str]:
    if not options.fail_fast:
        if options.max_failures is None:
            return None, ""
        return failures_allowed(options.max_failures, dates), f"--max-failures {options.max_failures}"
    if options.max_failures is not None:
        raise UsageProblem(
            "--fail-fast and --max-failures exclude each other",
            hint="--fail-fast is --max-failures 1: give one of them",
            code="fail-fast-and-max-failures",
        )
    return 1, "--fail-fast"
