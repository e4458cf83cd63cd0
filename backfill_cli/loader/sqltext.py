"""SQL text → statements: where one ends, without understanding them.

Owns the cut at semicolons outside of quotes, comments, dollar quotes, templates and trigger bodies. Drivers take one
statement at a time; what the statements say is the database's business.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from backfill_cli.errors import DefinitionError
from backfill_cli.loader.options import Owner
from backfill_cli.loader.places import short_path
from backfill_cli.loader.wiring import as_text

_TOKEN = re.compile(
    r"""
    (?P<space>\s+ | --[^\n]* | /\*.*?\*/)
  | (?P<opaque>'(?:[^']|'')*' | "(?:[^"]|"")*" | `[^`]*`
      | \$(?P<tag>\w*)\$.*?\$(?P=tag)\$
      | \{\{.*?\}\} | \{%.*?%\} | \{\#.*?\#\})
  | (?P<end>;)
  | (?P<word>\w+)
  | .
    """,
    re.VERBOSE | re.DOTALL,
)


def split_statements(sql: str) -> tuple[str, ...]:
    """Return the statements of a text in order, without their semicolons and without empty ones.

    A trigger's body keeps its semicolons: from `create … trigger` on, a statement ends at the one after `end`.
    """
    found: list[str] = []
    start, blank = 0, True
    words: list[str] = []
    for token in _TOKEN.finditer(sql):
        if token.lastgroup == "end" and not _is_open_trigger(words):
            if not blank:
                found.append(sql[start : token.start()].strip())
            start, blank, words = token.end(), True, []
        elif token["word"]:
            words.append(token["word"].lower())
            blank = False
        elif token["space"] is None:
            blank = False
    if not blank:
        found.append(sql[start:].strip())
    return tuple(found)


def _is_open_trigger(words: list[str]) -> bool:
    # CREATE [OR REPLACE] [TEMP|TEMPORARY] TRIGGER: among the first four words; BEGIN and CASE each need an END.
    is_trigger = words[:1] == ["create"] and "trigger" in words[1:4]
    return is_trigger and words.count("begin") + words.count("case") > words.count("end")


def statements_of(sql: Any, folder: Path, owner: Owner) -> tuple[str, ...]:
    """Return the statements of what a user gave as `sql`: a text, a list of single statements, or a `.sql` file.

    Args:
        folder: Where a relative file name starts: the DAG file's folder.

    Raises:
        DefinitionError: There is no statement in it, or the file cannot be read.
    """
    sql = as_text(sql)
    if isinstance(sql, str):
        is_file = sql.endswith(".sql") and len(sql.split()) == 1
        found = split_statements(_read(folder / sql, owner) if is_file else sql)
    elif isinstance(sql, (list, tuple)) and all(isinstance(as_text(one), str) for one in sql):
        found = tuple(str(one) for one in sql if str(one).strip())
    else:
        found = ()
    if not found:
        raise DefinitionError(
            f"{owner.label}: sql={sql!r} holds no statement",
            hint="sql takes a text, a list of statements or the name of a .sql file beside the DAG",
            code="bad-option",
            where=owner.where,
        )
    return found


def _read(path: Path, owner: Owner) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise DefinitionError(
            f"{owner.label}: cannot read {short_path(path)}: {getattr(error, 'strerror', None) or error}",
            hint="a .sql file is looked for beside the DAG file",
            code="bad-option",
            where=owner.where,
        ) from error
