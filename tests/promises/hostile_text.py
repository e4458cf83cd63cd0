"""Texts that try to drive what shows them, and what each kind of output has to look like whatever they say.

Owns no knowledge of how bfill escapes: outputs are read by the programs they are meant for, or by rules of their own.
"""

from __future__ import annotations

import csv
import io
import json
import re
import unicodedata
from html.parser import HTMLParser
from random import Random
from xml.etree import ElementTree

ATTACKS = (
    "\x1b[2J\x1b[H", "\x1b]0;owned\x07", "\x1b]8;;http://evil.example\x1b\\click\x1b]8;;\x1b\\", "\x1bP1;1|x\x1b\\",
    "\x1bc", "\x1b[31mred\x1b[0m", "\x9b2J", "\x90q\x9c", "\x85next", "\x8d", "\r", "ok\rerror: spoofed", "\n",
    "a\nb", "\r\n", "\nerror: spoofed\nhint: rm -rf /", "2026-01-01T00:00:00Z finished success",
    "\n2026-01-01T00:00:00Z finished success", "\x07" * 5, "\x08" * 9, "\x0b", "\x0c", "\x1a", "\x7f", "\x0e\x0f",
    "\t", "\u202efdp.exe", "\u2066x\u2069", "\u200b", "\u200d\u200c", "\u2028", "\u2029", "\ufeff", "\u00ad",
    "\u180e", "\u2060\u2061", "\U000e0001\U000e0041", "\ufffa", "[red]x[/red]", "[/]",
    "[link=http://evil.example]x[/link]", ":boom:", "[bold", "\\[red]", "{x}", "%s%n", "{{ ds }}", "=1+1", "+1",
    "-1", "@SUM(A1)", "=cmd|' /C calc'!A0", "\t=1", "\r=1", " =1", "＝1", "\"=1", "a,b", "\"", "\"\"", "';--", "a;b",
    "<script>alert(1)</script>", "\"><img src=x onerror=alert(1)>", "' onmouseover='x", "</td></tr></table>", "<!--",
    "]]>", "&lt;b&gt;", "&#60;b&#62;", "</style><style>", "javascript:alert(1)", "<a href=x>", "&", "<",
    "</failure>", "<![CDATA[", "::error::spoofed", "::set-output name=x::y", "  ::add-mask::x",
    "x\n::stop-commands::y", "##[add-mask]x", "%0A::error::x", "##vso[task.setvariable variable=p]v",
    "##teamcity[x]", "a::b::c", "::", "%25%0D%0A", "|", "||", "| a | b |", "\n| a |", "`", "```", "```\n# head",
    "# head", "**b**", "_x_", "[x](http://evil.example)", "![x](y)", "~~x~~", "$x$", "<!-- -->", "---", "\x00",
    "a\x00b", "\ud800", "\udcff", "\uffff", "\U0001f4a9", "日本語", "é" * 40, "x" * 2_000, "-rf", "--help", "$(id)",
    "`id`",
)  # fmt: skip

_PIECES = "".join(ATTACKS).replace("x" * 100, "")


def hostile(random: Random) -> str:
    """Return an attack, several of them in a row, or random pieces of many."""
    match random.randrange(3):
        case 0:
            return random.choice(ATTACKS)
        case 1:
            return " ".join(random.sample(ATTACKS, 3))
        case _:
            return "".join(random.choices(_PIECES, k=random.randint(1, 60)))


_VISIBLE_FORMAT = frozenset("\u0600\u0601\u0602\u0603\u0604\u0605\u06dd\u070f\u0890\u0891\u08e2\U000110bd\U000110cd")
"""Format characters of scripts that are seen, and drive nothing."""


def driving(text: str, *, keep: str = "") -> list[str]:
    """Return the characters of a screen that a terminal acts upon, or that take no room."""
    return [
        char
        for char in text
        if unicodedata.category(char) in ("Cc", "Cf", "Cs", "Zl", "Zp")
        and char not in keep
        and char not in _VISIBLE_FORMAT
    ]


