"""`python docs/map.py`: write docs/map.md, the map of the code: every module under the question it answers.

What is said of a module is the first line of its docstring; which question it belongs to is said here, once, and a test
sees to it that no module is left out or named twice.
"""

from __future__ import annotations

import ast
from pathlib import Path

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "backfill_cli"
PAGE = ROOT / "docs" / "map.md"

HEAD = """\
# Where is what

A layer imports from those below it; neighbours on one line do not know each other, and CI checks it. Everything that
decides is in `core/`: values in, values out. The path of one command through the layers is in the
[README](../README.md#life-of-a-run).

| layer | owns |
|---|---|
| `cli/` | words, flags, exit codes |
| `app/` · `render/` | one use case a command · results as text |
| `engine/` · `store/` · `loader/` | running tries · keeping state · reading users' files |
| `core/` | every rule, without files, clocks, threads or SQL |

Each line below is the first of the module's docstring (`python docs/map.py` writes this page).
"""

QUESTIONS = """\
.
  Around the layers:
    __main__ clock errors interrupts
core
  When: schedules, zones, intervals:
    schedules ticks cron crontable deltas custom zones when intervals instants durations
  Which dates: ranges, plans, catchup:
    ranges range_notes notes planning following clearing merging catchup agenda leaving
  What runs: the graph and its work:
    graph work states rules retries signals invocations xcoms successes
  The machine: what happens next:
    machine steps progress slots pools tries timers restoring settling predecessors changes batch_tries recovery
    halting wording
  How gently: rates, breakers, holds, shared slots:
    throttle holds rates refusals deferrals breakers circuits agreements hours adaptive leases pool_rules waiting
    waits
  In which shape: chunks, pilots, ramps:
    shapes waves wave_tallies pilots outlines
  Steered from elsewhere:
    controls steering
  Templates, and values as data:
    macros context views templates compiling codegen holes trust sandbox growth linting quoting shellwords shellscan
    shellrules sqlbind
  What may be shown:
    masking disguises harmless links
  The record, and its proof:
    auditing audits heads digests histories testimony reporting report_facts reports
  Questions, and results:
    options results standing repairs signatures explaining explanations listings pooling scheduling
    settings_news scenarios upkeep problems
  Ports to the world:
    ports records listening
app
  From a request to a run:
    service context targets plan warnings shaping manner jobs stored claiming overlaps conflicts history
  While it runs:
    run bench worker feed waves wave_walk merged_feed merged_plan batches adapting halts pacing sharing desk abreast
  At its end:
    closing outcomes wave_results reexecuting
  When a process has died:
    recovering orphans
  The schedule that keeps running:
    scheduler dues shifts resident crew looking_after warming ledger_watch settings_watch troubles tallies pausing
  Dates run again, cleared, left out:
    rerun_failed reset reset_notes leaving skipping
  Steering:
    steering at_rest
  Looking:
    status status_page status_range status_waits range_tally explain explain_range past pools pool_holds logs dags
    scenarios completing lookup naming commands
  The record, the store:
    trail actor ids attesting proving audit audit_report secrets store_backup store_check store_prune old_logs
engine
  The loop:
    coordinator invoking messages polling ending stopping pacing agreeing health
  Tries:
    attempt runners shell sql logs strays callbacks cancelling
  Where they run:
    backends threads processes
  What a kill leaves:
    lineage orphans procfs
  Telling others:
    outbox outpost delivering couriers
store
  Opening:
    opening places engines connections patience migrations schema models columns
  Reading and writing:
    sql reading reading_backfills writing writing_backfills rows documents keys counting controls agreements memory
    peeking
  Who is alive:
    locks presence
  Looking after it:
    checking agreeing copying pruning companions problems proving heads
loader
  Finding:
    resolve folders scanning files scenarios changes adhoc
  Loading safely:
    imports rehearsal rehearsed endings process_state places
  Authoring:
    authoring base operators options taskflow wiring scopes signatures
  Compiling:
    compiling bounds names sources sqltext versions
  Settings:
    settings settings_source settings_changes pool_settings event_targets
render
  Screens:
    screens plan run status explain audit logs reset pools dags scenario scheduler steering store errors waves grids
    task_tables
  While it runs:
    live board pace watch lines scheduler_lines
  For machines:
    as_json events scheduler_events junit github
  The compliance report:
    audit_report audit_report_md audit_report_html audit_report_json audit_report_csv
  Words, colours, safety:
    theme text parts words dates safe
cli
  From argv to a command:
    main catalog groups help bundles options mistakes output streams service
  Flags:
    shared selecting running pacing shaping values words conf datelist
  Commands:
    plan run rerun_failed reset status explain audit logs steering pools dags scheduler scenario store completion
    complete
  Who watches, what is written:
    listening watching reports report_files telling keeping_told destination outfile asking
"""
"""Layers, the questions that each answers, and the modules that answer them."""


def groups() -> dict[str, dict[str, list[str]]]:
    """Return `QUESTIONS` as layer → question → modules."""
    found: dict[str, dict[str, list[str]]] = {}
    layer = question = ""
    for line in QUESTIONS.splitlines():
        depth = len(line) - len(line.lstrip())
        if depth == 0:
            layer = line
            found[layer] = {}
        elif depth == 2:
            question = line.strip().removesuffix(":")
            found[layer][question] = []
        else:
            found[layer][question] += line.split()
    return found


def first_line(module: Path) -> str:
    """Return the first line of a module's docstring."""
    text = ast.get_docstring(ast.parse(module.read_text("utf-8")))
    assert text, f"{module} says nothing"
    return text.split("\n\n")[0].replace("\n", " ")


def folder_of(layer: str) -> Path:
    return PACKAGE if layer == "." else PACKAGE / layer


def page() -> str:
    """Return the map as it should stand."""
    parts = [HEAD]
    for layer, questions in reversed(groups().items()):
        parts.append(f"\n## {'backfill_cli' if layer == '.' else f'{layer}/'}\n")
        for question, names in questions.items():
            parts.append(f"\n**{question}**\n\n")
            for name in names:
                module = folder_of(layer) / f"{name}.py"
                parts.append(f"- [`{name}`](../{module.relative_to(ROOT)}): {first_line(module)}\n")
    return "".join(parts)


if __name__ == "__main__":
    PAGE.write_text(page(), "utf-8")
