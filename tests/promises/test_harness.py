"""The harness of the promises: a trial is its seed, and a mutant that is not made is an error."""

from __future__ import annotations

from pathlib import Path

import pytest

from promises import harness
from promises.harness import Trial, Trials, caught, mutated, patched


def test_a_trial_depends_on_its_seed_alone() -> None:
    whole = [trial.random.random() for trial in Trials(5, seed=10)]
    (again,) = Trials(1, seed=13)
    assert again.random.random() == whole[3]


def test_a_case_that_never_fails_shows_that_the_harness_sees_nothing() -> None:
    def blind(trial: Trial) -> None:
        pass

    with pytest.raises(AssertionError, match="survived 3 trials"):
        caught(blind, trials=3)


def test_a_case_is_caught_in_the_trial_it_fails_in() -> None:
    def fails_on_the_third(trial: Trial) -> None:
        assert trial.number < 2

    assert caught(fails_on_the_third) == 3


def test_a_mutant_is_a_copy_with_its_patch_applied(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(harness, "MUTANTS", tmp_path)
    patch = "--- a/backfill_cli/core/auditing.py\n+++ b/backfill_cli/core/auditing.py\n@@ -1,1 +1,1 @@\n"
    (tmp_path / "zeros.patch").write_text(f'{patch}-GENESIS = "0" * 64\n+GENESIS = "1" * 64\n')
    made = mutated("zeros", tmp_path)
    assert 'GENESIS = "1" * 64' in (made / "backfill_cli/core/auditing.py").read_text()


def test_a_patch_that_does_not_fit_any_more_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(harness, "MUTANTS", tmp_path)
    patch = "--- a/backfill_cli/core/auditing.py\n+++ b/backfill_cli/core/auditing.py\n@@ -19,1 +19,1 @@\n"
    (tmp_path / "stale.patch").write_text(f"{patch}-NOTHING = 1\n+NOTHING = 2\n")
    with pytest.raises(AssertionError, match="found 0 times"):
        mutated("stale", tmp_path)


@pytest.mark.parametrize("name", sorted(path.stem for path in harness.MUTANTS.glob("*.patch")))
def test_every_mutant_can_still_be_made(name: str) -> None:
    """Most are tried by the long versions alone: here an edit that takes one away is seen at once."""
    assert all(text != (harness.ROOT / path).read_text(encoding="utf-8") for path, text in patched(name).items())
