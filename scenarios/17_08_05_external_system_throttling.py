"""Throttling: an API that has a limit, says wait, and breaks down

Question: My backfill asks a vendor's API. It allows so many requests a second, answers 429 above that, and is down now
and then. How do I get all of my dates without being the one who takes it down?

What goes wrong: 429 is taken for an error: retries ask again at once, are refused again, and are used up. While the API
is down every date spends its tries on it, and the morning begins with a list of failed dates whose cause is gone.

What bfill does: A 429 with Retry-After is no failure: the try uses no retry, and everybody of the pool waits so long.
rate_limit of a pool spaces its starts, for all processes of the store together, so that there is no 429. After failures
of one cause in a row a breaker leaves the API alone, looks after its health, and lets one task probe it.

What to look at: what the API was asked, when, and what it answered; it counts for itself.

When not to do it: a limit of requests at once is a matter of slots, not of a rate: 17.8.2. A hold after a 429 and a
breaker belong to one process; what has to hold for several backfills is the rate and the slots of a pool.
"""

from __future__ import annotations

import json
import os
import urllib.request
from datetime import datetime, timedelta

from _shared import marks
from _shared.demo import Demo, play, scenario
from _shared.evidence import Attempt
from _shared.processes import wait_until
from _shared.systems import Asked, System

from backfill_cli import DAG, task

TAGS = ["performance", "control", "intermediate", "success"]

LIMIT = 8
"""Requests the API answers in any second."""

with DAG("scenario_17_08_05", schedule="@daily", start_date=datetime(2025, 3, 1)) as dag:

    @task(pool="vendor", retries=4, retry_delay=timedelta(0))
    def fetch() -> None:
        """Ask the API; an error of urllib is all that bfill needs to know."""
        marks.wait_while(__file__, "closed")
        urllib.request.urlopen(os.environ["VENDOR"], timeout=30).close()

    @task
    def count() -> None:
        """Another task of each date, which asks nobody."""

    fetch()
    count()


def days(first: int, last: int, parallel: int = 16) -> str:
    """A run of some days of March."""
    return f"run --dag 17.8.5 --start 2025-03-{first:02} --end 2025-03-{last:02} --parallel {parallel}"


def fetched(demo: Demo, first: int, last: int) -> list[Attempt]:
    """The tries to fetch of some days of March."""
    wanted = [f"2025-03-{day:02}" for day in range(first, last + 1)]
    return [one for one in demo.attempts() if one.task_id == "fetch" and one.day in wanted]


def busiest(asked: list[Asked]) -> int:
    """The most requests that came within any second."""
    return max(sum(first.at <= one.at < first.at + 1 for one in asked) for first in asked)


def statuses(system: System) -> list[int]:
    """What the API has answered, as it was asked."""
    return [one.status for one in system.asked]


def are_fetching(demo: Demo) -> bool:
    """Whether the first twelve dates are about to ask."""
    return all(demo.state_of("fetch", f"2025-03-{day:02}") == "running" for day in range(1, 13))


@scenario
def main(demo: Demo) -> None:
    """Play it: an API that says wait, a rate that spares it that, and an API that breaks."""
    with System(in_a_second=LIMIT, takes_s=0.4, wait_s=1) as system:
        vendor = {"VENDOR": system.url}

        demo.step("Wait, says the API", f"It bears {LIMIT} requests a second, and 12 of 16 dates ask it at once.")
        demo.show("bfill.toml", "[pools.vendor]\nslots = 12\n")
        marks.put(__file__, "closed")
        going = demo.start(days(1, 16), **vendor)
        wait_until(lambda: are_fetching(demo), "twelve tasks are about to ask")
        marks.take_away(__file__, "closed")
        demo.wait(going)
        first, rest = system.asked[:12], system.asked[12:]
        refused = [one.at for one in first if one.status == 429]
        demo.check("the API refused some of them", len(refused) > 0, f"{len(refused)} × 429, Retry-After: 1")
        waited = min(one.at for one in rest) - refused[0]
        demo.check("then nobody asked for a second: neither they nor the other four", waited >= 1, f"{waited:.2f} s")
        outcomes = sorted(one.outcome for one in fetched(demo, 1, 16))
        expected = ["deferred"] * len(refused) + ["success"] * 16
        demo.check_equal("a refused try is deferred: none was a failure", outcomes, expected)

        demo.step("A rate", "Better not to be refused at all. Two backfills, of five days each.")
        demo.show("bfill.toml", f'[pools.vendor]\nslots = 12\nrate_limit = "{LIMIT - 3}/s"\n')
        system.forget()
        both = [demo.start(days(*part), **vendor) for part in ((17, 21), (22, 26))]
        for one in both:
            demo.wait(one)
        demo.check_equal("none of both was refused", statuses(system), [200] * 10)
        most = busiest(system.asked)
        demo.check("together they kept to the limit", most <= LIMIT, f"{most} requests in the busiest second")

    with System(takes_s=0.05) as system:
        vendor = {"VENDOR": system.url}

        demo.step("The API breaks", "From its third request on it answers 500. First, what happens without a breaker.")
        demo.show("bfill.toml", "[pools.vendor]\nslots = 2\n")
        system.breaks_at = 2
        demo.bfill(days(27, 31), expect=1, **vendor)
        spent = statuses(system).count(500)
        demo.check_equal("the other three spent all of their tries on it", spent, 3 * 5)

        demo.step(
            "A breaker", "Three failures of one cause open it. The API's health is asked before anything goes on."
        )
        breaker = f'breaker = {{ failures = 3, cooldown = "1s" }}\nhealth = "{system.url}health"\n'
        demo.show("bfill.toml", "[pools.vendor]\nslots = 2\n" + breaker)
        system.forget()
        before = demo.attempts()
        again = days(27, 31).replace("run ", "run --reset-dag-run --events events.ndjson ")
        going = demo.start(again, **vendor)
        wait_until(lambda: 500 in system.health, "its health was asked, in vain")
        spent = statuses(system).count(500)
        demo.check("three failed tries, and one that was under way", spent in (3, 4), spent)
        counted = {one.day for one in demo.attempts() if one.task_id == "count" and one not in before}
        demo.check_equal("meanwhile what asks nobody went on", len(counted), 5)
        system.mend()
        demo.wait(going)
        demo.check_equal("not one more was spent until it was well", statuses(system).count(500), spent)
        demo.check_equal("then it gave every date, and the exit code is 0", statuses(system).count(200), 5)
        told = [json.loads(line)["event"] for line in (demo.folder / "events.ndjson").read_text().splitlines()]
        seen = [one.removeprefix("breaker_") for one in told if one.startswith("breaker_")]
        demo.check_equal(
            "the circuit was probed once, and closed", seen[seen.index("half_open") :], ["half_open", "closed"]
        )
        made = sorted((one for one in fetched(demo, 27, 31) if one not in before), key=lambda one: one.span.start)
        demo.timeline({f"{one.day[5:]} try {one.try_number} {one.outcome}": one.span for one in made})
        probe, *behind = (one.span for one in made[-3:])
        ahead = min(one.start for one in behind) - probe.end
        demo.check("the probe ended before anybody else began", ahead >= 0, f"{ahead * 1000:.0f} ms before")

    demo.step(
        "Best practice",
        "Give each system outside a pool of its own name, a rate well below its contract, and a breaker with a few "
        "retries behind it. Then let 429 and Retry-After be the exception they are meant for.",
    )


if __name__ == "__main__":
    play(main)
