"""Values in shell commands are data (contract section 3): tried on real shells, with hostile values and a canary file.

Every accepted place is run: the arguments that arrive must be the value's own bytes and `canary` must not exist. Every
place where no quoting is safe must be refused.
"""

from __future__ import annotations

import os
import random
import re
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from backfill_cli.core.context import Context, RunFacts
from backfill_cli.core.holes import Place
from backfill_cli.core.quoting import quote
from backfill_cli.core.shellrules import DATA, DYNAMIC, SAFE
from backfill_cli.core.shellscan import Quote, Refusal, Spot, spots_of
from backfill_cli.core.templates import compile_field
from backfill_cli.errors import MacroError

SEED = int(os.environ.get("BFILL_TEST_SEED", "20240131"))
COMMANDS = int(os.environ.get("BFILL_TEST_COMMANDS", "600"))
SHELLS = [shell for shell in ("bash", "dash") if shutil.which(shell)]

HOSTILE = [
    "",
    " ",
    "eu",
    "two words",
    "$(touch canary)",
    "`touch canary`",
    "; touch canary;",
    "' ; touch canary ; '",
    "'; touch canary #",
    '"; touch canary; "',
    '"$(touch canary)"',
    "\\'; touch canary; \\'",
    "\\",
    "\\\\",
    "\\$(touch canary)",
    "\\`touch canary`",
    "a\\",
    "\n",
    "\ntouch canary\n",
    "\nEOF\ntouch canary\n",
    "EOF",
    "EOF\n",
    "\tEOF\n\ttouch canary\n",
    "E\nOF",
    "!",
    "!!",
    "!touch canary",
    "a!b'c\"d",
    "-n",
    "-e",
    "--help",
    "*",
    "?",
    "[a-z]*",
    "~",
    "~root",
    "{a,b}",
    "{1..3}",
    "a=b",
    "PATH=/x",
    "2",
    ">canary",
    "<(touch canary)",
    "& touch canary &",
    "| touch canary",
    "a[$(touch canary)]",
    "x[`touch canary`]=1",
    "$HOME ${HOME} $((1+1))",
    "$'\\x41'",
    "#no comment",
    "if",
    "done",
    "esac",
    "}",
    ")",
    "))",
    "]]",
    "\r\n",
    "\x01\x1b[31m",
    "é ü 漢字",
    "\udcff\udcfe",
    "{{ ds }}",
    "{% raw %}",
    "%s%n",
]

