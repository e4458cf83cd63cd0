"""What a scheduler that stays says: a line a shift, nothing that floods a journal, and the line that is redrawn."""

from __future__ import annotations

import io
from dataclasses import replace
from datetime import UTC, datetime

from backfill_cli import clock
from backfill_cli.core.agenda import Agenda, Facts, Trouble
from backfill_cli.core.listening import ProgressCounts
from backfill_cli.core.records import Batch
from backfill_cli.core.results import DateResult
from backfill_cli.core.scheduling import Standing
from backfill_cli.core.settings_news import Change, SettingsNews
from backfill_cli.core.states import RunState
from backfill_cli.render import scheduler_lines
from backfill_cli.render.lines import LineListener
from render.play import start_of
from render.samples import NOW_US, days
from render.scheduler_samples import DUE, ran

HOUR = 3_600
SECOND = 1_000_000
DATES = days("2024-03-01", "2024-03-31")
WRONG = Trouble("dags/bad.py:3: raises NameError", "mend it", 3)


def agenda(*found: Facts | tuple[str, Trouble]) -> Agenda:
    made = Agenda()
    made.survey(found, 0)
    return made


def day(number: int) -> DateResult:
    at = datetime(2024, 3, number, tzinfo=UTC)
    return DateResult(at, f"scheduled__{at.isoformat()}", RunState.SUCCESS, 1.0, None)


def test_a_shift_is_one_line_with_its_dates_its_id_and_what_comes_next():
    result = replace(ran("sales", 2), results=[day(5), day(6)])
    said = scheduler_lines.shift(Standing("sales", "", "UTC", DUE + 2 * HOUR, (result,)), result)
    assert said == "sales 2024-03-05 … 2024-03-06 ok 2 in 8 s sc-20240401-7k2m, next due 2024-04-02"


def test_when_it_is_due_again_on_the_same_day_the_time_is_enough():
    result = replace(ran("sales", 1), results=[day(31)])
    said = scheduler_lines.shift(Standing("sales", "", "UTC", DUE - 4 * HOUR, (result,)), result)
    assert said.endswith(", next due 18:00")


def test_a_failed_date_is_told_with_the_command_that_repairs_it():
    result = ran("sales", 1, failed=1)
    said = scheduler_lines.shift(Standing("sales", "", "UTC", None, (result,)), result)
    assert said == "sales ok 1 failed 1 in 8 s sc-20240401-7k2m, bfill rerun-failed sc-20240401-7k2m"


def test_the_line_that_is_redrawn_says_what_comes_next_and_when():
    made = agenda(Facts("a", "stock", next_at=5 * HOUR), Facts("b", "sales", next_at=4 * HOUR), ("bad.py", WRONG))
    assert scheduler_lines.waiting(made, HOUR) == "waiting: next sales 1970-01-01 04:00 in 3 h, 1 broken"
    assert scheduler_lines.waiting(made, 4 * HOUR - 90).endswith("in 1 min, 1 broken")
    assert scheduler_lines.waiting(made, 4 * HOUR - 59).endswith("in 59 s, 1 broken")
    made.begun("b")
    assert scheduler_lines.waiting(made, HOUR).startswith("running sales: next stock")
    assert scheduler_lines.waiting(Agenda(), 0) == "looking at the DAGs"
    assert scheduler_lines.waiting(agenda(Facts("a", "stock")), 0) == "waiting"


def test_what_it_begins_with_and_what_is_new_later():
    before = agenda(Facts("a", "stock", next_at=5 * HOUR), ("bad.py", WRONG))
    assert scheduler_lines.started(before) == "scheduler looks after 1 DAG, 1 broken, next stock 1970-01-01 05:00"
    known = {"a": before.entries["a"].facts}
    after = agenda(Facts("b", "sales", why="paused"))
    assert scheduler_lines.changed(known, after) == ["sales added, paused", "stock removed"]
    assert scheduler_lines.changed(known, before) == []
    known = {"f.py:a": Facts("f.py:a", "a", path="f.py")}
    assert scheduler_lines.changed(known, agenda(("f.py", WRONG))) == [], "it is broken, and told of as that"


def test_an_error_that_names_its_file_does_not_name_it_twice():
    assert scheduler_lines.trouble("dags/bad.py", WRONG).startswith("error: dags/bad.py:3")
    assert scheduler_lines.trouble("stock", WRONG._replace(message="gone")) == "stock error: gone (hint: mend it)"
    assert scheduler_lines.trouble("stock", None) == "stock is well again"


def test_what_is_new_about_the_settings_is_a_line_each():
    told = SettingsNews(
        "bfill.toml", (Change("workers", "8 → 9"), Change("variables.region")), ("store",), is_mended=True
    )
    assert list(scheduler_lines.settings(told)) == [
        "settings are well again",
        "settings changed in bfill.toml: workers 8 → 9, variables.region; from the next shift on",
        "settings changed in bfill.toml: store; that needs a restart of the scheduler",
    ]
    (line,) = scheduler_lines.settings(SettingsNews(changed=(Change("pools.api", "taken out"),)))
    assert line == "settings changed, there is no file any more: pools.api taken out; from the next shift on"
    (line,) = scheduler_lines.settings(SettingsNews(trouble=WRONG))
    assert line.endswith("error: dags/bad.py:3: raises NameError (hint: mend it); what was read before holds")


def test_a_journal_has_few_lines_of_a_long_catch_up(monkeypatch):
    """A day of 10,000 dates: ten tenths and every ten minutes one, not every ten seconds; and when it began."""
    file = io.StringIO()
    log = LineListener(file, of="sales", is_calm=True)
    log.on_start(start_of(DATES, NOW_US))
    assert not file.getvalue(), "a short shift is told of at its end"
    for done in range(10_000):
        at = NOW_US + done * 86_400 * SECOND // 10_000
        monkeypatch.setattr(clock, "now_us", lambda at=at: at)
        log.on_waiting({}, None)
        log.on_batch(Batch(), ProgressCounts(10_000, done, 0, 0, 1, 1), at)
    lines = file.getvalue().splitlines()
    assert " backfill " in lines[0]
    assert 100 < len(lines) < 160
    assert all(" sales progress " in line for line in lines[1:])
