"""The circuit breaker of a pool, event by event, and in a machine that plays on."""

from __future__ import annotations

from builders import FAIL, LOST, RETRY, Play, day, make_dag, make_limits, make_task
from hypothesis import given
from hypothesis import strategies as st

from backfill_cli.core.breakers import Breaker, BreakerRule, BreakerState
from backfill_cli.core.circuits import Circuit, Who
from backfill_cli.core.holds import Hold, Holds, of_pool
from backfill_cli.core.invocations import AttemptReport
from backfill_cli.core.states import Outcome
from backfill_cli.core.throttle import Throttle

SECOND = 1_000_000
RULE = BreakerRule(3, 30.0)
KEY = (day(1), "call")


def report(outcome: Outcome, reason: str = "HTTP 503", date: int = day(1)) -> AttemptReport:
    return AttemptReport(date, "call", 1, outcome, 0, 0, reason)


def breaker(*, has_health: bool = False) -> tuple[Breaker, Holds]:
    holds = Holds()
    return Breaker("api", RULE, holds, has_health=has_health), holds


def words(holds: Holds) -> str:
    held = holds.on(of_pool("api"))
    return "" if held is None else " ".join(word for word in (held.reason, held.detail) if word)


def test_it_opens_after_failures_of_one_signature_in_a_row_alone() -> None:
    one, holds = breaker()
    for reason in ("HTTP 503 after 2 s", "HTTP 503 after 3 s", "no such table", "HTTP 503 after 2 s"):
        one.on_end(report(Outcome.RETRY, reason), 0)
    one.on_end(report(Outcome.FAILED), 0)
    one.on_end(report(Outcome.SUCCESS), 0)
    one.on_end(report(Outcome.FAILED), 0)
    for outcome in (Outcome.DEFERRED, Outcome.SKIPPED, Outcome.LOST):
        one.on_end(report(outcome), 0)
    one.on_end(report(Outcome.FAILED), 0)
    assert one.state is BreakerState.CLOSED
    one.on_end(report(Outcome.FAILED, "HTTP 503"), 5)
    assert one.state is BreakerState.OPEN
    assert words(holds) == "the circuit breaker of pool api, open 3 × HTTP 503"
    assert [change.what for change in one.news] == ["breaker_opened"]


def opened() -> tuple[Breaker, Holds]:
    one, holds = breaker()
    for _ in range(3):
        one.on_end(report(Outcome.FAILED), 0)
    return one, holds


def test_after_the_cooldown_one_task_probes_and_closes_it() -> None:
    one, holds = opened()
    one.on_time(30 * SECOND - 1)
    assert one.state is BreakerState.OPEN
    one.on_time(30 * SECOND)
    assert (one.state, words(holds)) == (BreakerState.HALF_OPEN, "")
    one.on_start(KEY)
    assert words(holds) == "the circuit breaker of pool api, half open: one task probes"
    one.on_end(report(Outcome.SUCCESS, date=day(2)), 31 * SECOND)
    assert one.state is BreakerState.HALF_OPEN, "another task, which began before it opened, says nothing"
    one.on_end(report(Outcome.SUCCESS), 31 * SECOND)
    assert (one.state, words(holds)) == (BreakerState.CLOSED, "")


def test_a_probe_that_fails_opens_it_again_and_one_that_is_lost_lets_another_probe() -> None:
    one, holds = opened()
    one.on_time(30 * SECOND)
    one.on_start(KEY)
    one.on_end(report(Outcome.LOST), 31 * SECOND)
    assert (one.state, words(holds)) == (BreakerState.HALF_OPEN, "")
    one.on_start(KEY)
    one.on_end(report(Outcome.RETRY), 32 * SECOND)
    assert one.state is BreakerState.OPEN
    held = holds.on(of_pool("api"))
    assert held is not None and held.until == 62 * SECOND
    problem = one.problem()
    assert problem is not None and "opened 2 times" in problem.message


def test_a_health_check_is_asked_at_the_start_and_before_a_probe() -> None:
    one, holds = breaker(has_health=True)
    assert one.is_asking
    assert words(holds)
    one.on_health(is_well=True, told="HTTP 200", now=0)
    assert (one.state, words(holds), one.news) == (BreakerState.CLOSED, "", [])
    for _ in range(3):
        one.on_end(report(Outcome.FAILED), 0)
    one.on_time(30 * SECOND)
    assert one.is_asking
    one.on_health(is_well=False, told="HTTP 500", now=31 * SECOND)
    assert words(holds) == "the circuit breaker of pool api, open health check: HTTP 500"
    one.on_time(61 * SECOND)
    one.on_health(is_well=True, told="HTTP 200", now=61 * SECOND)
    assert one.state is BreakerState.HALF_OPEN


