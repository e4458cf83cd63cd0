"""The bash file: a table as `case` lines, and one function that reads the line with it.

Works from bash 3.2 on: no mapfile, no associative arrays.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from backfill_cli.cli.completions.table import Command, Value, values

_HEAD = """\
# bash completion for bfill, written from its command line by: python -m backfill_cli.cli.completions
# Load it:  source <(bfill completion bash)
# Keep it:  bfill completion bash > ~/.local/share/bash-completion/completions/bfill
"""

_BODY = r"""
# Fill COMPREPLY with what begins as $cur does, among the words given or, without any, those of `bfill __complete`.
_bfill_offer() {
    local kind=$1 list=$2 head="" begun=$value word
    shift 2
    if [[ -n $list && $value == *,* ]]; then
        head=${value%,*},
        begun=${value##*,}
    fi
    if (($#)); then
        for word in "$@"; do
            [[ $word == "$begun"* ]] && COMPREPLY+=("$ahead$head$word")
        done
    else
        while IFS=$'\t' read -r word _; do
            COMPREPLY+=("$ahead$head$word")
        done < <("${words[0]/#\~/$HOME}" __complete "$kind" "$begun" "${given[@]}" 2>/dev/null)
    fi
    compopt -o nosort 2>/dev/null
}

_bfill_files() {
    local name
    while IFS= read -r name; do
        [[ $name == $1 || -d $name ]] && COMPREPLY+=("$ahead$name")
    done < <(compgen -f -- "$value")
    compopt -o filenames 2>/dev/null
}

_bfill() {
    local cur="" value="" ahead="" path="" flag="" ended="" line word kind cut="" i
    local -a words=() given=()
    COMPREPLY=()

    # Bash splits words at ':' and '=' as well; what stands together on the line is put together again.
    line=${COMP_LINE:0:COMP_POINT}
    for ((i = 0; i <= COMP_CWORD; i++)); do
        word=${COMP_WORDS[i]}
        if [[ ${#words[@]} -eq 0 || $line == [[:space:]]* ]]; then
            line=${line#"${line%%[![:space:]]*}"}
            words+=("")
        fi
        ((i == COMP_CWORD)) && word=$line
        words[${#words[@]} - 1]+=$word
        line=${line#"$word"}
    done
    cur=${words[${#words[@]} - 1]}
    given=("${words[@]:1:${#words[@]}-2}")

    # Which command is this, and is its last word a flag that waits for a value?
    for word in "${given[@]}"; do
        if [[ -n $flag ]]; then
            flag=""
        elif [[ $word == -- ]]; then
            ended=1
        elif [[ -z $ended && $word == -* ]]; then
            [[ $word != *=* && -n $(_bfill_kind "$word") ]] && flag=$word
        elif [[ " $(_bfill_below "$path") " == *" $word "* ]]; then
            path=${path:+$path }$word
        fi
    done

    value=$cur
    if [[ -n $flag ]]; then
        kind=$(_bfill_kind "$flag")
    elif [[ -z $ended && $cur == --*=* ]]; then
        kind=$(_bfill_kind "${cur%%=*}")
        ahead=${cur%%=*}=
        value=${cur#*=}
    elif [[ -z $ended && $cur == -* ]]; then
        COMPREPLY=($(compgen -W "$(_bfill_flags "$path")" -- "$cur"))
        return
    else
        kind=$(_bfill_argument "$path")
        COMPREPLY=($(compgen -W "$(_bfill_below "$path")" -- "$cur"))
        compopt -o nosort 2>/dev/null
    fi
    [[ -n $kind ]] && _bfill_values "$kind"

    # Readline replaces only what stands behind the last ':' or '='.
    for word in : =; do
        [[ $COMP_WORDBREAKS == *"$word"* && $cur == *"$word"* ]] || continue
        word=${cur%"${cur##*"$word"}"}
        ((${#word} > ${#cut})) && cut=$word
    done
    [[ -n $cut ]] && COMPREPLY=("${COMPREPLY[@]#"$cut"}")
    return 0
}

complete -F _bfill bfill
"""


def write(table: list[Command]) -> str:
    """Return the file."""
    flags = {name: flag.value for command in table for flag in command.flags for name in flag.names}
    return "".join(
        [
            _HEAD,
            _cases("below", "the commands below one", ((_key(one), " ".join(one.below)) for one in table if one.below)),
            _cases("flags", "the flags of a command", ((_key(one), " ".join(_spelled(one))) for one in table)),
            _cases(
                "argument",
                "what the arguments of a command are",
                ((_key(one), one.argument.name) for one in table if one.argument),
            ),
            _cases(
                "kind",
                "what the value of a flag is; nothing for a switch",
                ((name, value.name) for name, value in sorted(flags.items()) if value),
            ),
            _values(values(table)),
            _BODY,
        ]
    )


def _key(command: Command) -> str:
    return '"' + " ".join(command.path) + '"'


def _spelled(command: Command) -> list[str]:
    return [name for flag in command.flags for name in flag.names]


def _cases(name: str, about: str, cases: Iterable[tuple[str, str]], say: Callable[[str], str] | None = None) -> str:
    lines = [f"        {key}) {say(text) if say else f'echo {chr(34)}{text}{chr(34)}'} ;;" for key, text in cases]
    return "\n".join(["", f"# {about}", f"_bfill_{name}() {{", '    case "$1" in', *lines, "    esac", "}", ""])


def _values(kinds: list[Value]) -> str:
    return _cases("values", "what stands behind a kind of value", ((kind.name, _offer(kind)) for kind in kinds), str)


def _offer(kind: Value) -> str:
    steps = []
    if kind.asked or kind.words:
        words = " ".join(f'"{word}"' for word in kind.words)
        steps.append(f'_bfill_offer {kind.name} "{"list" if kind.listed else ""}" {words}'.rstrip())
    if kind.files:
        step = f"_bfill_files '{kind.files}'"
        steps.append(f"((${{#COMPREPLY[@]}})) || {step}" if steps else step)
    return "; ".join(steps) or ":"