def check_screen(text: str, *, keep: str = "\n") -> None:
    """A terminal and the log viewer of a CI system show it, and do nothing else."""
    assert not driving(text, keep=keep), [hex(ord(one)) for one in driving(text, keep=keep)][:5]
    for line in text.split("\n"):
        assert not re.search(r"##(vso|teamcity)?\[", line), line
        assert not re.match(r"\s*::[^:]*[\w-][^:]*::", line), line


def check_lines(text: str) -> None:
    """Every line of a log of a run was begun by bfill."""
    for line in text.splitlines():
        assert re.match(
            r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ|-) \w|(error|hint|warning): |::(error|warning) title=", line
        ), line


def check_annotations(text: str, *, most: int = 11) -> None:
    """Workflow commands are errors and warnings, one a line, with a title and nothing else."""
    commands = [line for line in text.splitlines() if line.lstrip().startswith("::")]
    assert 0 < len(commands) <= most, commands
    for line in commands:
        assert re.fullmatch(r"::(error|warning) title=[^:,\n\r]*::.*", line), line
        assert not driving(line), line


def check_json(text: str) -> None:
    """One document on one line, in ASCII."""
    assert text.isascii()
    assert text.endswith("\n")
    assert text.count("\n") == 1
    json.loads(text)


def check_events(text: str) -> None:
    """One object a line."""
    assert text.isascii()
    for line in text.splitlines():
        assert "event" in json.loads(line), line


def check_csv(text: str) -> None:
    """A table with as many cells in each row as in its head, in which no cell is a formula."""
    rows = list(csv.reader(io.StringIO(text, newline=""), strict=True))
    for row in rows:
        assert len(row) == len(rows[0]), row
        for cell in row:
            assert not driving(cell), cell
            assert not cell.lstrip(" \xa0\u3000").startswith(("=", "+", "-", "@", "＝", "＋", "－", "＠")), cell


class _Page(HTMLParser):
    ALLOWED = frozenset(
        ("html", "head", "meta", "title", "style", "body", "h1", "h2", "p", "strong", "dl", "dt", "dd", "div", "span")
    ) | {"table", "thead", "tbody", "tr", "th", "td"}
    EMPTY = frozenset({"meta"})

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.open: list[str] = []
        self.styles = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert tag in self.ALLOWED, tag
        assert {name for name, _ in attrs} <= {"lang", "charset", "http-equiv", "content", "name", "class", "scope"}, (
            attrs
        )
        if tag not in self.EMPTY:
            self.open.append(tag)
        self.styles += tag == "style"

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag, tag

    def handle_comment(self, data: str) -> None:
        raise AssertionError(f"a comment: {data}")

    def handle_data(self, data: str) -> None:
        assert not driving(data, keep="\n"), data


def check_html(text: str) -> None:
    """A page of known tags and attributes, each closed, with one style sheet."""
    page = _Page()
    page.feed(text)
    page.close()
    assert page.open == []
    assert page.styles == 1


def check_markdown(text: str) -> None:
    """No tag, no table row with more cells than its head, nothing that drives a terminal."""
    check_screen(text)
    assert not re.search(r"(?<!\\)<(?!!doctype)", text), text
    head = 0
    for line in text.splitlines():
        if not line.startswith("|"):
            head = 0
            continue
        cells = len(re.findall(r"(?<!\\)(?:\\\\)*\|", line))
        head = head or cells
        assert cells == head, line


def check_junit(text: str, cases: int) -> None:
    """XML with one test case a date."""
    root = ElementTree.fromstring(text)
    assert len(list(root.iter("testcase"))) == cases
    assert {one.tag for one in root.iter()} <= {
        *("testsuites", "testsuite", "properties", "property", "testcase", "failure", "skipped", "error")
    }


def check_candidates(text: str) -> None:
    """Completions: a word that needs no quoting, a tab, a note."""
    for line in text.splitlines():
        word, tab, note = line.partition("\t")
        assert tab, line
        assert re.fullmatch(r"\+?[A-Za-z0-9][\w.:/+@%=,-]*", word, re.ASCII), line
        assert not driving(note), line


_OWN = re.compile(r"\x1b\[(\?25[lh]|\d*[ABCDGK]|2K|[\d;]*m)")
"""What bfill's board and colours consist of: cursor off and on, up and to the start, a line cleared, a colour."""


def without_own_sequences(text: str) -> str:
    return _OWN.sub("", text)
