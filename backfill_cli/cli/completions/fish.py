"""The fish file: one `complete` line a flag and command, and a function that says which command the line is at."""

from __future__ import annotations

from backfill_cli.cli.completions.table import Command, Flag, Value, values

_HEAD = """\
# fish completion for bfill, written from its command line by: python -m backfill_cli.cli.completions
# Keep it:  bfill completion fish > ~/.config/fish/completions/bfill.fish
"""

_BODY = r"""
# The command the line is at, as its words with blanks between: "", "plan", "audit verify".
function __bfill_path
    set -l path
    set -l skip 0
    for word in (commandline -opc)[2..]
        if test $skip = 1
            set skip 0
        else if string match -q -- '-*' $word
            contains -- $word $__bfill_valued; and set skip 1
        else if contains -- "$path" $__bfill_groups; and contains -- (string trim -- "$path $word") $__bfill_commands
            set path (string trim -- "$path $word")
        end
    end
    echo "$path"
end

function __bfill_at
    test (__bfill_path) = "$argv[1]"
end

# Candidates of `bfill __complete` for the word at the cursor, best first, each with its note; fails without any.
function __bfill_ask
    set -l tokens (commandline -opc)
    set -l found ($tokens[1] __complete $argv[1] (__bfill_begun) $tokens[2..] 2>/dev/null)
    test (count $found) -gt 0
    and printf '%s\n' $found
end

# The word at the cursor without `--flag=`.
function __bfill_begun
    string replace -r -- '^--[^=]+=' '' (commandline -ct)
end

# Candidates behind the last comma: the words given or, without any, those of `bfill __complete`.
function __bfill_list
    set -l begun (__bfill_begun)
    set -l head (string replace -r -- '[^,]*$' '' "$begun")
    if test (count $argv) -gt 1
        printf '%s\n' $head$argv[2..]
    else
        set -l tokens (commandline -opc)
        for line in ($tokens[1] __complete $argv[1] (string replace -- "$head" '' "$begun") $tokens[2..] 2>/dev/null)
            echo $head$line
        end
    end
end

complete -c bfill -f
"""


def write(table: list[Command]) -> str:
    """Return the file."""
    valued = sorted({name for one in table for flag in one.flags if flag.value for name in flag.names})
    groups = [" ".join(one.path) for one in table if one.below]
    paths = [" ".join(one.path) for one in table if one.path]
    known = {kind.name: _candidates(kind) for kind in values(table)}
    lines = [line for one in table for line in _lines(one, known)]
    return "".join(
        [
            _HEAD,
            "\n",
            f"set -g __bfill_valued {' '.join(valued)}\n",
            f"set -g __bfill_groups {' '.join(map(_quoted, groups))}\n",
            f"set -g __bfill_commands {' '.join(map(_quoted, paths))}\n",
            _BODY,
            "\n".join(lines),
            "\n",
        ]
    )


def _lines(command: Command, known: dict[str, str]) -> list[str]:
    path = " ".join(command.path)
    here = f"complete -c bfill -n {_quoted(f'__bfill_at {chr(34)}{path}{chr(34)}')}"
    lines = ["", f"# bfill {path}".rstrip()]
    lines += [f"{here} -a {name} -d {_quoted(text)}" for name, text in command.below.items()]
    if command.argument is not None:
        lines.append(f"{here} -k -a {_quoted(known[command.argument.name])}")
    return lines + [f"{here} {_flag(flag, known)}" for flag in command.flags]


def _flag(flag: Flag, known: dict[str, str]) -> str:
    names = " ".join(f"-l {name[2:]}" if name.startswith("--") else f"-s {name[1:]}" for name in reversed(flag.names))
    text = f"{names} -d {_quoted(flag.help)}"
    if flag.value is None:
        return text
    takes = "-r -F" if flag.value.files == "*" else "-x"
    asked = f" -k -a {_quoted(known[flag.value.name])}" if known[flag.value.name] else ""
    return f"{names} {takes}{asked} -d {_quoted(flag.help)}"


def _candidates(kind: Value) -> str:
    """The command substitution that lists the candidates of one kind; nothing for none."""
    words = " ".join(map(_quoted, kind.words))
    if kind.listed:
        return f"(__bfill_list {kind.name} {words})".replace(" )", ")")
    if kind.words:
        return words.replace("'", "")
    ending = f"; or __fish_complete_suffix {kind.files[1:]}" if kind.files.startswith("*.") else ""
    return f"(__bfill_ask {kind.name}{ending})" if kind.asked else ""


def _quoted(text: str) -> str:
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"
