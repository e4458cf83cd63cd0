"""Templates: a field's text compiled once, rendered for each attempt.

Owns `compile_field`, `Field.render` and what an undefined name does. Which expressions exist and how much they may do
is the business of `core/sandbox.py`; how a value is put into a shell command that of `core/quoting.py`, into SQL that
of `core/sqlbind.py`; the values come from any mapping, in bfill from `core/context.py`.

The rules (contract section 3):

1. Each `{{ … }}` is compiled once and evaluated on its own. One that meets an undefined name stays exactly as written
   and the rest still resolves; with `strict` it is a MacroError. Inside `{% %}` it always is.
2. XCom references are resolved first: a field's `{{ … }}` that pull one are evaluated before the others (in a field
   with `{% %}` blocks, in the order of the text), and inside one expression the pull before the macro around it.
3. What a value contains is never rendered again: values are put into finished text, which nobody parses as a template.

A field that holds a template has its line ends turned into `\\n`, as Jinja does; one without is returned as it is.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from backfill_cli.core.holes import UNDEFINED, Hole, Item, Place, References, shortened
from backfill_cli.errors import BfillError, MacroError

__all__ = ["Field", "Place", "Rendered", "RenderedValue", "compile_field", "render_value"]

if TYPE_CHECKING:
    from backfill_cli.core.sandbox import FieldContext

MAX_TEMPLATE: Final = 262_144
"""Characters of one field. More is a file, not a field."""

MAX_COMMAND: Final = 65_536
"""Characters of a shell command with values in it, which is read to know where they stand. Linux passes no argument of
more than twice as many to a shell."""


class Rendered(NamedTuple):
    """A rendered field.

    Args:
        undefined: What stands between the braces of each `{{ … }}` that was left as written.
        binds: For SQL: the parameters that `:bfill_0`, `:bfill_1`… in the text stand for.
    """

    text: str
    undefined: tuple[str, ...] = ()
    binds: Mapping[str, Any] = {}


class RenderedValue(NamedTuple):
    """A rendered structure, and what was left as written anywhere in it."""

    value: Any
    undefined: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, eq=False)
class Field:
    """A compiled field. Make one with `compile_field`; it is immutable and may be shared by threads."""

    text: str
    place: Place
    holes: tuple[Hole, ...]
    references: References
    _root: Callable[[FieldContext], Iterator[Any]] | None
    pieces: tuple[str | int, ...] | None
    """For a field without blocks: literal text and numbers of holes in order. `_root` then yields holes only."""

    @property
    def is_static(self) -> bool:
        """Whether there is nothing to resolve."""
        return self._root is None

    @property
    def names(self) -> frozenset[str]:
        """Top-level names it uses, those it binds itself left out."""
        return self.references.names

    @property
    def conf_keys(self) -> frozenset[str]:
        """Keys it reads from `conf` or `dag_run.conf`."""
        return self.references.conf

    @property
    def param_keys(self) -> frozenset[str]:
        """Keys it reads from `params`."""
        return self.references.params

    @property
    def xcom_references(self) -> frozenset[tuple[str, str]]:
        """(task_id, key) of each XCom it names by constants."""
        return self.references.xcoms

    def unknown_macros(self, known: frozenset[str]) -> frozenset[str]:
        """Top-level names that are neither in `known` nor Jinja's own (`range dict namespace`)."""
        return self.names - known - {"range", "dict", "namespace"}

    def render(self, context: Mapping[str, Any], *, strict: bool = False) -> Rendered:
        """The text with its values.

        Args:
            context: Macro names to values; a KeyError means undefined. Only the names the field uses are asked for.
            strict: Refuse undefined names in place of leaving their `{{ … }}` as written.

        Raises:
            MacroError: An expression fails, does more than the sandbox allows, meets an undefined name inside
                `{% %}` (or anywhere, with strict), or a value cannot be put where it stands.
        """
        if self._root is None:
            return Rendered(self.text)
        items, undefined = self._evaluate(context)
        if undefined and strict:
            raise self._refuse_undefined(undefined[0])
        return _FINISHERS[self.place](self, items, tuple(self.holes[number].inner for number in undefined))

    def _evaluate(self, context: Mapping[str, Any]) -> tuple[list[Item], list[int]]:
        from jinja2 import StrictUndefined

        from backfill_cli.core.sandbox import ExpressionError, FieldContext, Sandbox

        assert self._root is not None
        budget = FieldContext(Sandbox.shared().environment, context)
        undefined: list[int] = []
        items: list[Item] = []
        values: dict[int, Any] = {}
        try:
            for item in self._root(budget):
                if item.__class__ is tuple:
                    number, value = item
                    if value.__class__ is not str:
                        if isinstance(value, StrictUndefined):
                            undefined.append(number)
                            value = UNDEFINED
                        else:
                            budget.weigh(value)
                    if self.pieces is not None:
                        values[number] = value
                        continue
                    items.append((number, value))
                else:
                    budget.spend(len(item))
                    items.append(item)
        except ExpressionError as error:
            raise self._failed(error.__cause__, self.holes[error.index]) from error.__cause__
        except BfillError:
            raise
        except Exception as error:  # whatever a template's expression raises is the template's error
            raise self._failed(error, None) from error
        if self.pieces is not None:
            items = [piece if isinstance(piece, str) else (piece, values[piece]) for piece in self.pieces]
            undefined.sort()
        return items, undefined

    def _refuse_undefined(self, number: int) -> MacroError:
        hole = self.holes[number]
        return MacroError(
            f"'{hole.shown}' names something undefined",
            hint="give it a value with --conf, mend the name, or write {{ … | default('…') }}",
            code="undefined-macro",
            where=hole.where,
        )

    def _failed(self, error: BaseException | None, hole: Hole | None) -> MacroError:
        message = error.message if isinstance(error, BfillError) else f"{error}" or type(error).__name__
        message = shortened(message, 300)
        if isinstance(error, RecursionError):
            message = "it is nested too deeply"
        hint = error.hint if isinstance(error, BfillError) else ""
        if hole is not None:
            return MacroError(f"'{hole.shown}' fails: {message}", hint=hint or "mend the expression", where=hole.where)
        from jinja2 import UndefinedError

        undefined = isinstance(error, UndefinedError)
        return MacroError(
            f"a {{% … %}} block of the template fails: {message}",
            hint="inside {% %} every name must be defined; test it with 'is defined'"
            if undefined
            else hint or "mend it",
            code="undefined-macro" if undefined else "",
        )


