"""The board and the lines: what a person sees while a backfill runs, and that looking costs nothing."""

from __future__ import annotations

import io
import re
import time
from dataclasses import replace

import pytest

from backfill_cli import clock
from backfill_cli.core.listening import ProgressCounts
from backfill_cli.core.records import Batch, Control
from backfill_cli.core.states import RunState, TaskState
from backfill_cli.core.steering import Steered
from backfill_cli.core.waits import NEXT_TRY
from backfill_cli.render.board import Board
from backfill_cli.render.lines import LineListener
from backfill_cli.render.live import LiveListener
from backfill_cli.render.pace import Pace
from render.play import instance, play, run_row, start_of
from render.samples import NOW_US, days, run_failed
from render.wave_samples import begins

SECOND = 1_000_000
DATES = days("2024-03-01", "2024-03-31")


def board_in_the_middle() -> Board:
    board = Board(start_of(DATES, NOW_US))
    for done in range(20):
        counts = ProgressCounts(31, done, 0, 0, 4, 3)
        board.note(Batch(), counts, NOW_US + done * 10 * SECOND)
    at = NOW_US + 190 * SECOND
    opened = DATES[19:22]
    batch = Batch(opened=[run_row(one, RunState.RUNNING) for one in opened])
    batch.instances += [
        instance(opened[0], "extract", TaskState.SUCCESS, at),
        instance(opened[0], "clean", TaskState.SUCCESS, at),
        instance(opened[0], "load", TaskState.RUNNING, at - 12 * SECOND),
        instance(opened[1], "extract", TaskState.SUCCESS, at),
        instance(opened[1], "clean", TaskState.RUNNING, at - 3 * SECOND, tries=2),
        instance(opened[2], "extract", TaskState.UP_FOR_RETRY, at)._replace(retry_at=at + 5 * SECOND),
        instance(DATES[10], "load", TaskState.FAILED, at, tries=3, reason="HTTP 503 from warehouse"),
    ]
    board.note(batch, ProgressCounts(31, 19, 1, 0, 3, 2), at)
    board.waiting = {"pool warehouse: needs 1, 0 of 2 free": 3, NEXT_TRY: 7}
    return board


@pytest.mark.parametrize("width", [60, 80])
def test_the_board_shows_the_chunk_that_runs_with_its_own_progress(width, golden):
    board = Board(start_of(DATES, NOW_US))
    board.note(Batch(), ProgressCounts(31, 9, 0, 0, 0, 0), NOW_US)
    board.note_wave(begins())
    board.note(Batch(), ProgressCounts(31, 11, 1, 0, 2, 2), NOW_US + 60 * SECOND)
    lines = board.lines(NOW_US + 60 * SECOND, width, 24)
    golden(f"render/board-chunk.{width}.txt", "".join(f"{one.plain}\n" for one in lines))
    board.note_wave(begins()._replace(ended=True))
    assert not any("chunk" in one.plain for one in board.lines(NOW_US + 60 * SECOND, width, 24))


@pytest.mark.parametrize("width", [60, 80, 120])
def test_the_board_is_as_its_golden_file_shows_it(width, golden):
    lines = board_in_the_middle().lines(NOW_US + 190 * SECOND, width, 24)
    golden(f"render/board.{width}.txt", "".join(line.plain + "\n" for line in lines))


def waiting_lines(board: Board, now: int) -> list[str]:
    return [line.plain.removeprefix(" waiting  ") for line in board.lines(now, 100, 24) if "next try" in line.plain]


def test_the_board_counts_down_to_the_next_try_and_forgets_it_when_its_time_has_come():
    """What the coordinator told half a second ago says nothing about now; the board's own cells do."""
    board = board_in_the_middle()
    at = NOW_US + 190 * SECOND
    assert waiting_lines(board, at) == ["1 task for the next try, in 5 s"]
    assert waiting_lines(board, at + 4_900_000) == ["1 task for the next try, in 1 s"], "never in 0 s"
    assert waiting_lines(board, at + 5 * SECOND) == []
    other = instance(DATES[20], "clean", TaskState.UP_FOR_RETRY, at)._replace(retry_at=at + 2 * SECOND)
    board.note(Batch(instances=[other]), board.counts, at)
    assert waiting_lines(board, at) == ["2 tasks for the next try, the first in 2 s"]
    board.note(Batch(instances=[instance(DATES[20], "clean", TaskState.RUNNING, at)]), board.counts, at)
    assert waiting_lines(board, at) == ["1 task for the next try, in 5 s"]


