"""The zsh file: one function a command, its flags as specs of `_arguments`, with their helps."""

from __future__ import annotations

from backfill_cli.cli.completions.table import Command, Flag, Value, values

_HEAD = """\
#compdef bfill
# zsh completion for bfill, written from its command line by: python -m backfill_cli.cli.completions
# Keep it in a folder of $fpath as _bfill:  bfill completion zsh > ~/.zfunc/_bfill
"""

_BODY = r"""
# Candidates of `bfill __complete`, in the order they come, each with its note.
_bfill_ask() {
    local line
    local -a found
    for line in ${(f)"$($_bfill_program __complete $1 "$PREFIX" "${(@)_bfill_given}" 2>/dev/null)"}; do
        found+=("${${line%%$'\t'*}//:/\\:}:${line#*$'\t'}")
    done
    _describe -V -t "bfill-$1" "$2" found
}

_bfill() {
    local _bfill_program=${(Q)words[1]}
    local -a _bfill_given=("${(@Q)words[2,CURRENT-1]}")
    _bfill_program=${~_bfill_program}
    _bfill_root
}

if [[ $zsh_eval_context[-1] == loadautofunc ]]; then
    _bfill "$@"
else
    compdef _bfill bfill
fi
"""


def write(table: list[Command]) -> str:
    """Return the file."""
    return "".join([_HEAD, *map(_value, values(table)), *map(_function, table), _BODY])


def _value(kind: Value) -> str:
    """A function that completes one kind of value."""
    lines = ["    compset -P '*,'"] if kind.listed else []
    if kind.words:
        lines.append(f"    compadd -V bfill-{kind.name} -- {' '.join(map(_quoted, kind.words))}")
    elif kind.asked:
        lines.append(f"    _bfill_ask {kind.name} {kind.name}")
    if kind.files:
        step = "_files" if kind.files == "*" else f"_files -g {_quoted(kind.files)}"
        lines.append("    " + (f"(( compstate[nmatches] )) || {step}" if lines else step))
    return "\n".join(["", f"_bfill_of_{kind.name}() {{", *(lines or ["    _message -r ''"]), "}", ""])


def _function(command: Command) -> str:
    specs = [_flag(flag) for flag in command.flags]
    if command.argument is not None:
        head = "*" if command.many else "1"
        specs.append(_quoted(f"{head}:{command.argument.name}:_bfill_of_{command.argument.name}"))
    if command.below:
        specs += ["'1: :->command'", "'*:: :->rest'"]
    name = _name(command)
    lines = ["", f"{name}() {{"]
    if command.below:
        lines += ["    local curcontext=$curcontext state line", "    typeset -A opt_args"]
    lines.append("    _arguments -s -S" + (" -C" if command.below else "") + " : \\")
    lines += [f"        {spec} \\" for spec in specs[:-1]] + [f"        {specs[-1]}"]
    if command.below:
        listed = [f"            {_quoted(f'{below}:{text}')}" for below, text in command.below.items()]
        rest = [f"                {below}) {name_of((*command.path, below))} ;;" for below in command.below]
        lines += [
            "    case $state in",
            "        command)",
            "            local -a below=(",
            *[f"    {line}" for line in listed],
            "            )",
            "            _describe -V command below",
            "            ;;",
            "        rest)",
            "            case $line[1] in",
            *rest,
            "            esac",
            "            ;;",
            "    esac",
        ]
    return "\n".join([*lines, "}", ""])


def _flag(flag: Flag) -> str:
    """One flag as a spec: `(-y --yes){-y,--yes}[help]`, `*--conf=[help]:conf:_bfill_of_nothing`."""
    text = "".join(f"\\{char}" if char in "[]:\\" else char for char in flag.help.rstrip("."))
    tail = f"[{text}]"
    if flag.value is not None:
        tail += f":{flag.value.name}:_bfill_of_{flag.value.name}"
    ends = "=" if flag.value is not None else ""
    if len(flag.names) == 1:
        return _quoted(f"{'*' if flag.repeats else ''}{flag.names[0]}{ends}{tail}")
    spelled = ",".join(name + (ends if name.startswith("--") else "") for name in flag.names)
    return _quoted(f"({' '.join(flag.names)})") + "{" + spelled + "}" + _quoted(tail)


def _name(command: Command) -> str:
    return name_of(command.path) if command.path else "_bfill_root"


def name_of(path: tuple[str, ...]) -> str:
    """Return the name of a command's function."""
    return "_bfill__" + "__".join(word.replace("-", "_") for word in path)


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "'\\''") + "'"