def compile_field(text: str, place: Place = Place.PLAIN) -> Field:
    """The field of that text, compiled once a text and place.

    Raises:
        MacroError: It does not parse, is too large, uses what the sandbox does not have, or (shell, SQL) a value stands
            where no quoting is safe.
    """
    return _compile(text, place)


@lru_cache(maxsize=4_096)
def _compile(text: str, place: Place) -> Field:
    if "{{" not in text and "{%" not in text and "{#" not in text:
        return Field(text, place, (), References(), None, None)
    limit = MAX_COMMAND if place is Place.SHELL else MAX_TEMPLATE
    if len(text) > limit:
        raise MacroError(
            f"the template has {len(text):,} characters, the limit is {limit:,}",
            hint="put the text in a file and name the file",
        )
    from backfill_cli.core.compiling import compile_text

    field = compile_text(text, place)
    if place is Place.SHELL:
        from backfill_cli.core import quoting

        quoting.check(field)
    elif place is Place.SQL:
        from backfill_cli.core import sqlbind

        sqlbind.check(field)
    return field


# --- putting values in ----------------------------------------------------------------------------------------------


def _finish_plain(field: Field, items: list[Item], undefined: tuple[str, ...]) -> Rendered:
    holes = field.holes
    parts: list[str] = []
    for item in items:
        if isinstance(item, str):
            parts.append(item)
        else:
            number, value = item
            parts.append(holes[number].source if value is UNDEFINED else str(value))
    return Rendered(bounded("".join(parts)), undefined)


def bounded(text: str) -> str:
    """`text`, if it is no longer than a rendered field may be.

    Raises:
        MacroError: It is.
    """
    from backfill_cli.core.growth import MAX_TEXT

    if len(text) > MAX_TEXT:
        raise MacroError(
            f"the rendered field has {len(text):,} characters, the limit is {MAX_TEXT:,}",
            hint="hand large values over in a file",
        )
    return text


def _finish_shell(field: Field, items: list[Item], undefined: tuple[str, ...]) -> Rendered:
    from backfill_cli.core import quoting

    return Rendered(bounded(quoting.assemble(field.holes, items)), undefined)


def _finish_sql(field: Field, items: list[Item], undefined: tuple[str, ...]) -> Rendered:
    from backfill_cli.core import sqlbind

    text, binds = sqlbind.assemble(field.holes, items)
    return Rendered(bounded(text), undefined, binds)


_FINISHERS: Final[Mapping[Place, Callable[[Field, list[Item], tuple[str, ...]], Rendered]]] = {
    Place.PLAIN: _finish_plain,
    Place.SHELL: _finish_shell,
    Place.SQL: _finish_sql,
}


def render_value(
    value: Any, context: Mapping[str, Any], place: Place = Place.PLAIN, *, strict: bool = False
) -> RenderedValue:
    """`value` with every string in it rendered; recurses into lists, tuples, sets and the values of dicts.

    Args:
        place: `PLAIN` or `SHELL`; SQL parameters belong to one statement, so a statement is rendered by itself.

    Raises:
        MacroError: As `Field.render`.
    """
    undefined: list[str] = []

    def render(item: Any) -> Any:
        if isinstance(item, str):
            rendered = compile_field(item, place).render(context, strict=strict)
            undefined.extend(rendered.undefined)
            return rendered.text
        if isinstance(item, Mapping):
            return {key: render(entry) for key, entry in item.items()}
        if isinstance(item, tuple):
            entries = [render(entry) for entry in item]
            return type(item)(*entries) if hasattr(item, "_fields") else tuple(entries)
        if isinstance(item, list | set | frozenset):
            return type(item)(render(entry) for entry in item)
        return item

    if place is Place.SQL:
        raise ValueError("render SQL statements one by one: each has parameters of its own")
    return RenderedValue(render(value), tuple(undefined))