def test_the_board_says_what_a_try_has_met_and_reckons_no_end_where_nothing_runs():
    """It said `1 s left` of a task that a 429 holds for half a minute, and not why."""
    board = board_in_the_middle()
    at = NOW_US + 190 * SECOND
    assert "left" in board.lines(at, 100, 24)[1].plain
    refused = instance(DATES[20], "clean", TaskState.UP_FOR_RETRY, at)
    refused = refused._replace(retry_at=at + 2 * SECOND, reason="HTTPError: HTTP Error 429")
    board.note(Batch(instances=[refused]), board.counts._replace(running_tasks=0), at)
    assert waiting_lines(board, at) == ["2 tasks for the next try, the first in 2 s (HTTPError: HTTP Error 429)"]
    assert "left" in board.lines(at + SECOND, 100, 24)[1].plain, "between two tasks it goes on"
    assert "left" not in board.lines(at + 4 * SECOND, 100, 24)[1].plain


def test_the_board_counts_the_reasons_it_has_no_room_for():
    board = board_in_the_middle()
    board.waiting = {"pool a: needs 1, 0 of 2 free": 5, "pool b: needs 1, 0 of 1 free": 3, "pool c: held": 2, "d": 1}
    told = [one.plain.strip() for one in board.lines(NOW_US + 195 * SECOND, 100, 24) if "waiting" in one.plain]
    assert told == [
        "waiting  5 tasks for pool a: needs 1, 0 of 2 free",
        "waiting  3 tasks for pool b: needs 1, 0 of 1 free",
        "waiting  3 tasks for 2 other reasons: bfill status bf-20240401-7k2m",
    ]


FULL = "pool warehouse: needs 1, 0 of 2 free"


def log_of(monkeypatch, *steps):
    """Lines of a run: each step is a time in seconds and what the listener is told then."""
    log = io.StringIO()
    listener = LineListener(log)
    listener.on_start(start_of(DATES, NOW_US))
    for at, tell in steps:
        monkeypatch.setattr(clock, "now_us", lambda at=at: NOW_US + at * SECOND)
        tell(listener, NOW_US + at * SECOND)
    return [line.partition(" ")[2] for line in log.getvalue().splitlines()[1:]]


def test_a_log_says_what_keeps_every_task_from_running_and_leaves_a_pool_that_moves_alone(monkeypatch):
    """A pool that is full is what pools are for; one that stands still looks like a hang without a word."""

    def moves(listener, at):
        listener.on_batch(Batch(), ProgressCounts(31, 3, 0, 0, 4, 2), at)

    def stands(listener, at):
        listener.on_batch(Batch(), ProgressCounts(31, 3, 0, 0, 4, 0), at)

    def full(listener, at):
        listener.on_waiting({FULL: 4, NEXT_TRY: 9}, None)

    assert log_of(monkeypatch, (1, moves), (2, full), (30, full)) == []
    told = "waiting 4 tasks for pool warehouse: needs 1, 0 of 2 free"
    assert log_of(monkeypatch, (1, moves), (2, stands), (6, full), (7, full), (8, full), (300, full)) == [told]
    assert log_of(monkeypatch, (1, stands), (7, full), (608, full)) == [told, told], "and again after ten minutes"
    progress = "progress 3/31 failed 0 running 2 eta 187s waiting 4 tasks for pool warehouse: needs 1, 0 of 2 free"
    assert log_of(monkeypatch, (2, full), (20, moves)) == [progress]


