"""From the text of a field to a `Field`: parse, locate each `{{ … }}`, judge its trust, compile.

Owns the way from text to compiled code and the errors on it; `core/templates.py` keeps the results. Imports Jinja at
its top and is itself imported only when a field holds a template.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import jinja2
from jinja2 import nodes

from backfill_cli.core.holes import Hole, Place
from backfill_cli.core.sandbox import MAX_TOKENS, FieldContext, Root, Sandbox
from backfill_cli.core.templates import Field
from backfill_cli.core.trust import assigned_names, references_of, trust_of, uses_xcom
from backfill_cli.errors import MacroError


class _Span(NamedTuple):
    source: str
    line: int
    column: int


def compile_text(text: str, place: Place) -> Field:
    """The compiled field; see `templates.compile_field`."""
    sandbox = Sandbox.shared()
    try:
        spans = list(_spans(sandbox.environment, text))
        tree = sandbox.parse(text)
        outputs = list(_expressions(tree))
        assigned = assigned_names(tree)
        references = references_of(tree, assigned)
        holes = tuple(
            Hole(span.source, _inner(span.source), span.line, span.column, trust_of(expression, assigned))
            for span, expression in zip(spans, outputs, strict=True)
        )
        pieces: tuple[str | int, ...] | None = None
        if all(isinstance(node, nodes.Output) for node in tree.body):
            pieces = _pieces(tree)
            tree, order = _xcoms_first(tree, outputs)
            root = sandbox.compile(tree)
            if order != list(range(len(order))):
                root = _renumbered(root, order)
            return Field(text, place, holes, references, root, pieces)
        return Field(text, place, holes, references, sandbox.compile(tree), None)
    except jinja2.TemplateSyntaxError as error:
        raise _syntax_error(text, error) from error
    except (RecursionError, MemoryError, SyntaxError, ValueError, OverflowError) as error:
        # SyntaxError: more nested blocks than Python has; ValueError: a number with more digits than Python reads
        raise MacroError(
            f"the template cannot be compiled: {type(error).__name__}: {str(error)[:120]}",
            hint="it is nested too deeply or holds too large a number",
        ) from error


def _spans(environment: jinja2.Environment, text: str) -> Iterator[_Span]:
    """The source of each `{{ … }}` with its place, from the raw tokens (which lose nothing)."""
    line, column = 1, 1
    start: tuple[int, int] | None = None
    parts: list[str] = []
    for number, (_, kind, value) in enumerate(environment.lexer.tokeniter(text, None)):
        if number > MAX_TOKENS:
            raise jinja2.TemplateSyntaxError(f"it has more than {MAX_TOKENS:,} words and signs", line)
        if kind == "variable_begin":
            start, parts = (line, column), []
        if start is not None:
            parts.append(value)
        if kind == "variable_end" and start is not None:
            yield _Span("".join(parts).rstrip() if value.startswith("-") else "".join(parts), *start)
            start = None
        newlines = value.count("\n")
        line += newlines
        column = len(value) - value.rfind("\n") if newlines else column + len(value)


def _inner(source: str) -> str:
    return source[2:-2].strip("-+ \t\n")


def _expressions(node: nodes.Node) -> Iterator[nodes.Expr]:
    """The expressions of all outputs in the order of the text, which is also the compiler's."""
    for child in node.iter_child_nodes():
        if isinstance(child, nodes.Output):
            yield from (part for part in child.nodes if not isinstance(part, nodes.TemplateData))
        elif isinstance(child, nodes.Stmt):
            yield from _expressions(child)


def _pieces(tree: nodes.Template) -> tuple[str | int, ...]:
    pieces: list[str | int] = []
    count = 0
    for output in tree.find_all(nodes.Output):
        for part in output.nodes:
            if isinstance(part, nodes.TemplateData):
                pieces.append(part.data)
            else:
                pieces.append(count)
                count += 1
    return tuple(pieces)


def _xcoms_first(tree: nodes.Template, outputs: list[nodes.Expr]) -> tuple[nodes.Template, list[int]]:
    """The same expressions, those with an XCom first, without the literal text; and their numbers in that order."""
    order = sorted(range(len(outputs)), key=lambda number: not uses_xcom(outputs[number]))
    body: list[nodes.Node] = [nodes.Output([outputs[number] for number in order], lineno=1)]
    bare = nodes.Template(body, lineno=1)
    bare.set_environment(tree.environment)  # type: ignore[arg-type]
    return bare, order


def _renumbered(root: Root, order: list[int]) -> Root:
    def renumbered(context: FieldContext) -> Iterator[Any]:
        for number, value in root(context):
            yield order[number], value

    return renumbered


def _syntax_error(text: str, error: jinja2.TemplateSyntaxError) -> MacroError:
    lines = text.splitlines() or [""]
    line = min(max(error.lineno or 1, 1), len(lines))
    shown = lines[line - 1].strip()
    column = max(lines[line - 1].find("{"), 0) + 1
    return MacroError(
        f"the template does not compile: {error.message} (in '{shown[:80]}')",
        hint="mend the expression; to have {{ in the text, write {% raw %}{{{% endraw %}",
        code="template-syntax",
        where=f"line {line}, column {column}",
    )