# Each calls `show` (prints its arguments) or `pass_on` (prints its input) with the value in one quoting place. What
# stands around the value is given so that the whole argument can be compared.
PLACES: list[tuple[str, str, str]] = [
    ("show {{ conf.v }}", "", ""),
    ("show --region={{ conf.v }}/x", "--region=", "/x"),
    ("show pre'fix '{{ conf.v }}\" suf\"fix", "prefix ", " suffix"),
    ("show '{{ conf.v }}'", "", ""),
    ("show 'a b{{ conf.v }}c d'", "a b", "c d"),
    ('show "{{ conf.v }}"', "", ""),
    ('show "a $((1+1)) {{ conf.v }}\\" b"', "a 2 ", '" b'),
    ('show "$(printf %s\\\\n {{ conf.v }}; printf x)"', "", "\nx"),
    ("show \"$(printf '%s\\n' \"{{ conf.v }}\"; printf x)\"", "", "\nx"),
    ("show \"$( (printf '%s\\n' '{{ conf.v }}'); printf x)\"", "", "\nx"),
    ("VALUE={{ conf.v }}; show \"$VALUE\"", "", ""),
    ("VALUE=\"{{ conf.v }}\" && show \"$VALUE\"", "", ""),
    ("export VALUE='{{ conf.v }}'; show \"$VALUE\"", "", ""),
    ("for item in {{ conf.v }}; do show \"$item\"; done", "", ""),
    ("if true; then show {{ conf.v }}; else false; fi", "", ""),
    ("case {{ conf.v }} in *) show {{ conf.v }};; esac", "", ""),
    ("f() { show \"$1\"; }; f {{ conf.v }}", "", ""),
    ("{ show {{ conf.v }}; } 2>/dev/null", "", ""),
    ("true && \\\n  show {{ conf.v }} # it's a comment", "", ""),
    ("show `printf A`{{ conf.v }}", "A", ""),
    ("set -- {{ conf.v }}; show \"$1\"", "", ""),
    ("show {{ conf.v | upper | lower | replace('zzz', '') if false else conf.v }}", "", ""),
    ("show {{ conf.v ~ ds }}", "", "2024-01-31"),
    ("show {% for item in [conf.v] %}'{{ item }}'{% endfor %}", "", ""),
    ("{% set ds = conf.v %}show {{ ds }}", "", ""),
    ("{% set x %}{{ conf.v }}{% endset %}show \"{{ x }}\"", "", ""),
    ("{% if conf.v is defined %}show \"{% else %}show '{% endif %}{{ conf.v }}\"", "", ""),
    ("show {{ params.v }}", "", ""),
    ("show {{ var.value.v }}", "", ""),
    ("show {{ ti.xcom_pull('up') }}", "", ""),
    ("show {{ dag_run.conf['v'] }}", "", ""),
    ("bash -c 'show_args() { printf \"%s\\\\0\" \"$#\" \"$@\"; }; show_args \"$1\"' _ {{ conf.v }}", "", ""),
    ("sh -c 'printf \"%s\\\\0\" 1 \"$1\"' _ \"{{ conf.v }}\"", "", ""),
    ("pass_on <<EOF\n{{ conf.v }}\nEOF", "", "\n"),
    ("pass_on <<EOF\n$((1+1)) '{{ conf.v }}' \"x\nEOF", "2 '", "' \"x\n"),
    ("pass_on <<EOF\nE{{ conf.v }}\nEOF", "E", "\n"),
    ("pass_on <<EOF\n{{ conf.v }}{{ conf.empty }}EOF\nEOF", "", "EOF\n"),
    ("pass_on <<-EOF\n\t{{ conf.v }}\n\tEOF", "", "\n"),
    ("pass_on <<EOF; true {{ conf.v }}\n{{ conf.v }}\nEOF", "", "\n"),
    ("show \"$(cat <<EOF\n{{ conf.v }}x\nEOF\n)\"", "", "x"),
]  # fmt: skip

BASH_PLACES: list[tuple[str, str, str]] = [
    ('a=({{ conf.v }} b); show "${a[0]}"', "", ""),
    ('[[ {{ conf.v }} == "{{ conf.v }}" ]] && show {{ conf.v }}', "", ""),
    ("[[ x{{ conf.v }} =~ ^x'{{ conf.v }}'$ ]] && show '{{ conf.v }}'", "", ""),
    ("pass_on <<< {{ conf.v }}", "", "\n"),
    ("show \"$(cat < <(printf '%s\\n' {{ conf.v }}; printf x))\"", "", "\nx"),
    ("function g { show {{ conf.v }}; }; g", "", ""),
    ('declare V={{ conf.v }}; show "$V"', "", ""),
    ("IFS=$'\\n'; show {{ conf.v }}", "", ""),
    ('set -o history -o histexpand; show "{{ conf.v }}"', "", ""),
]

PROLOGUE = """
show() { printf '%s\\0' "$#" "$@"; }
pass_on() { printf '1\\0'; cat; printf '\\0'; }
"""


def make_context(**conf: Any) -> Context:
    facts = RunFacts(
        "d",
        "UTC",
        None,
        1_706_659_200,
        1_706_745_600,
        "backfill__2024-01-31T00:00:00+00:00",
        "backfill",
        conf={"empty": "", **conf},
        variables={"v": conf["v"]} if "v" in conf else {},
        xcoms={"up": {"return_value": __import__("json").dumps(conf.get("v"))}},
    )
    return Context(facts)


def shell_text(template: str, **conf: Any) -> str:
    return compile_field(template, Place.SHELL).render(make_context(**conf)).text


