"""Three dates at once, a conf, and every date macro in one template

Question: My script takes its dates and a parameter from a template. How do I run it for nine days, three at a time, and
be sure that each day got its own values?

What goes wrong: A backfill without a limit opens every date at once and the source system goes down. A misspelt macro
renders as nothing, and the script loads "everything" in place of one day. `ds` is taken for the local date.

What bfill does: --parallel caps the dates that are open together. A name that no macro has stays as it was written and
`plan` warns, with the nearest name. Values of --conf reach a shell command as data, whatever characters are in them.

What to look at: the timeline of the dates; the rendered file of one date against values computed from the standard
library alone; the 31st of March, which has 23 hours in Paris.

When not to do it: --parallel does not help where each date needs the one before (depends_on_past), and the right number
is the source system's, not the machine's.
"""

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

from _shared.demo import Demo, play, scenario
from _shared.evidence import by_date, most_at_once

from backfill_cli import DAG, BashOperator

TAGS = ["reference", "control", "beginner", "success"]

MACROS = """
    ds ds_nodash ts ts_nodash ts_nodash_with_tz local_ds local_ds_nodash local_ts logical_date execution_date
    data_interval_start data_interval_end prev_ds next_ds prev_ds_nodash next_ds_nodash prev_execution_date
    next_execution_date yesterday_ds yesterday_ds_nodash tomorrow_ds tomorrow_ds_nodash
    prev_data_interval_start_success prev_data_interval_end_success prev_start_date_success
""".split()  # noqa: SIM905  (as lines it reads better)
MORE = {
    "week_later": "macros.ds_add(ds, 7)",
    "french": "macros.ds_format(ds, '%Y-%m-%d', '%d/%m/%Y')",
    "filter": "data_interval_end | ts_nodash",
    "region": "dag_run.conf.region",
    "typo": "tomorow_ds",  # no macro has this name
}
LINES = [f"{name}={{{{ {name} }}}}" for name in MACROS] + [f"{name}={{{{ {text} }}}}" for name, text in MORE.items()]
SCRIPT = "\n".join(["cat > rendered/{{ local_ds }}.txt <<END", *LINES, "END", "sleep 0.4"])
HERE = "."  # where bfill is started; by default a shell task runs in the folder of its DAG file

PARIS = ZoneInfo("Europe/Paris")
DAYS = [date(2024, 3, 28) + timedelta(days=number) for number in range(9)]
RANGE = "--dag 17.3.2 --start 2024-03-28 --end 2024-04-05 --parallel 3"

with DAG("scenario_17_03_02", schedule="@daily", start_date=datetime(2024, 1, 1), timezone="Europe/Paris") as dag:
    folder = BashOperator(task_id="folder", bash_command="mkdir -p rendered", cwd=HERE)
    folder >> BashOperator(task_id="render", bash_command=SCRIPT, cwd=HERE)


def midnight(day: date) -> datetime:
    """The day's first moment in Paris, as UTC."""
    return datetime(day.year, day.month, day.day, tzinfo=PARIS).astimezone(UTC)


def expected(day: date) -> dict[str, str]:
    """What the template must say on a day, computed without bfill. The three prev_…_success depend on what has run."""
    tick, local = midnight(day), midnight(day).astimezone(PARIS)
    before, after = midnight(day - timedelta(days=1)), midnight(day + timedelta(days=1))
    one = timedelta(days=1)
    return {
        "ds": f"{tick:%Y-%m-%d}",
        "ds_nodash": f"{tick:%Y%m%d}",
        "ts": tick.isoformat(),
        "ts_nodash": f"{tick:%Y%m%dT%H%M%S}",
        "ts_nodash_with_tz": f"{tick:%Y%m%dT%H%M%S}+0000",
        "local_ds": f"{local:%Y-%m-%d}",
        "local_ds_nodash": f"{local:%Y%m%d}",
        "local_ts": local.isoformat(),
        "logical_date": str(tick),
        "execution_date": tick.isoformat(),
        "data_interval_start": str(tick),
        "data_interval_end": str(after),
        "prev_ds": f"{before:%Y-%m-%d}",
        "next_ds": f"{after:%Y-%m-%d}",
        "prev_ds_nodash": f"{before:%Y%m%d}",
        "next_ds_nodash": f"{after:%Y%m%d}",
        "prev_execution_date": str(before),
        "next_execution_date": str(after),
        "yesterday_ds": f"{tick - one:%Y-%m-%d}",
        "yesterday_ds_nodash": f"{tick - one:%Y%m%d}",
        "tomorrow_ds": f"{tick + one:%Y-%m-%d}",
        "tomorrow_ds_nodash": f"{tick + one:%Y%m%d}",
        "week_later": f"{tick + 7 * one:%Y-%m-%d}",
        "french": f"{tick:%d/%m/%Y}",
        "filter": f"{after:%Y%m%dT%H%M%S}",
    }