@given(st.lists(st.sampled_from(["success", "failed", "retry", "lost", "deferred", "time", "start"]), max_size=60))
def test_whatever_happens_it_holds_while_open_and_never_without_an_end(events: list[str]) -> None:
    one, holds = breaker()
    now, flying = 0, False
    for event in events:
        if event == "time":
            now += 30 * SECOND
            one.on_time(now)
        elif event == "start":
            if holds.on(of_pool("api")) is None and not flying:
                one.on_start(KEY)
                flying = True
        elif flying:
            one.on_end(report(Outcome(event)), now)
            flying = False
        held = holds.on(of_pool("api")) is not None
        if one.state is BreakerState.OPEN:
            assert held
        elif one.state is BreakerState.CLOSED or not flying:
            assert not held, "nobody would ever lift it"


def flying(play: Play) -> list[str]:
    return sorted(task for _, task in play.flying)


def test_a_machine_leaves_the_pool_alone_and_goes_on_with_the_rest() -> None:
    dag = make_dag(make_task("call", pool="api", retries=9), make_task("free"))
    throttle = Throttle()
    throttle.breakers["api"] = Breaker("api", RULE, throttle.holds)
    dates = [day(number) for number in range(1, 6)]
    play = Play(dag, dates, limits=make_limits(5, api=3), throttle=throttle)
    play.turn()
    first = sorted(date for date, task in play.flying if task == "call")
    for date in first:
        play.report(date, "call", RETRY, reason="HTTP 503")
    play.turn()
    assert "call" not in flying(play)
    assert "free" in flying(play)
    assert play.wake_at == play.now + 30 * SECOND
    for date in dates:
        play.end("free", date=date)
    play.wait()
    assert flying(play) == ["call"], "one probes"
    ((date, _),) = play.flying
    play.end("call", LOST, date=date)
    ((date, _),) = play.flying
    play.end("call", date=date)
    play.now += 60 * SECOND
    play.turn()
    assert flying(play) == ["call"] * 3, "closed: as many as the pool has slots"


def test_a_probe_whose_run_has_timed_out_lets_another_probe() -> None:
    dag = make_dag(make_task("call", pool="api"), dagrun_timeout_s=10.0)
    throttle = Throttle()
    throttle.breakers["api"] = Breaker("api", BreakerRule(1, 5.0), throttle.holds)
    play = Play(dag, [day(1), day(2), day(3)], limits=make_limits(3, api=1), throttle=throttle)
    play.turn()
    play.end("call", FAIL, date=day(1))
    play.wait()
    ((date, _),) = play.flying
    play.now += 11 * SECOND
    play.turn()
    play.end("call", LOST, date=date)
    assert len(play.flying) == 1


def test_what_a_stop_has_ended_says_nothing_about_the_system() -> None:
    """Kept in the store it would open the breaker for whoever comes next."""
    dag = make_dag(make_task("call", pool="api"))
    throttle = Throttle()
    throttle.breakers["api"] = Breaker("api", RULE, throttle.holds)
    play = Play(dag, [day(1), day(2), day(3)], limits=make_limits(3, api=3), throttle=throttle)
    play.turn()
    play.machine.stop(abort=True)
    for date in (day(1), day(2), day(3)):
        play.end("call", FAIL, date=date, reason="killed by SIGKILL")
    assert throttle.breakers["api"].circuit.is_clear


def test_a_circuit_that_others_have_closed_is_told_without_a_name() -> None:
    """The store keeps nothing of one that is closed, so nobody knows any more who did it."""
    made, _ = breaker()
    made.share(Who("me", "bf-mine"))
    made.agree(Circuit("api", BreakerState.OPEN, at=0, until=SECOND, by="bf-other"), 0)
    made.agree(Circuit("api"), 2 * SECOND)
    told = [(one.what, one.details.get("by", "nobody")) for one in made.news]
    assert told == [("breaker_opened", "bf-other"), ("breaker_closed", "nobody")]


def test_what_keeps_the_probe_from_starting_is_the_reason_and_its_end_the_time() -> None:
    """A probe that was refused for a minute is a minute in which nobody probes; people are told of the refusal."""
    throttle = Throttle()
    made = throttle.breakers["api"] = Breaker("api", RULE, throttle.holds)
    made.share(Who("me", "bf-mine"))
    made.agree(Circuit("api", BreakerState.HALF_OPEN, by="bf-other"), 0)

    def why() -> tuple[str, int | None] | None:
        held = throttle.hold_on("api", "", SECOND)
        return None if held is None else (held.reason, held.until)

    nobody = "the circuit breaker of pool api, half open: nobody probes yet", None
    assert why() == nobody
    throttle.holds.put(of_pool("api"), "deferral", Hold("pool api, which said wait", 60 * SECOND))
    assert why() == ("pool api, which said wait", 60 * SECOND)
    made.agree(Circuit("api", BreakerState.HALF_OPEN, at=0, until=30 * SECOND, by="bf-other", prober="other"), 0)
    assert why() == ("the circuit breaker of pool api, half open: a task of bf-other probes", None)