def run_all(shell: str, cases: Sequence[tuple[str, str]], folder: Path) -> None:
    """Runs all commands in one process and compares what each prints with the one argument it must have received."""
    # a subshell each, so that `export` and `set` of one case do not reach the next
    script = PROLOGUE + "".join(f"(\n{command}\n)\n" for command, _ in cases)
    done = subprocess.run(
        [shell, "-c", script.encode("utf-8", "surrogateescape")],
        cwd=folder,
        capture_output=True,
        stdin=subprocess.DEVNULL,
        env={"PATH": os.environ["PATH"], "HOME": str(folder), "LC_ALL": "C.UTF-8"},
        timeout=60,
        check=False,
    )
    assert not (folder / "canary").exists(), f"a value was run as code by {shell}"
    found = done.stdout.split(b"\0")[:-1]
    expected = [part for _, value in cases for part in (b"1", value.encode("utf-8", "surrogateescape"))]
    for index, (command, value) in enumerate(cases):
        assert found[2 * index : 2 * index + 2] == expected[2 * index : 2 * index + 2], (
            shell,
            command,
            value,
            done.stderr[:300],
        )
    assert len(found) == len(expected), done.stderr[:500]


def cases_of(places: Sequence[tuple[str, str, str]], values: Sequence[str]) -> list[tuple[str, str]]:
    return [
        (shell_text(template, v=value), before + value + behind)
        for value in values
        for template, before, behind in places
    ]


@pytest.mark.parametrize("shell", SHELLS)
def test_a_hostile_value_arrives_as_its_own_bytes_in_every_place(shell: str, tmp_path: Path) -> None:
    places = PLACES + (BASH_PLACES if shell == "bash" else [])
    for at in range(0, len(HOSTILE), 16):
        run_all(shell, cases_of(places, HOSTILE[at : at + 16]), tmp_path)


PIECES = [bytes([code]) for code in b"'\"\\$`\n()\t!{# \xc3"] + [b"EOF"]
HOSTILE_BYTES = st.one_of(
    st.binary(max_size=24),
    st.lists(st.sampled_from(PIECES), max_size=12).map(b"".join),
    st.sampled_from([value.encode("utf-8", "surrogateescape") for value in HOSTILE]),
).map(lambda raw: raw.replace(b"\0", b"").decode("utf-8", "surrogateescape"))  # fmt: skip


@pytest.mark.parametrize("shell", SHELLS)
def test_random_bytes_arrive_unchanged_in_every_place(shell: str, tmp_path: Path) -> None:
    """Promise 12 in small: eight batches of 32 values in each of the places."""
    places = PLACES + (BASH_PLACES if shell == "bash" else [])
    every_fourth = [places[offset::4] for offset in range(4)]

    @settings(max_examples=8, deadline=None, database=None, suppress_health_check=list(HealthCheck))
    @given(st.lists(HOSTILE_BYTES, min_size=32, max_size=32), st.integers(0, 3))
    def arrive(values: list[str], part: int) -> None:
        run_all(shell, cases_of(every_fourth[part], values), tmp_path)

    arrive()


