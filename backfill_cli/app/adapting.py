"""How many dates at once a run tries, from what was asked: `--parallel-min`, `--target-latency`, `--probe`.

Owns the translation alone; `core/adaptive.py` decides, `engine/pacing.py` asks the probe. It holds for one command, as
limits do: whoever goes on with the rest says again how gently.
"""

from __future__ import annotations

from backfill_cli.core.adaptive import Adaptive
from backfill_cli.core.options import BackfillOptions
from backfill_cli.errors import UsageProblem


def adaptive_of(options: BackfillOptions, parallel: int) -> Adaptive | None:
    """Return what finds the number of dates at once; None when the number is given.

    Args:
        parallel: How many dates may be open together, as far as the DAG allows it.

    Raises:
        UsageProblem: The least is more than the most, or what needs it stands alone.
    """
    least = options.min_parallel_runs
    if least is None:
        for flag, given in (("--target-latency", options.target_latency), ("--probe", options.probe)):
            if given is not None:
                raise UsageProblem(
                    f"{flag} says when fewer dates run at once, and goes with --parallel-min",
                    hint=f"add --parallel-min 1, and --parallel for the most: --parallel-min 1 --parallel 8 {flag} …",
                    code="needs-parallel-min",
                )
        return None
    if not 1 <= least <= options.max_parallel_runs:
        raise UsageProblem(
            f"--parallel-min {least} is not between 1 and --parallel {options.max_parallel_runs}",
            hint=f"say the most as well: --parallel-min {max(1, least)} --parallel {max(1, least) * 4}",
            code="bad-value",
        )
    target = options.target_latency
    target_s = None if target is None else target.total_seconds()
    return Adaptive(min(least, parallel), parallel, target_latency_s=target_s)
