"""Every way to mistype a command line: exit code, two lines, a near name; the same as a JSON envelope; no traceback."""

from __future__ import annotations

import pytest

# (command line, exit code, code in JSON, a part of the error, a part of the hint)
MATRIX = [
    (["pln"], 2, "unknown-command", "'bfill pln' is no command", "did you mean 'plan'"),
    (["xyzzy"], 2, "unknown-command", "'bfill xyzzy' is no command", "bfill --help"),
    (["dags", "shw"], 2, "unknown-command", "'bfill dags shw' is no command", "did you mean 'show'?"),
    (["plan", "--strat", "2024-01-01"], 2, "unknown-option", "no option --strat", "did you mean --start?"),
    (["plan", "--zzzzzz"], 2, "unknown-option", "no option --zzzzzz", "bfill plan --help"),
    (["-z"], 2, "unknown-option", "no option -z", "bfill --help"),
    (["-q", "plan"], 2, "option-before-command", "-q does not go before the command", "bfill plan -q"),
    (["-v"], 2, "option-before-command", "-v does not go before the command", "bfill status -v"),
    (["dags", "-v"], 2, "option-before-command", "bfill dags needs a command", "bfill dags list -v"),
    (["pools", "-y"], 2, "option-before-command", "bfill pools needs a command", "bfill pools list -y"),
    (["store", "-q"], 2, "option-before-command", "bfill store needs a command", "bfill store check -q"),
    (["scenario", "--store"], 2, "option-before-command", "bfill scenario needs a command", "scenario list --store"),
    (["store", "-q", "prune"], 2, "option-before-command", "-q does not go before", "store prune -q"),
    (["plan", "--start"], 2, "option-value", "--start needs a value", "bfill plan --help"),
    (["plan", "--dry-run=3"], 2, "option-value", "--dry-run takes no value", "bfill plan --help"),
    (["plan", "--parallel", "x"], 2, "bad-value", "--parallel 'x' is not a whole number", "bfill plan --help"),
    (["plan", "--dag", "d", "--parallel", "0"], 2, "bad-value", "--parallel 0 is less than 1", "1 or more"),
    (["run", "--dag", "d", "--parallel=-4"], 2, "bad-value", "--parallel -4 is less than 1", "1 or more"),
    (["run", "--dag", "d", "--workers", "0"], 2, "bad-value", "--workers 0 is less than 1", "1 or more"),
    (["plan", "--dag", "d", "--limit", "0"], 2, "bad-value", "--limit 0 is less than 1", "1 or more"),
    (
        ["run", "--dag", "d", "--parallel", "9" * 18],
        2,
        "bad-value",
        f"--parallel {'9' * 18} is too large",
        "2147483647",
    ),
    (["plan", "--dag", "d", "--limit", "2147483648"], 2, "bad-value", "--limit 2147483648 is too large", "or less"),
    (["plan", "--dag", "d", "--pilot", "9" * 18], 2, "bad-value", "is too large", "2147483647"),
    (["status", "--limit", "0"], 2, "bad-value", "--limit 0 is less than 1", "1 or more"),
    (["plan", "d"], 2, "extra-argument", "does not take 'd'", "bfill plan --help"),
    (["run", "a", "b"], 2, "extra-argument", "does not take 'b'", "bfill run --help"),
    (["dags", "show"], 2, "missing-argument", "needs DAG", "bfill dags show --help"),
    (["run", "bf-1", "--dag", "d"], 2, "id-and-selection", "--dag does not go with the id bf-1", "leave out"),
    (["run", "bf-1", "--last", "3d"], 2, "id-and-selection", "--last does not go", "leave out --last"),
    (["rerun-failed", "bf-1", "--dates-from", "x"], 2, "id-and-selection", "--dates-from does not", "leave out"),
    (["reset", "bf-1", "--limit", "3"], 2, "id-and-selection", "--limit does not go", "leave out"),
    (["status", "bf-1", "--include-incomplete"], 2, "id-and-selection", "--include-incomplete", "leave out"),
    (["run", "--dag", "a", "--command", "b"], 2, "dag-and-command", "exclude each other", "one of them"),
    (["run", "--dag", "a", "--schedule", "@daily"], 2, "needs-command", "--schedule belongs to --command", "--command"),
    (["run", "--dag", "a", "--name", "x"], 2, "needs-command", "--name belongs to --command", "--command"),
    (["run", "--dag", "a", "--timezone", "UTC"], 2, "needs-command", "--timezone belongs", "--command"),
    (["plan", "--dag", "a", "--start", "2024-13-01"], 2, "bad-date", "--start: '2024-13-01'", "2024-01-31"),
    (["plan", "--dag", "a", "--end", "yesterday"], 2, "bad-date", "--end: 'yesterday'", "2024-01-31"),
    (["plan", "--dag", "a", "--dates", "2024-01-01,nope"], 2, "bad-date", "--dates: 'nope'", "2024-01-31"),
    (["plan", "--dag", "a", "--dates", " , "], 2, "no-dates", "--dates names no date", "--dates 2024"),
    (["plan", "--dag", "a", "--dates", "2024-01-01", "--dates-from", "f"], 2, "two-date-lists", "exclude", "one"),
    (["plan", "--dag", "a", "--dates-from", "/no/such"], 3, "unreadable", "cannot read --dates-from", "text file"),
    (["plan", "--dag", "a", "--reprocess", "faild"], 2, "bad-value", "--reprocess 'faild'", "'failed'"),
    (["plan", "--dag", "a", "--reprocess", "failed,,stale"], 2, "bad-value", "--reprocess ''", "known:"),
    (["status", "--where", "sucess"], 2, "bad-value", "--where 'sucess' is no state", "'success'"),
    (["status", "--after", "soon"], 2, "bad-date", "'soon' is not a date", "2024-01-31"),
    (["reset", "--dag", "a", "--downstream"], 2, "needs-task", "--downstream needs --task", "--task"),
    (["explain"], 2, "missing-argument", "needs [ID] DATE", "bfill explain --help"),
    (["explain", "bf-1"], 2, "bad-usage", "a DAG or an id, and a date", "bfill explain --dag DAG DATE"),
    (["explain", "bf-1", "2024-01-01", "a"], 2, "bad-usage", "'a' is one word too many", "bfill explain ID DATE"),
    (["logs"], 2, "missing-argument", "needs [ID] DATE [TASK]", "bfill logs --help"),
    (["logs", "bf-1"], 2, "bad-usage", "logs needs a date", "bfill logs ID DATE [TASK]"),
    (["logs", "bf-1", "2024-01-01", "a", "b"], 2, "bad-usage", "'b' is one word too many", "bfill logs ID DATE"),
    (["logs", "bf-1", "2024-01-01", "a", "--try", "0"], 2, "bad-value", "--try 0 is less than 1", "1 or more"),
    (["audit", "--actor", "ana", "verify"], 2, "bad-usage", "--actor does not go before verify", "audit verify"),
    (["audit", "--since", "x"], 2, "bad-date", "'x' is not a date", "2024-01-31"),
    (["plan", "--dag", "a", "--conf", "{"], 3, "bad-conf", "at line 1 column 2", "--conf '{"),
    (["plan", "--dag", "a", "--conf", '{"a": 1,}'], 3, "bad-conf", "--conf is not JSON", "region"),
    (["plan", "--dag", "a", "--conf", "[1]"], 3, "bad-conf", "must be a JSON object, and is an array", "region"),
    (["plan", "--dag", "a", "--conf", "null"], 3, "bad-conf", "and is null", "region"),
    (["plan", "--dag", "a", "--conf", "true"], 3, "bad-conf", "and is true or false", "region"),
    (["plan", "--dag", "a", "--conf", "region"], 3, "bad-conf", "--conf is not JSON", "region"),
    (["plan", "--dag", "a", "--conf", '{"a": NaN}'], 3, "bad-conf", "NaN is no JSON number", "region"),
    (["plan", "--dag", "a", "--conf", '{"a": 1, "a": 2}'], 3, "bad-conf", "'a' stands twice", "region"),
    (["plan", "--dag", "a", "--conf", "@/no/such"], 3, "bad-conf", "cannot read --conf @/no/such", "region"),
    (["plan", "--dag", "a", "--conf", "k=\udcff"], 3, "bad-conf", "no UTF-8 text", "region"),
    (["plan", "--dag", "a", "--conf", '{"a": "\\ud800"}'], 3, "bad-conf", "no UTF-8 text", "region"),
    (["plan", "--dag", "a", "--conf", "[" * 100_000], 3, "bad-conf", "nested too deeply", "region"),
]
NAMES = [" ".join(words)[:60] for words, *_ in MATRIX]