REFUSED = [
    "echo $(( {{ conf.v }} + 1 ))",
    'echo "$(( {{ conf.v }} ))"',
    "(( x = {{ conf.v }} ))",
    "((x={{ conf.v }}))",
    "for ((i=0; i<{{ conf.v }}; i++)); do true; done",
    "let x={{ conf.v }}",
    "echo $[ {{ conf.v }} ]",
    "[[ {{ conf.v }} -eq 1 ]]",
    "[[ -v {{ conf.v }} ]]",
    "[[ x == y || {{ conf.v }} == z ]]",
    "[ -v {{ conf.v }} ]",
    "[ {{ conf.v }} {{ conf.v }} ]",
    "test {{ conf.v }}",
    "a[{{ conf.v }}]=1",
    "a=([{{ conf.v }}]=1)",
    'a["{{ conf.v }}"]=1',
    "echo ${a[{{ conf.v }}]}",
    "echo ${x:-{{ conf.v }}}",
    'echo "${x:-{{ conf.v }}}"',
    "echo `date {{ conf.v }}`",
    'echo "`date {{ conf.v }}`"',
    "eval {{ conf.v }}",
    "eval echo '{{ conf.v }}'",
    "\\eval {{ conf.v }}",
    "ev''al {{ conf.v }}",
    "command eval {{ conf.v }}",
    "x=1 eval {{ conf.v }}",
    "time -p eval {{ conf.v }}",
    "! eval {{ conf.v }}",
    "for x do eval {{ conf.v }}; done",
    "for ((;;)) do eval {{ conf.v }}; done",
    "function f { eval {{ conf.v }}; }",
    "f() { eval {{ conf.v }}; }",
    "{fd}>x eval {{ conf.v }}",
    "> x eval {{ conf.v }}",
    "$(eval {{ conf.v }})",
    "sh -c 'echo {{ conf.v }}'",
    'bash -c "echo {{ conf.v }}"',
    "bash -ec {{ conf.v }}",
    "bash -o pipefail -c 'ls {{ conf.v }}'",
    "/bin/sh -c 'x {{ conf.v }}'",
    "sudo -u bob bash -c 'x {{ conf.v }}'",
    "env A=1 sh -c 'x {{ conf.v }}'",
    "docker exec c sh -c 'x {{ conf.v }}'",
    "find . -exec sh -c 'x {{ conf.v }}' \\;",
    "find . -exec {{ conf.v }} \\;",
    "xargs sh -c 'x {{ conf.v }}'",
    "echo {{ conf.v }} | xargs -I{} sh -c 'echo {}'",
    "$SHELL -c {{ conf.v }}",
    'sh -c "$(echo {{ conf.v }})"',
    "bash {{ conf.v }}",
    "bash <(echo {{ conf.v }})",
    "bash <<< {{ conf.v }}",
    "bash < {{ conf.v }}",
    "[[ # == {{ conf.v }} ]] && show {{ conf.v }}",
    "bash <<EOF\n{{ conf.v }}\nEOF",
    "cat <<EOF | sh\n{{ conf.v }}\nEOF",
    "echo {{ conf.v }} | bash",
    "echo {{ conf.v }} |\n sh -s",
    "{ echo {{ conf.v }}; } | sh",
    "(echo {{ conf.v }}) | sh",
    "for x in {{ conf.v }}; do echo; done | sh",
    "if true; then echo {{ conf.v }}; fi | sh",
    "ssh host ls {{ conf.v }}",
    "ssh host <<EOF\n{{ conf.v }}\nEOF",
    "source {{ conf.v }}",
    ". {{ conf.v }}",
    "trap {{ conf.v }} EXIT",
    "alias x={{ conf.v }}",
    "read {{ conf.v }}",
    "unset {{ conf.v }}",
    "printf {{ conf.v }} {{ conf.v }}",
    "printf -v {{ conf.v }} x",
    "printf '%n' {{ conf.v }}",
    "declare {{ conf.v }}",
    "declare -i x={{ conf.v }}",
    "for i in 1 2; do n={{ conf.v }}; declare -i n; done",
    "local -a x={{ conf.v }}",
    "PS4={{ conf.v }}",
    "BASH_ENV={{ conf.v }} ls",
    "SECONDS={{ conf.v }}",
    "env PS4={{ conf.v }} ls",
    "{{ conf.v }} x",
    "'{{ conf.v }}' x",
    "sudo {{ conf.v }} x",
    "sudo -u bob {{ conf.v }}",
    "exec {{ conf.v }}",
    "timeout {{ conf.v }} ls",
    "python3 -c 'print(\"{{ conf.v }}\")'",
    "perl -e 'print {{ conf.v }}'",
    "cat <<'EOF'\n{{ conf.v }}\nEOF",
    'cat <<"EOF"\n{{ conf.v }}\nEOF',
    "cat <<\\EOF\n{{ conf.v }}\nEOF",
    "cat <<EOF\n$(echo {{ conf.v }})\nEOF",
    "cat <<EOF\n\\{{ conf.v }}\nEOF",
    "cat <<{{ conf.v }}\nx\nEOF",
    "echo \\{{ conf.v }}",
    'echo "\\{{ conf.v }}"',
    "echo ${{ conf.v }}",
    'echo "${{ conf.v }}"',
    "echo $\\\n{{ conf.v }}",
    "echo $'{{ conf.v }}'",
    'echo "$$(printf %s "{{ conf.v }}")"',
    "echo $${{ conf.v }}",
    'echo $"{{ conf.v }}"',
    "# {{ conf.v }}",
    "echo x # {{ conf.v }}",
    "case x in {{ conf.v }}) ls;; esac",
    "case x in (a|{{ conf.v }}) ls;; esac",
    "coproc {{ conf.v }}",
    "coproc c { eval {{ conf.v }}; }",
    "echo @({{ conf.v }})",
    "echo 'unmatched {{ conf.v }}",
    "ls &> log {{ conf.v }}",
    "echo `date '`' {{ conf.v }}",
    "a[1 + 2]=3 eval {{ conf.v }}",
]