def test_a_log_says_that_all_that_is_left_waits_for_its_next_try_and_why(monkeypatch):
    """A single task that was told to wait for half an hour was half an hour of silence."""

    def refused(listener, at):
        row = instance(DATES[20], "clean", TaskState.UP_FOR_RETRY, at)._replace(reason="HTTP Error 429")
        listener.on_batch(Batch(instances=[row]), ProgressCounts(31, 3, 0, 0, 1, 0), at)

    def waits(listener, at):
        listener.on_waiting({NEXT_TRY: 2}, NOW_US + 1_800 * SECOND)

    told = "waiting 2 tasks for the next try, the first in {} (HTTP Error 429)"
    assert log_of(monkeypatch, (1, refused), (3, waits)) == []
    said = log_of(monkeypatch, (1, refused), (7, waits), (8, waits), (9, refused), (15, waits), (610, waits))
    assert said == [told.format("29 min 53 s"), told.format("19 min 50 s")], "and again after ten minutes"


def test_a_log_tells_each_wait_of_a_run_that_is_refused_again_and_again(monkeypatch):
    """They double to a minute; told once in ten, nine of them were four and a half minutes of silence."""
    begins, looks = 0, []
    for length in (1, 2, 4, 8, 16, 32, 60, 60, 60):
        for second in range(begins, begins + length):
            reason = f"pool api, which said wait, in {begins + length - second:.1f} s (HTTP 429)"
            looks.append((second, lambda listener, _at, reason=reason: listener.on_waiting({reason: 2}, None)))
        begins += length
    said = log_of(monkeypatch, *looks)
    lengths = [re.search(r"in (\d+)\.0 s", one)[1] for one in said]
    assert lengths == ["1", "8", "16", "32", "60", "60", "60"], "a few seconds more are no news"


def test_a_log_tells_a_limit_of_rate_once_though_each_start_is_waited_for_anew(monkeypatch):
    def waits(listener, at):
        left_s = 5.9 - (at - NOW_US) / SECOND % 5.9
        listener.on_waiting({f"rate limit 10/min of pool api, in {left_s:.1f} s": 2}, None)

    assert len(log_of(monkeypatch, *((second, waits) for second in range(590)))) == 1


def test_a_paused_run_is_not_stalled(monkeypatch):
    def steer(action, paused):
        news = Steered(action, "ann", None, NOW_US, "so be it", paused, 4, 31)
        return lambda listener, at: listener.on_steered(news._replace(at=at))

    def full(listener, at):
        listener.on_waiting({FULL: 1}, None)

    pause, resume = steer(Control.PAUSE, True), steer(Control.RESUME, False)
    said = log_of(monkeypatch, (1, pause), (60, full), (61, resume), (62, full), (67, full))
    assert said == [
        "pause by ann: so be it",
        "resume by ann: so be it",
        "waiting 1 task for pool warehouse: needs 1, 0 of 2 free",
    ]


def test_each_line_of_a_log_has_its_time(monkeypatch):
    def stop(listener, _at):
        listener.on_stopping(None, 2, "--fail-fast: 1 date failed")

    assert log_of(monkeypatch, (5, stop)) == [
        "stopping because --fail-fast: 1 date failed; running 2: nothing new starts"
    ]


def test_a_try_is_never_one_of_fewer():
    """A date that runs again goes on counting: try 4, though each run of it has three."""
    failed = Batch(instances=[instance(DATES[0], "load", TaskState.FAILED, NOW_US, tries=4, reason="HTTP 503")])
    board, log = board_in_the_middle(), io.StringIO()
    board.note(failed, board.counts, NOW_US)
    assert "03-01 load, try 4 of 4: HTTP 503" in "".join(line.plain for line in board.lines(NOW_US, 120, 24))
    lines = LineListener(log)
    lines.on_start(start_of(DATES, NOW_US))
    lines.on_batch(failed, board.counts, NOW_US)
    assert "load try 4/4 HTTP 503" in log.getvalue()


def test_a_run_with_nothing_to_do_flashes_no_board():
    screen = io.StringIO()
    listener = LiveListener(screen, colour=False)
    listener.on_start(replace(start_of(DATES, NOW_US), total=0))
    listener.on_end()
    assert screen.getvalue() == ""


