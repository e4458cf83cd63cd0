"""Promise 16: text from users, tasks and data cannot drive a terminal, break a log line, a CSV or an HTML report."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest
from blackbox.world import Project

from promises import hostile_text as text
from promises.harness import Trial, Trials, caught
from promises.terminals import on_terminal

NewProject = Callable[[], Project]
See = Callable[..., None]

STRINGS = 34
"""Hostile texts in a project."""

DAY = ("--start", "2024-01-01", "--end", "2024-01-01")

DAG = """
import json, logging, subprocess
TEXTS = json.loads((Path(__file__).parent.parent / "texts.json").read_text())

def say(text):
    print(text)
    logging.getLogger(text.replace(".", "") or "x").warning("%s", text)

def fail(text):
    say(text)
    own = type("E" + "".join(filter(str.isalnum, text)), (Exception,), {})
    raise [RuntimeError, FailTask, OSError, own][len(text) % 4](text)

def skip(text):
    raise SkipTask(text)

with DAG("texts", schedule="@daily", start_date=datetime(2024, 1, 1),
         description=TEXTS[0], params={TEXTS[1]: TEXTS[2]}):
    for n, text in enumerate(TEXTS):
        f = [fail, fail, skip, say][n % 4]
        PythonOperator(task_id=f"task_{n}", python_callable=lambda text=text, f=f: f(text))
    BashOperator(task_id="shell", bash_command='printf %s "$TEXT" >&2; exit 1',
                 env={"TEXT": TEXTS[4].replace(chr(0), "").replace("{", "(")})  # no template: that may be refused