@pytest.mark.parametrize("template", REFUSED)
def test_where_no_quoting_is_safe_the_template_is_refused_when_it_is_compiled(template: str) -> None:
    with pytest.raises(MacroError) as caught:
        compile_field(template, Place.SHELL)
    assert caught.value.exit_code == 3
    assert "no quoting is safe" in caught.value.message
    assert caught.value.hint
    assert caught.value.code == "unsafe-place"
    assert caught.value.where


def test_the_hint_names_the_environment_variable_of_the_key() -> None:
    with pytest.raises(MacroError) as caught:
        compile_field("eval {{ dag_run.conf.region }}", Place.SHELL)
    assert '"$BFILL_CONF_REGION"' in caught.value.hint
    assert "'{{ dag_run.conf.region }}'" in caught.value.message
    assert caught.value.where == "line 1, column 6"


@pytest.mark.parametrize(
    "template",
    [
        "{% if conf.v %}eval {% endif %}{{ conf.v }}",
        "{% for x in [1] %}echo $(( {{ conf.v }} )){% endfor %}",
        "{% set q %}'{% endset %}echo `{% if true %}{{ conf.v }}{% endif %}`",
    ],
)
def test_a_place_made_by_blocks_is_judged_when_it_is_rendered(template: str) -> None:
    with pytest.raises(MacroError, match="no quoting is safe"):
        shell_text(template, v="x")


def test_a_number_may_stand_in_arithmetic_once_a_filter_makes_it_one() -> None:
    assert shell_text("echo $(( {{ conf.v | int }} + 1 ))", v="41") == "echo $(( 41 + 1 ))"
    assert shell_text("echo $(( {{ conf.v | int }} + 1 ))", v="a[$(touch canary)]") == "echo $(( 0 + 1 ))"


@pytest.mark.parametrize(
    "template",
    [
        "echo $(( {{ ds_nodash }} )) {{ macros.ds_add(ds, 1) }} `date -d {{ ds }}`",
        "sh -c 'load {{ ds }} {{ logical_date.year }} {{ run_id }} {{ dag.dag_id }}'",
        "cat <<'EOF'\n{{ ts_nodash_with_tz }} {{ data_interval_end }}\nEOF",
        "# {{ ds }} {{ 'a constant' }} {{ try_number + 1 }}",
        "eval {{ next_ds if conf.v == 'x' else prev_ds }}",
        "case {{ ds[5:7] }} in {{ '01' }}) ;; esac",
    ],
)
def test_dates_and_identifiers_of_the_run_stand_anywhere(template: str) -> None:
    assert "{{" not in shell_text(template, v="x")