@pytest.mark.parametrize("width", [40, 60, 80, 120, 200])
@pytest.mark.parametrize("height", [6, 12, 24])
def test_the_board_never_outgrows_its_terminal(width, height):
    board = board_in_the_middle()
    for one in DATES:
        board.open.setdefault(one, {})
    lines = board.lines(NOW_US + 190 * SECOND, width, max(height, 8))
    assert len(lines) <= max(height, 8)
    assert all(line.cell_len <= width for line in lines)


def test_a_finished_date_leaves_the_board():
    board = Board(start_of(DATES, NOW_US))
    board.note(Batch(opened=[run_row(DATES[0], RunState.RUNNING)]), ProgressCounts(31, 0, 0, 0, 1, 0), NOW_US)
    assert list(board.open) == [DATES[0]]
    board.note(Batch(runs=[run_row(DATES[0], RunState.SUCCESS)]), ProgressCounts(31, 1, 0, 0, 0, 0), NOW_US)
    assert not board.open


def left_out(*dates: int, total: int) -> Steered:
    return Steered(Control.SKIP, "ana", None, NOW_US + 60 * SECOND, "they are left out", False, 4, total, dates)


def test_dates_that_are_left_out_leave_the_board_its_totals_and_its_time_left():
    board = board_in_the_middle()
    at = NOW_US + 190 * SECOND
    before = board.pace.left(at)
    board.steer(left_out(DATES[20], *DATES[26:], total=25))
    assert DATES[20] not in board.open
    assert DATES[19] in board.open
    assert "20 of 25" in board.lines(at, 80, 24)[1].plain
    assert board.pace.left(at)[1] < before[1]


def test_the_chunk_on_the_board_has_fewer_dates_without_those_left_out_of_it():
    board = Board(start_of(DATES, NOW_US))
    board.note_wave(begins())
    dates = begins().tally.dates
    board.steer(left_out(begins().tally.last, DATES[30], total=29))
    (shown,) = [one.plain for one in board.lines(NOW_US, 80, 24) if "chunk" in one.plain]
    assert shown.endswith(f"of {dates - 1}")


def test_the_lines_say_by_whom_and_reckon_with_what_is_left():
    out = io.StringIO()
    lines = LineListener(out)
    lines.on_start(start_of(DATES, NOW_US))
    lines.on_steered(left_out(DATES[30], total=30)._replace(reason="no data"))
    assert out.getvalue().splitlines()[1].endswith("skip by ana because no data: they are left out")


def test_a_board_over_a_hundred_thousand_dates_holds_only_the_open_ones():
    """32 tasks, thousands of dates a second: what is kept follows --parallel, and noting stays cheap."""
    board = Board(start_of(DATES, NOW_US))
    tasks = [f"t{number}" for number in range(32)]
    began = time.process_time()
    number = 2_000
    for date in range(number):
        batch = Batch(opened=[run_row(date, RunState.RUNNING)])
        batch.instances += [instance(date, task, TaskState.SUCCESS, NOW_US) for task in tasks]
        batch.runs.append(run_row(date, RunState.SUCCESS))
        board.note(batch, ProgressCounts(number, date, 0, 0, 1, 0), NOW_US + date * 100)
    assert not board.open
    assert (time.process_time() - began) / (number * 32) < 50e-6, "seconds a task instance, rows made here included"


def test_the_live_board_draws_on_a_timer_and_not_per_event():
    file = io.StringIO()
    listener = LiveListener(file, colour=False)
    play(listener, DATES * 40)
    redraws = file.getvalue().count("resume: ") + file.getvalue().count("daily_sales")
    assert redraws < 60, "1,240 dates, thousands of batches"
    assert file.getvalue().rindex("\x1b[?25h") > file.getvalue().rindex("\x1b[?25l"), "the cursor is back"


def test_a_terminal_that_goes_away_does_not_stop_the_run(recwarn):
    class Gone(io.StringIO):
        def write(self, text: str) -> int:
            raise BrokenPipeError(32, "Broken pipe")

    for listener in (LiveListener(Gone(), colour=True), LineListener(Gone())):
        play(listener, DATES[:8], pause=lambda: time.sleep(0.02))
        listener.on_stopping(2, 3, "stopped by signal 2")