@pytest.mark.parametrize(("words", "code", "slug", "error", "hint"), MATRIX, ids=NAMES)
def test_a_mistake_is_told_in_two_lines_on_stderr(bfill, service, words, code, slug, error, hint):
    ran = bfill(*words)
    assert ran.code == code
    assert ran.out == ""
    first, second = ran.err.splitlines()
    assert first.startswith("error: ")
    assert error in first
    assert second.startswith("hint: ")
    assert hint in second
    assert not [name for name, _, _ in service.calls if name != "init"], "a mistake reaches no use case"


@pytest.mark.parametrize(("words", "code", "slug", "error", "hint"), MATRIX, ids=NAMES)
def test_the_same_mistake_is_one_json_document_with_json(bfill, words, code, slug, error, hint):
    if words[0].startswith("-") or words[-1] == "--start":
        pytest.skip("--json has no place to stand here")
    ran = bfill(*words, "--json")
    assert ran.err == ""
    assert (ran.code, ran.json["exit_code"], ran.json["ok"]) == (code, code, False)
    assert set(ran.json) == {"schema", "command", "ok", "exit_code", "error"}
    assert set(ran.json["error"]) == {"kind", "code", "message", "hint", "where"}
    assert ran.json["error"]["code"] == slug
    assert error in ran.json["error"]["message"]
    assert hint in ran.json["error"]["hint"]


def test_watching_in_json_is_refused_because_json_is_one_document(bfill):
    ran = bfill("status", "--watch", "--json")
    assert (ran.code, ran.json["error"]["code"]) == (2, "watch-and-json")


@pytest.mark.parametrize("group", ["dags", "pools", "store", "scenario"])
def test_a_word_with_commands_below_it_and_json_is_one_document_that_names_one_of_them(bfill, group):
    ran = bfill(group, "--json")
    assert (ran.code, ran.err, ran.json["command"]) == (2, "", group)
    assert ran.json["error"]["message"] == f"bfill {group} needs a command before --json"
    assert ran.json["error"]["hint"].startswith(f"it stands after the command: bfill {group} ")


def test_json_behind_a_double_dash_is_an_argument_and_not_the_flag(bfill):
    ran = bfill("plan", "--zzz", "--", "--json")
    assert ran.out == ""
    assert ran.err.startswith("error: ")


@pytest.mark.parametrize(
    ("words", "command"),
    [
        (["audit", "verify", "--nope", "--json"], "audit verify"),
        (["dags", "list", "--nope", "--json"], "dags list"),
        (["plan", "--nope", "--json"], "plan"),
        (["--nope", "--json"], "bfill"),
    ],
)
def test_the_envelope_names_the_command_also_when_it_could_not_be_parsed(bfill, words, command):
    assert bfill(*words).json["command"] == command