@pytest.mark.parametrize(
    "expression",
    [
        "conf.v ~ ds",
        "ds ~ conf.v",
        "macros.ds_format(ds, '%Y-%m-%d', conf.v)",
        "ds | replace('2024', conf.v)",
        "ds if conf.v is undefined else conf.v",
        "conf.v or ds",
        "ds | default(conf.v)",
        "none | default(conf.v)",
        "[conf.v] | first",
        "'%s' | format(conf.v)",
        "'{}'.format(conf.v)",
        "ds.join([conf.v])",
        "logical_date.strftime(conf.v)",
        "params.v",
        "var.value.v",
        "conn.c",
        "ti.xcom_pull('up')",
        "macros.json.loads(conf.w)",
        "conf",
        "range(3)",
        "ds.replace('2024', conf.v)",
        "(conf.v, ds)[0]",
        "dag_run.conf.v",
        "dag_run['conf']['v']",
    ],
)
def test_an_expression_with_any_data_in_it_is_data(expression: str) -> None:
    with pytest.raises(MacroError, match="no quoting is safe"):
        compile_field(f"eval {{{{ {expression} }}}}", Place.SHELL)


@pytest.mark.parametrize("binding", ["{% set ds = conf.v %}", "{% for ds in [conf.v] %}", "{% with ds = conf.v %}"])
def test_a_macro_hidden_by_the_template_is_no_longer_trusted(binding: str) -> None:
    end = {"set": "", "for": "{% endfor %}", "wit": "{% endwith %}"}[binding[3:6]]
    assert shell_text(f"{binding}echo {{{{ ds }}}}{end}", v="; x") == "echo '; x'"


def test_a_trusted_macro_with_odd_characters_is_quoted_like_data() -> None:
    facts = RunFacts("d", "UTC", None, 0, 0, "manual__$(touch canary)", "manual")
    field = compile_field("echo {{ run_id }}", Place.SHELL)
    assert field.render(Context(facts)).text == "echo 'manual__$(touch canary)'"
    with pytest.raises(MacroError, match="no quoting is safe"):
        compile_field("eval {{ run_id }}", Place.SHELL).render(Context(facts))


def test_a_plain_argument_stays_readable() -> None:
    assert shell_text("load.sh {{ ds }} {{ dag_run.conf.v }}", v="eu-west_1") == "load.sh 2024-01-31 eu-west_1"
    assert shell_text("load.sh x={{ conf.v }}", v="eu") == "load.sh x='eu'", "not alone, so always quoted"
    assert shell_text("load.sh {{ conf.v }}>f", v="2") == "load.sh '2'>f", "2>f would be a redirection"


def test_a_path_may_come_from_data_when_the_program_is_named() -> None:
    assert shell_text("{{ var.value.v }}/run.sh {{ ds }}", v="/opt/my jobs") == "'/opt/my jobs'/run.sh 2024-01-31"


def test_what_is_undefined_stays_as_written_and_the_places_behind_it_still_count() -> None:
    assert shell_text("echo {{ nope }} \"{{ conf['a'] }}\" {{ conf.v }}", v="x y") == (
        "echo {{ nope }} \"{{ conf['a'] }}\" 'x y'"
    )
    with pytest.raises(MacroError, match="no quoting is safe"):
        shell_text("echo '{{ conf[\"don't\"] }}' {{ conf.v }}", v="x")


@pytest.mark.parametrize("value", ["a\0b", "\ud800"])
def test_what_no_command_can_carry_is_refused(value: str) -> None:
    with pytest.raises(MacroError) as caught:
        shell_text("echo {{ conf.v }}", v=value)
    assert caught.value.hint
    with pytest.raises(MacroError):
        quote(value, Spot(Quote.SINGLE))


@pytest.mark.parametrize("mark", [DATA, SAFE, DYNAMIC, "\0"])
def test_a_template_cannot_forge_a_place_with_the_scanners_own_marks(mark: str) -> None:
    with pytest.raises(MacroError, match="U\\+"):
        compile_field(f"echo {mark} {{{{ conf.v }}}}", Place.SHELL)
    assert mark == "\0" or shell_text("echo {{ conf.v }}", v=mark) == f"echo '{mark}'", "in a value it is a character"


