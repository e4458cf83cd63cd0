"""`--help`: what it does, real examples, then the flags in groups. Plain text, so it comes quickly and pipes well.

Owns the layout of help and the two Typer classes that use it. Examples stand first because they are what people read.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable
from shutil import get_terminal_size
from textwrap import wrap
from typing import Any

from typer.core import TyperCommand, TyperGroup

from backfill_cli.cli.values import plain_values

Row = tuple[str, str]

_SHARED = "Shared options"

_LEFT = 30
"""Columns of the flags; a longer one has its text on the next line."""


def page(summary: str, usage: str, examples: str, sections: Iterable[tuple[str, list[Row]]], footer: str = "") -> str:
    """Return a page of help, 100 columns at most."""
    width = min(100, max(60, get_terminal_size().columns))
    bold = _bolder()
    blocks = ["\n".join(wrap(summary, width))]
    if examples:
        shown = "\n".join(f"  {line}".rstrip() for line in examples.strip().splitlines())
        blocks.append(f"{bold('Examples')}\n{shown}")
    blocks.append(f"{bold('Usage')}  {usage}")
    blocks += [bold(title) + "\n" + _table(rows, width) for title, rows in sections if rows]
    if footer:
        blocks.append(footer)
    return "\n\n".join(blocks)


def _table(rows: list[Row], width: int) -> str:
    left = min(_LEFT, max(18, *(len(name) + 2 for name, _ in rows)))
    lines: list[str] = []
    for name, text in rows:
        wrapped = wrap(text, max(24, width - left - 2)) or [""]
        if len(name) + 2 > left:
            lines.append(f"  {name}")
        else:
            lines.append(f"  {name:<{left}}{wrapped.pop(0)}".rstrip())
        lines += [" " * (left + 2) + more for more in wrapped]
    return "\n".join(lines)


def _bolder() -> Any:
    plain = os.environ.get("NO_COLOR") or "--no-color" in sys.argv or not sys.stdout.isatty()
    return str if plain else lambda text: f"\x1b[1m{text}\x1b[0m"


class Command(TyperCommand):
    """A command whose help is a `page`; its epilog holds the examples."""

    def get_params(self, ctx: Any) -> list[Any]:
        return plain_values(super().get_params(ctx))

    def format_help(self, ctx: Any, formatter: Any) -> None:
        sections: dict[str, list[Row]] = {"Arguments": []}
        for param in self.get_params(ctx):
            if getattr(param, "hidden", False):
                continue
            if param.param_type_name == "argument":
                sections["Arguments"].append((param.metavar or param.name or "", getattr(param, "help", "") or ""))
            else:
                _add_option(sections, param)
        ordered = sorted(sections.items(), key=_shared_last)
        usage = " ".join([ctx.command_path, *self.collect_usage_pieces(ctx)])
        formatter.write(page(self.help or "", usage, self.epilog or "", ordered) + "\n")


def _add_option(sections: dict[str, list[Row]], param: Any) -> None:
    """Put an option under its heading; `--help` has none of its own and joins the shared ones."""
    panel = getattr(param, "rich_help_panel", None) or "Options"
    if panel == "Options" and _SHARED in sections:
        panel = _SHARED
    sections.setdefault(panel, []).append(_option_row(param))


def _shared_last(section: tuple[str, list[Row]]) -> bool:
    """Sorts what every command has behind what only this one has, whatever order the bundles came in."""
    return section[0] in (_SHARED, "Options")


def _option_row(param: Any) -> Row:
    # `-y, --yes`, but `    --store`: the long names stand under each other.
    short = [one for one in param.opts if not one.startswith("--")]
    long = [one for one in param.opts if one.startswith("--")]
    name = (", ".join(short) + ", " if short else "    ") + ", ".join(long)
    if not param.is_flag:
        name += f" {param.metavar or (param.name or '').upper()}"
    default = param.default
    text = param.help or ""
    return name, f"{text} Default: {default}." if isinstance(default, int) and not isinstance(default, bool) else text


class Group(TyperGroup):
    """A command with commands below it, listed with their one-line helps."""

    def get_params(self, ctx: Any) -> list[Any]:
        return plain_values(super().get_params(ctx))

    def format_help(self, ctx: Any, formatter: Any) -> None:
        usage = " ".join([ctx.command_path, *self.collect_usage_pieces(ctx)])
        options: dict[str, list[Row]] = {}
        for param in self.get_params(ctx):
            if param.param_type_name == "option" and not getattr(param, "hidden", False):
                _add_option(options, param)
        sections = [*self.command_rows(ctx), *sorted(options.items(), key=_shared_last)]
        formatter.write(page(self.help or "", usage, self.epilog or "", sections, self.footer()) + "\n")

    def command_rows(self, ctx: Any) -> list[tuple[str, list[Row]]]:
        """The commands below, in groups."""
        rows = [(name, self.commands[name].get_short_help_str(200)) for name in self.list_commands(ctx)]
        return [("Commands", rows)]

    def footer(self) -> str:
        """What stands at the very end."""
        return ""

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """Find the command, or say which one may have been meant."""
        known = self.list_commands(ctx)
        word = args[0]
        if not word.startswith("-") and word not in known and not ctx.resilient_parsing:
            from backfill_cli.core.graph import near_hint
            from backfill_cli.errors import UsageProblem

            path = ctx.command_path
            hint = near_hint(word, known, otherwise=f"see all commands with: {path} --help")
            raise UsageProblem(f"'{path} {word}' is no command", hint=hint, code="unknown-command")
        return super().resolve_command(ctx, args)