def test_lines_are_one_fact_each_with_a_stamp_and_no_control_byte(monkeypatch):
    monkeypatch.setattr(clock, "now_us", lambda: NOW_US)
    file = io.StringIO()
    listener = LineListener(file)
    ticks = iter(range(NOW_US, NOW_US + 10_000 * SECOND, SECOND))
    play(listener, DATES, fails=frozenset(DATES[10:12]), now=lambda: next(ticks))
    listener.finished(run_failed(), NOW_US + 552 * SECOND)
    text = file.getvalue()
    lines = text.splitlines()
    assert all(re.match(r"2024-04-01T1\d:\d\d:\d\dZ (backfill|progress|failed|finished) ", line) for line in lines)
    assert not re.search(r"[\x00-\x09\x0b-\x1f\x7f]", text)
    assert lines[0] == "2024-04-01T10:02:11Z backfill bf-20240401-7k2m daily_sales 31 dates parallel 4"
    assert [line.split(" ", 1)[1] for line in lines if " failed 2024" in line] == [
        "failed 2024-03-11 load try 3/3 HTTP 503 from warehouse",
        "failed 2024-03-12 load try 3/3 HTTP 503 from warehouse",
    ]
    assert lines[-1].endswith("finished failed ok 26 failed 2 blocked 0 skipped 0 total 28 seconds 552")


def test_progress_lines_come_at_most_every_ten_seconds_or_tenth():
    file = io.StringIO()
    listener = LineListener(file)
    number = 10_000
    listener.on_start(start_of(DATES, NOW_US))
    for done in range(number):
        listener.on_batch(Batch(), ProgressCounts(number, done, 0, 0, 1, 1), NOW_US + done * SECOND // 100)
    progress = [line for line in file.getvalue().splitlines() if " progress " in line]
    assert 8 <= len(progress) <= 20


def test_a_thousand_failures_at_one_moment_are_a_few_lines_and_a_number():
    file = io.StringIO()
    listener = LineListener(file)
    listener.on_start(start_of(DATES, NOW_US))
    rows = [instance(one, "load", TaskState.FAILED, NOW_US) for one in range(1000)]
    listener.on_batch(Batch(instances=rows), ProgressCounts(1000, 0, 1000, 0, 0, 0), NOW_US)
    lines = file.getvalue().splitlines()
    assert len(lines) == 22
    assert lines[-1].endswith("failed 980 more at the same moment")


def test_the_time_left_is_a_range_between_the_recent_and_the_whole_pace():
    pace = Pace()
    pace.start(0, 100)
    assert pace.left(0) is None
    for done in range(1, 11):
        pace.note(done * 10 * SECOND, done)  # ten seconds a date
    for done in range(11, 41):
        pace.note(100 * SECOND + (done - 10) * 3 * SECOND, done)  # then three
    now = 190 * SECOND
    low, high = pace.left(now) or (0, 0)
    assert low == pytest.approx(60 * 3, rel=0.2)
    assert high == pytest.approx(60 * 190 / 40, rel=0.01)
    assert pace.per_minute(now) == pytest.approx(20, rel=0.2)


def test_too_little_done_makes_no_estimate():
    pace = Pace()
    pace.start(0, 100)
    pace.note(SECOND, 2)
    assert pace.left(SECOND) is None
    assert pace.per_minute(SECOND) is None


def test_every_task_symbol_shows_when_names_do_not_fit():
    tasks = tuple(f"a_rather_long_task_name_{number}" for number in range(20))
    board = Board(start_of(DATES, NOW_US, tasks=tasks))
    batch = Batch(opened=[run_row(DATES[0], RunState.RUNNING)])
    batch.instances += [instance(DATES[0], task, TaskState.SUCCESS, NOW_US) for task in tasks[:5]]
    batch.instances.append(instance(DATES[0], tasks[5], TaskState.RUNNING, NOW_US))
    board.note(batch, ProgressCounts(31, 0, 0, 0, 1, 1), NOW_US)
    row = board.lines(NOW_US, 80, 24)[2].plain
    assert "✓✓✓✓✓▶··············" in row
    assert tasks[5] in row