@settings(max_examples=300, deadline=None, database=None)
@given(st.text(alphabet=f"{DATA}{DATA}'\"\\$`(){{}}[]<>|&;#\n\t aE=!-*xc", max_size=40))
def test_the_scanner_answers_for_every_value_of_any_text(skeleton: str) -> None:
    outcomes = spots_of(skeleton)
    assert len(outcomes) == skeleton.count(DATA)
    assert all(isinstance(outcome, Spot | Refusal) for outcome in outcomes)


# Pieces that change how a shell reads what follows, each with the value next to it in many of the texts below.
FRAGMENTS = """
x ' " \\ $ $( ) (( )) ` { } ${ # ; ;; | || && & << <<- <<< < > &> [[ ]] [ ] case a in esac eval show = a=( a[ ! for do
done if then else fi while ( -c -eq -n sh bash echo printf %s test set -- export declare time function f() xargs cat E
""".strip().split()
CANARIES = [
    "$(>canary)", "`>canary`", "'\n>canary\n'", '"\n>canary\n"', ";>canary;", "a[$(>canary)]", "\nE\n>canary\n", "-c",
    ")\n>canary\n(", "}\n>canary\n{", "#\n>canary", "\\\n>canary", "'`>canary`'", '"$(>canary)"',
]  # fmt: skip


def piece(dice: random.Random) -> str:
    before = dice.choice([DATA, "\n", " ", "", dice.choice(FRAGMENTS)])
    return before + dice.choice(FRAGMENTS) + dice.choice(" \n  ") + dice.choice([DATA, ""])


def random_commands(seed: int, count: int) -> list[str]:
    """Random shell texts with a value in them, as far as the scanner lets the value in."""
    dice = random.Random(seed)
    # not those that put the value in a variable: what a command does with its variables is its author's business
    templates = [template for template, *_ in (*PLACES, *BASH_PLACES) if not re.search(r"\$[A-Za-z1{]", template)]
    starts = [template.replace("{{ conf.v }}", DATA) for template in templates if "{%" not in template]
    accepted: list[str] = []
    while len(accepted) < count:
        if dice.random() < 0.5:
            skeleton = "echo " + "".join(piece(dice) for _ in range(dice.randint(1, 6)))
        else:  # one that works, with one piece put in, or a stretch taken out
            skeleton = dice.choice(starts)
            at = dice.randrange(len(skeleton))
            skeleton = skeleton[:at] + dice.choice([*FRAGMENTS, ""]) + skeleton[at + dice.randrange(4) :]
        outcomes = spots_of(skeleton)
        if not outcomes or any(isinstance(outcome, Refusal) for outcome in outcomes) or "{{" in skeleton:
            continue
        value = dice.choice(CANARIES)
        quoted = iter([quote(value, outcome) for outcome in outcomes if isinstance(outcome, Spot)])
        accepted.append("".join(next(quoted) if part == DATA else part for part in skeleton))
    return accepted


@pytest.mark.parametrize("shell", SHELLS)
def test_no_random_command_lets_a_value_run_as_code(shell: str, tmp_path: Path) -> None:
    """The scanner against the shell itself: whatever it accepts, in any text, the canary must not appear."""
    # a fresh folder each: a file that one command writes is not for the next one to run
    runner = """
    for script do mkdir d && cd d && timeout -k 1 2 "$0" -c "$script" </dev/null >/dev/null 2>&1
    [ -e canary ] && { printf %s "$script"; exit; }; cd .. && rm -r d; done"""
    scripts = random_commands(SEED, COMMANDS)
    for at in range(0, len(scripts), 300):
        done = subprocess.run(
            [shell, "-c", runner, shell, *scripts[at : at + 300]],
            cwd=tmp_path, capture_output=True, text=True, check=False, timeout=300,
        )  # fmt: skip
        assert done.stdout == "", f"this ran a value as code (seed {SEED}):\n{done.stdout}"