@scenario
def main(demo: Demo) -> None:
    """Play it: warnings first, then three at once, then each value against one computed elsewhere."""
    demo.step(
        "Look first", "The template has 25 macros, a conf key nobody has given yet, and a macro that is misspelt."
    )
    demo.bfill(f"plan {RANGE} --dry-run")
    warned = {one["code"]: one for one in demo.ask(f"plan {RANGE} --dry-run")["warnings"]}
    typo = warned.get("unknown-macro", {"message": "no warning", "hint": ""})
    demo.check("the misspelt macro is warned about", "tomorow_ds" in typo["message"], typo["message"])
    demo.check("with the name that was meant", "tomorrow_ds" in typo["hint"], typo["hint"])
    demo.check("and so is the missing conf key", "missing-conf" in warned, list(warned))

    demo.step("Run it, three at a time", "The region is a nasty text on purpose: in a shell it would end a command.")
    region = "eu'; touch hacked; '"
    demo.bfill(f'run {RANGE} --conf "region={region}"')
    spans = by_date(demo.attempts(zone="Europe/Paris"))
    demo.timeline(spans)
    demo.check_equal("every date has run", len(spans), len(DAYS))
    demo.check_equal("never more than three dates were open, and three were", most_at_once(spans), 3)
    busy = sum(one.end - one.start for one in spans.values())
    wall = max(one.end for one in spans.values()) - min(one.start for one in spans.values())
    demo.check(
        "three at once take less than half the time of one by one", wall < busy / 2, f"{wall:.1f} s for {busy:.1f} s"
    )

    demo.step("Each date got its own values")
    files = {day: (demo.folder / "rendered" / f"{day}.txt").read_text("utf-8").splitlines() for day in DAYS}
    found = {day: dict(line.split("=", 1) for line in lines) for day, lines in files.items()}
    shown = date(2024, 3, 31)
    demo.table([f"{shown}", "rendered"], list(found[shown].items()))
    from backfill_cli.core.macros import DATE_MACROS

    left_out = sorted(set(DATE_MACROS) - set(MACROS) - {"macros"})
    demo.check("no date macro of bfill is left out", not left_out, left_out or f"{len(MACROS)} macros")
    wrong = [
        f"{day} {name}={found[day][name]}, expected {value}"
        for day in DAYS
        for name, value in expected(day).items()
        if found[day][name] != value
    ]
    number = len(DAYS) * len(expected(shown))
    demo.check(
        "all values are those computed without bfill", not wrong, wrong or f"{number} values of {len(DAYS)} dates"
    )
    hours = midnight(shown + timedelta(days=1)) - midnight(shown)
    demo.check_equal("the day the clocks change has 23 hours", hours, timedelta(hours=23))
    demo.check_equal("ds is the UTC date: on the 31st it is the 30th", found[shown]["ds"], "2024-03-30")
    success = [found[day]["prev_data_interval_start_success"] for day in DAYS]
    demo.check_equal("the first date has no successful one before it", success[0], "None")
    earlier = [value in {"None", *(str(midnight(day)) for day in DAYS[:at])} for at, value in enumerate(success)]
    demo.check("prev_…_success is an earlier date of this range, or None", all(earlier), success)

    demo.step("What no macro is, and what a conf is")
    demo.check_equal(
        "the misspelt macro stays as written", {one["typo"] for one in found.values()}, {"{{ tomorow_ds }}"}
    )
    demo.check_equal("the conf value arrives as text", {one["region"] for one in found.values()}, {region})
    demo.check("and was never run as a command", not (demo.folder / "hacked").exists(), "no file 'hacked'")

    demo.step(
        "Best practice",
        "Where a script must not run with a hole in it, say so: a misspelt name is then exit 3, before anything runs.",
    )
    before = len(demo.attempts())
    strict = demo.bfill("run --dag 17.3.2 --start 2024-04-06 --conf region=eu --strict-templates", expect=3)
    demo.check("--strict-templates refuses the template", "tomorow_ds" in strict.err, strict.err.splitlines()[0])
    demo.check_equal("and nothing has run", len(demo.attempts()), before)


if __name__ == "__main__":
    play(main)