"""


def _unicode(text: str) -> str:
    """What is no Unicode is refused as a conf, before it can drive anything."""
    return text.encode("utf-8", "ignore").decode()


def say_it_everywhere(project: Project, trial: Trial, see: See) -> None:
    """Let texts come from every place that somebody else may fill, and look at every output."""
    random = trial.random
    texts = [text.hostile(random) for _ in range(STRINGS)]
    project.write("texts.json", json.dumps(texts))
    project.write("dags/texts.py", DAG)
    folder = "dags/" + _word(texts[5]).replace("/", "")[:40]
    project.write(f"{folder}/other.py", 'with DAG("other", schedule="@daily"):\n    EmptyOperator(task_id="a")\n')
    project.env.update(
        SUDO_USER=_word(texts[6]), GITHUB_ACTIONS="true", GITHUB_ACTOR=_word(texts[7]), GITHUB_RUN_ID=_word(texts[8]),
        GITHUB_STEP_SUMMARY=str(project.folder / "summary.md"), BFILL_VAR_V=_word(texts[9]),
    )  # fmt: skip
    conf = ("--conf", json.dumps({_unicode(texts[10]): _unicode(texts[11])}))
    said = (f"--reason={_word(texts[12])}",)
    reports = ("--events", "e.ndjson", "--junit", "j.xml")
    ran = project.bfill("run", "--dag", "texts", *DAY, *conf, *said, *reports).exits(1)
    # The progress of a run is lines of bfill's; the annotations among them are for GitHub to act upon.
    text.check_annotations(ran.err)
    lines = "".join(f"{line}\n" for line in ran.err.split("\n") if not line.startswith("::"))
    text.check_lines(lines.rstrip("\n"))
    text.check_screen(lines)
    text.check_screen(ran.out)
    text.check_events((project.folder / "e.ndjson").read_text())
    text.check_junit((project.folder / "j.xml").read_text(), 1)
    text.check_markdown((project.folder / "summary.md").read_text())
    _reports(project)
    for words in (
        ("status", "--dag", "texts", *DAY),
        ("audit",),
        ("plan", "--dag", "texts", *DAY, *conf, "--reprocess", "failed", "--dry-run"),
        ("dags", "show", "texts"),
        ("dags", "list"),
    ):
        asked = project.bfill(*words)
        text.check_screen(asked.out + asked.err)
        text.check_json(project.bfill(*words, "--json").out)
    logs = project.bfill("logs", "--dag", "texts", "2024-01-01")
    text.check_screen(logs.out, keep="\n\t")
    text.check_json(project.bfill("logs", "--dag", "texts", "2024-01-01", "--json").out)
    for kind in ("dags", "backfills", "tasks"):
        text.check_candidates(project.bfill("__complete", kind, "", "logs", "--dag", "texts").out)
    _mistakes(project, [_word(random.choice(texts))])
    see("strings", len(texts))


def _reports(project: Project) -> None:
    for kind, check in (("csv", text.check_csv), ("html", text.check_html), ("md", text.check_markdown)):
        project.bfill("audit", "report", "--out", f"r.{kind}").exits(0)
        with (project.folder / f"r.{kind}").open(encoding="utf-8", newline="") as file:
            check(file.read())


def _mistakes(project: Project, words: list[str]) -> None:
    """What was typed stands in the error: two lines, whatever it was."""
    for word in words:
        for flags in (
            (word,),
            ("status", word),
            ("plan", f"--dag={word}", *DAY),
            ("plan", "--dag", "texts", f"--start={word}"),
            ("plan", "--dag", "texts", f"--{word}"),
            ("plan", "--dag", "texts", *DAY, f"--store={word}x/../../nowhere/x.db"),
            ("run", "--command", "true", f"--schedule={word}", *DAY),
            ("audit", "report", f"--out={word}/x.md"),
        ):
            ran = project.bfill(*flags, env={"GITHUB_ACTIONS": ""})
            text.check_screen(ran.out + ran.err)
            assert "Traceback" not in ran.err, ran
            assert ran.code in (0, 2, 3, 4), ran


def _word(one: str) -> str:
    """Return a text as an argument or a variable can hold it."""
    return "".join(char for char in one if char != "\0" and not 0xD800 <= ord(char) <= 0xDFFF)[:200]


@pytest.mark.promise(16, short=3, long=35)
def test_no_text_drives_what_shows_it(trials: Trials, new_project: NewProject) -> None:
    """102 strings (1,190 in the long version), each through a dozen places and twenty outputs."""
    for trial in trials:
        say_it_everywhere(new_project(), trial, trials.see)
    assert trials.seen["strings"] == STRINGS * trials.count


NOISE = """
import subprocess, threading
def noise():
    for text in {attacks!r}:
        print(text)
        threading.Thread(target=print, args=(text,)).start()
        os.write(1, text.encode(errors="replace"))
    subprocess.run(["printf", "%b", "\\\\033[2J\\\\033]0;owned\\\\007\\\\r\\\\233x"])
    raise RuntimeError("\\x1b]0;owned\\x07\\x1b[2J")

with DAG("noise", schedule="@daily", start_date=datetime(2024, 1, 1)):
    PythonOperator(task_id="noise", python_callable=noise)
"""


def test_what_tasks_write_past_their_logs_does_not_drive_the_terminal(project: Project) -> None:
    """On a terminal, with the live board: children of a task, its threads and code in C share descriptor 2 with it."""
    attacks = [one for one in text.ATTACKS if "\0" not in one and one.isascii()]
    project.write("dags/noise.py", NOISE.format(attacks=attacks))
    ended = on_terminal(project, "run", "--dag", "noise", *DAY)
    assert ended.code == 1, ended
    # What is left without the colours and cursor movements of bfill's own screens.
    left = text.without_own_sequences(ended.shown)
    assert not text.driving(left, keep="\n\r\t"), [
        left[max(0, left.find(one) - 40) :][:80] for one in text.driving(left, keep="\n\r\t")
    ][:3]
    assert "\\x1b]0;owned\\x07" in left


@pytest.mark.long
@pytest.mark.promise(16)
@pytest.mark.parametrize(
    "mutant", ["c1-shown", "formulas-unguarded", "html-unescaped", "ci-commands-shown"], indirect=True
)
def test_the_harness_catches_an_escape_taken_out(new_mutant: NewProject) -> None:
    def case(trial: Trial) -> None:
        say_it_everywhere(new_mutant(), trial, lambda *_: None)

    caught(case)
