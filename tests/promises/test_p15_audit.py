"""Promise 15: the chain finds an edit, insert, delete, reorder, cut tail, swapped suffix, an old copy brought back.

Nine kinds of change, each at random places of a real history, by somebody who knows how entries are hashed: found with
exit 6, the first bad entry named. And the other side: whatever people do with bfill itself is never an alarm.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from blackbox.world import Project

from promises import tampering
from promises.harness import Trial, Trials, caught
from promises.living import Life
from promises.tampering import KINDS, Kind, World


@pytest.fixture
def world(history_world: World) -> World:
    """The history, as it was made."""
    history_world.history.copy(history_world.folder)
    return history_world


def test_the_history_that_is_tampered_with_holds(world: World) -> None:
    ended = world.verify()
    assert (ended.code, ended.json["data"]["findings"], ended.json["problems"]) == (0, [], []), ended
    assert ended.json["data"]["checked"] > 15


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.promise(15, short=6, long=100)
def test_every_way_to_change_the_chain_is_found_and_the_first_bad_entry_named(
    kind: str, trials: Trials, world: World
) -> None:
    for trial in trials:
        tampering.check_found(world, KINDS[kind], trial.random)
        trials.see("found")


@pytest.mark.parametrize("kind", [tampering.relink, tampering.respell])
def test_the_chain_alone_shows_what_needs_no_kept_head(kind: Kind, world: World) -> None:
    for trial in Trials(5, 1):
        tampering.check_found(world, kind, trial.random, alone=True)


@pytest.mark.promise(15, short=3, long=200)
def test_nothing_that_commands_do_is_an_alarm(trials: Trials, new_project: Callable[[], Project]) -> None:
    """Plans, runs with failures, kills, stops, repairs and resets in any order: five of them, a check behind each."""
    for trial in trials:
        life = Life(new_project(), trial.random)
        for _ in range(5):
            trials.see(life.step())
            ran = life.verify()
            assert ran.code == 0 and not ran.data["findings"], ran
            trials.see("clean verifies")
    if trials.count > 10:
        assert {"kill", "stop", "reset", "rerun-failed", "plan"} <= trials.seen.keys()


# the heads that were kept


def test_a_head_kept_elsewhere_is_found_in_the_chain_or_missed(world: World) -> None:
    head = world.verify().json["data"]["head"]
    seq, _, digest = head.partition(":")
    assert world.verify("--expect-head", head).code == 0
    assert world.verify("--expect-head", f"{seq}:{digest[:8].upper()}").code == 0
    wrong = world.verify("--expect-head", f"{seq}:{'0' * 64}")
    assert (wrong.code, wrong.json["data"]["first_bad"]) == (6, int(seq))
    later = world.verify("--expect-head", f"{int(seq) + 7}:{digest}")
    assert (later.code, later.json["data"]["first_bad"]) == (6, int(seq) + 1)


@pytest.mark.parametrize("text", ["", "17", "17:", "17:abc", "x:0123456789", "0:0123456789", "17:0123456z89"])
def test_what_is_no_head_is_a_mistake_of_usage_and_no_alarm(text: str, world: World) -> None:
    assert world.verify("--expect-head", text).code == 2


def test_without_the_head_file_a_cut_tail_is_found_by_a_head_kept_elsewhere_alone(world: World, tmp_path: Path) -> None:
    store = world.store
    head = world.verify().json["data"]["head"]
    store.with_name("bfill.db.heads").unlink()
    with tampering.writing(store) as connection:
        connection.execute(
            "DELETE FROM audit_events WHERE action = 'plan' AND seq = (SELECT max(seq) FROM audit_events)"
        )
        connection.execute("DELETE FROM backfill_dates WHERE backfill = (SELECT max(backfill) FROM backfills)")
        connection.execute("DELETE FROM backfills WHERE backfill = (SELECT max(backfill) FROM backfills)")
    alone = world.verify()
    assert alone.code == 0, "nothing in the store tells of what was there"
    assert [one["code"] for one in alone.json["problems"]] == ["heads-missing"]
    assert world.verify("--expect-head", head).code == 6


def test_a_head_file_that_lags_by_a_commit_is_no_alarm(world: World) -> None:
    """Whoever is killed between the commit and the line leaves it so."""
    heads = world.store.with_name("bfill.db.heads")
    heads.write_text("".join(heads.read_text().splitlines(keepends=True)[:-1]))
    ended = world.verify()
    assert ended.code == 0
    assert [one["code"] for one in ended.json["problems"]] == ["heads-behind"]


def test_the_commands_that_change_state_print_the_head(project: Project) -> None:
    project.write("dags/sales.py", tampering.SALES)
    week = ("--dag", "sales", *tampering.days(1, 2))
    for words in (("plan",), ("run",), ("reset", "--yes")):
        told = project.bfill(words[0], *week, *words[1:], "--json").data["audit_head"]
        assert told == project.bfill("audit", "--json").data["head"], words
    for words in (("plan",), ("run",), ("reset", "--yes")):
        ran = project.bfill(words[0], *week, *words[1:])
        head = project.bfill("audit", "--json").data["head"]
        assert f" audit head {head[:10]}" in ran.out, ran


# the harness itself


@pytest.mark.long
@pytest.mark.parametrize(
    ("mutant", "kind"),
    [
        ("chain-without-previous", tampering.relink),
        ("heads-not-compared", tampering.cut_tail),
        ("details-not-verbatim", tampering.respell),
    ],
)
def test_the_tampering_sees_a_check_that_is_missing(
    mutant: str, kind: Kind, tmp_path_factory: pytest.TempPathFactory
) -> None:
    with tampering.mutant(mutant, tmp_path_factory.mktemp("mutant")) as world:

        def case(trial: Trial) -> None:
            tampering.check_found(world, kind, trial.random, alone=kind is not tampering.cut_tail)

        print(mutant, "caught after", caught(case))
