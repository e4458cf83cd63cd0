"""The Jinja environment of templates: which expressions exist, and how much work one may do.

Owns the sandbox: attributes by allow-list, curated filters, and the budget of work and size. `core/codegen.py` keeps
each `{{ … }}` apart, `core/growth.py` bounds single steps, `core/templates.py` decides what happens with the values.
Imports Jinja at its top, so it is itself imported only when a field holds a template.

The idea: a template may touch JSON values, dates and our views, and of each only the methods named here. What can grow
(`*`, `**`, `+`, `~`, `join`, `replace`, `center`, `format`, literals, loops) is measured before or while it grows, and
every step is paid for from one budget a rendering (`FieldContext.spend`): the one place where a time limit hooks in.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import date, datetime, time, timedelta, tzinfo
from functools import partial, wraps
from typing import Any, ClassVar, Final, cast

import jinja2
from jinja2 import nodes
from jinja2.exceptions import SecurityError
from jinja2.filters import FILTERS
from jinja2.nodes import EvalContext
from jinja2.runtime import Context as JinjaContext
from jinja2.runtime import LoopContext
from jinja2.sandbox import ImmutableSandboxedEnvironment, SandboxedFormatter
from jinja2.utils import Namespace, _PassArg, missing

from backfill_cli.core.codegen import FieldCodeGenerator
from backfill_cli.core.growth import MAX_TEXT, check_filter, check_format, check_method, check_number, check_operator
from backfill_cli.core.holes import words
from backfill_cli.core.macros import DATE_FILTERS
from backfill_cli.core.views import View
from backfill_cli.core.xcoms import MISSING, TaskInstanceView

WORK: Final = 20_000_000
"""What one rendering may spend, in units of some nanoseconds: about a second in all, and 20 MB of text."""

STEP: Final = 50
ITEM: Final = 10
MAX_NODES: Final = 10_000
"""Parts of one template's syntax tree: compiling takes some 30 µs and 15 KiB each."""

MAX_TOKENS: Final = 40_000
"""Words and signs of one template, before they are made a tree."""

_STR_METHODS = words("""
    capitalize casefold center count endswith find format index isalnum isalpha isascii isdecimal isdigit isidentifier
    islower isnumeric isspace istitle isupper join ljust lower lstrip partition removeprefix removesuffix replace rfind
    rindex rjust rpartition rsplit rstrip split splitlines startswith strip swapcase title upper zfill
    """)
_MAPPING_METHODS = frozenset({"get", "items", "keys", "values"})
_SEQUENCE_METHODS = frozenset({"count", "index"})
# Those that ask the clock, and a generator without end. A backfill run again must see the same values.
_DATE_DENIED = frozenset({"now", "utcnow", "today", "tomorrow", "yesterday", "local", "range", "age"})
_CLASS_METHODS = frozenset({"strptime", "fromisoformat", "combine", "min", "max"})
_KEPT_FILTERS = words("""
    abs batch capitalize center count d default dictsort filesizeformat first float format groupby indent int items join
    last length list lower map max min reject rejectattr replace reverse round select selectattr slice sort string sum
    title tojson trim truncate unique upper urlencode wordcount
    """)
_COMPARING_TESTS = words("in eq equalto ne lt lessthan gt greaterthan le ge") | {"==", "!=", "<", ">", "<=", ">="}
_GLOBALS: dict[str, Any] = {"dict": dict, "namespace": Namespace}
_IDENTIFIER = re.compile(r"[A-Za-z_][A-Za-z0-9_]*(\.[A-Za-z_][A-Za-z0-9_]*){0,2}")


class ExpressionError(Exception):
    """Carries the number of the `{{ … }}` that raised; the cause says what."""

    def __init__(self, index: int) -> None:
        super().__init__(index)
        self.index = index


class FieldContext(JinjaContext):
    """One rendering: names from our mapping, without copying it, and the budget."""

    def __init__(self, environment: FieldEnvironment, names: Mapping[str, Any]) -> None:
        # not super().__init__: that copies every name, which would compute every macro
        self.parent = names  # type: ignore[assignment]
        self.vars = {}
        self.environment = environment
        self.eval_ctx = environment.eval_ctx
        self.exported_vars = set()
        self.name = None
        self.globals_keys = set()
        self.blocks = {}
        self.left = WORK

    def resolve_or_missing(self, key: str) -> Any:
        try:
            return self.parent[key]
        except KeyError:
            return self.environment.globals.get(key, missing)

    def spend(self, amount: int) -> None:
        """Pays for work about to be done or just done.

        Raises:
            SecurityError: The budget of this rendering is used up.
        """
        self.left -= amount
        if self.left < 0:
            raise SecurityError("the template does more work than a field may")

    def items_of(self, iterable: Iterable[Any]) -> Iterator[Any]:
        """The same items, each paid for."""
        if isinstance(iterable, timedelta):  # pendulum's interval is one, and yields each of its days
            raise SecurityError("a span of time cannot be looped over")
        for item in iterable:
            self.spend(STEP)
            yield item

    def weigh(self, value: Any) -> Any:
        """`value` itself, after paying for all it holds: lists that hold each other grow exponentially when printed."""
        if isinstance(value, str | bytes):
            if len(value) > MAX_TEXT:
                raise SecurityError(f"a text of {len(value):,} characters is over the limit of {MAX_TEXT:,}")
            self.spend(len(value))
        elif isinstance(value, list | tuple):
            self.spend(STEP)
            for item in value:
                self.weigh(item)
        elif isinstance(value, dict):
            self.spend(STEP)
            for key, item in value.items():
                self.weigh(key)
                self.weigh(item)
        else:
            check_number(value)
            self.spend(ITEM)
        return value

    def pay(self, value: Any) -> Any:
        """`value` itself, after paying for looking at all of it, as a comparison or a filter may.

        Cheaper than `weigh`, and without its bound: what a conf or an XCom holds may be looked at whatever its size.
        """
        if isinstance(value, str | bytes):
            self.spend(len(value) // 4)
        elif isinstance(value, range):
            self.spend(len(value))
        elif isinstance(value, list | tuple | dict):
            self.spend(len(value) * ITEM)
            for item in value.values() if isinstance(value, dict) else value:
                if isinstance(item, str | list | tuple | dict):
                    self.pay(item)
        return value


class FieldEnvironment(ImmutableSandboxedEnvironment):
    """The sandbox. One instance serves every field; it holds no state of a rendering."""

    code_generator_class = FieldCodeGenerator
    intercepted_binops = frozenset({"*", "**", "%", "+"})
    undefined_error = jinja2.UndefinedError
    expression_error = ExpressionError
    left_alone = jinja2.StrictUndefined(name="")
    globals: dict[str, Any]

    def __init__(self) -> None:
        # optimized=False: constant folding would run filters at compile time, outside of any budget
        super().__init__(undefined=jinja2.StrictUndefined, keep_trailing_newline=True, optimized=False)
        self.filters = {name: _metered(name, FILTERS[name]) for name in _KEPT_FILTERS}
        self.filters.update({name: _metered(name, function) for name, function in DATE_FILTERS.items()})
        self.filters["identifier"] = identifier
        self.filters["_items"] = _items
        self.tests.update({name: _paid(self.tests[name]) for name in _COMPARING_TESTS})
        self.globals.clear()
        self.globals.update(_GLOBALS, range=_range)
        self.eval_ctx = EvalContext(self)

    # -- names of things ---------------------------------------------------------------------------------------------

    def getattr(self, obj: Any, attribute: str) -> Any:
        if attribute.startswith("_"):
            raise SecurityError(f"'{attribute}' is private")
        if isinstance(obj, Mapping):  # keys before methods: conf.items is the key, if there is one
            if attribute in obj:
                return obj[attribute]
            if attribute in _MAPPING_METHODS:
                return getattr(obj, attribute)
            return self.undefined(obj=obj, name=attribute)
        if isinstance(obj, View | Namespace):
            return self._of_view(obj, attribute)
        if isinstance(obj, str) and attribute == "format":
            return partial(self._format, obj)
        try:
            value = getattr(obj, attribute)
        except AttributeError:
            return self.undefined(obj=obj, name=attribute)
        if not _is_allowed(obj, attribute):
            raise SecurityError(f"'{attribute}' of a {type(obj).__name__} is not available in templates")
        return value

    def _of_view(self, obj: View | Namespace, attribute: str) -> Any:
        if isinstance(obj, View) and attribute not in obj.template_names:
            return self.undefined(obj=obj, name=attribute)
        try:
            return getattr(obj, attribute)
        except AttributeError:
            return self.undefined(obj=obj, name=attribute)

    def getitem(self, obj: Any, argument: Any) -> Any:
        if isinstance(obj, str | Sequence | Mapping):
            try:
                return obj[argument]
            except (LookupError, TypeError):
                if not isinstance(argument, str):
                    return self.undefined(obj=obj, name=argument)
        return self.getattr(obj, str(argument))

    # -- calls and operators -----------------------------------------------------------------------------------------

    def call(__self, __context: Any, __obj: Any, *args: Any, **kwargs: Any) -> Any:  # noqa: N805 - kwargs may be "self"
        __context.spend(STEP)
        kwargs.pop("_loop_vars", None)  # Jinja's own, for callables that take the context; none of ours does
        kwargs.pop("_block_vars", None)
        owner = getattr(__obj, "__self__", None)
        if isinstance(owner, str):
            __context.spend(len(owner))
            check_method(__obj.__name__, owner, args)
        elif isinstance(owner, list | tuple):
            __context.pay(owner)
        elif not isinstance(owner, dict):  # dates and helpers: slow, and their texts are formats or documents
            __context.spend(3 * STEP + sum(ITEM * len(one) for one in args if isinstance(one, str)))
        if isinstance(owner, TaskInstanceView) and __obj.__name__ == "xcom_pull":
            return __self._pull(owner, args, kwargs)
        if isinstance(__obj, jinja2.Undefined):
            return __obj()  # raises, naming it
        if not callable(__obj):
            raise SecurityError(f"a {type(__obj).__name__} cannot be called")
        return __context.weigh(__obj(*args, **kwargs))

    def _pull(self, ti: TaskInstanceView, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """An XCom; a missing one counts as undefined, so that `{{ … }}` stays as written and `default(…)` works."""
        if "default" in kwargs or len(args) > 2:
            return ti.xcom_pull(*args, **kwargs)
        found = ti.find_xcom(*args, **kwargs)
        if found is MISSING:
            task_ids = kwargs.get("task_ids", args[0] if args else None)
            return self.undefined(f"no XCom of task {task_ids!r}")
        return [None if item is MISSING else item for item in found] if isinstance(found, list) else found

    def call_binop(self, context: Any, operator: str, left: Any, right: Any) -> Any:
        context.spend(STEP)
        check_operator(operator, left, right)
        return context.weigh(self.binop_table[operator](left, right))

    def join_text(self, context: FieldContext, values: tuple[Any, ...]) -> str:
        """`a ~ b`, and the text collected by a set block."""
        texts = [str(value) for value in values]
        return str(context.weigh("".join(texts)))

    def _format(self, template: str, /, *args: Any, **kwargs: Any) -> str:
        check_format(template, (*args, *kwargs.values()), "{")
        return SandboxedFormatter(self).vformat(template, args, kwargs)


# --- what may be touched --------------------------------------------------------------------------------------------


def _is_allowed(obj: Any, attribute: str) -> bool:
    if isinstance(obj, str):
        return attribute in _STR_METHODS
    if isinstance(obj, list | tuple):
        return attribute in _SEQUENCE_METHODS
    if isinstance(obj, date | time | timedelta | tzinfo):
        return attribute not in _DATE_DENIED
    if isinstance(obj, LoopContext):
        return True
    if isinstance(obj, type):
        return issubclass(obj, datetime | timedelta) and attribute in _CLASS_METHODS
    return False


def _metered(name: str, function: Callable[..., Any]) -> Callable[..., Any]:
    """The filter with its growth checked first and its result paid for."""
    wants = _PassArg.from_obj(function)

    @jinja2.pass_context
    @wraps(function, updated=())
    def metered(context: FieldContext, value: Any, *args: Any, **kwargs: Any) -> Any:
        context.spend(STEP)
        if isinstance(value, Iterable) and not isinstance(value, str | list | tuple | dict | jinja2.Undefined):
            value = list(context.items_of(value))
        context.pay(value)
        check_filter(name, value, args, kwargs)
        first = {
            None: (),
            _PassArg.context: (context,),
            _PassArg.eval_context: (context.eval_ctx,),
            _PassArg.environment: (context.environment,),
        }[wants]
        result = function(*first, value, *args, **kwargs)
        # Markup would escape what is later joined to it; a field is no HTML
        return context.weigh(str(result) if isinstance(result, str) and type(result) is not str else result)

    return metered


def _paid(test: Any) -> Callable[..., bool]:
    """The test with both sides paid for."""

    @jinja2.pass_context
    def paid(context: FieldContext, value: Any, *args: Any) -> bool:
        return bool(test(context.pay(value), *map(context.pay, args)))

    return paid


@jinja2.pass_context
def _items(context: FieldContext, value: Any) -> Iterator[Any]:
    """What every `{% for %}` runs over: each round is paid for."""
    return context.items_of(value)


def _range(*args: int) -> range:
    found = range(*args)
    if len(found) > MAX_TEXT:
        raise SecurityError(f"range of {len(found):,} items is over the limit of {MAX_TEXT:,}")
    return found


def identifier(value: object) -> str:
    """The value, if it is a plain name like `sales` or `mart.sales`: the one way data may become a name in SQL.

    Raises:
        SecurityError: It is anything else.
    """
    text = str(value)
    if not isinstance(value, str) or not _IDENTIFIER.fullmatch(text):
        raise SecurityError(f"{text[:60]!r} is no plain name (letters, digits, _, at most two dots)")
    return text


# --- compiling ------------------------------------------------------------------------------------------------------

Root = Callable[[FieldContext], Iterator[Any]]
_STATEMENTS = (nodes.Output, nodes.For, nodes.If, nodes.Assign, nodes.AssignBlock, nodes.With)


class Sandbox:
    """Parses and compiles fields. `shared()` gives the one of this process."""

    _shared: ClassVar[Sandbox | None] = None

    def __init__(self) -> None:
        self.environment = FieldEnvironment()

    @classmethod
    def shared(cls) -> Sandbox:
        """The one instance; making a second one in a race is harmless."""
        if cls._shared is None:
            cls._shared = cls()
        return cls._shared

    def parse(self, text: str) -> nodes.Template:
        """The syntax tree, after refusing what a field has no use for.

        Raises:
            jinja2.TemplateSyntaxError: It does not parse, or uses a statement or attribute that is not available.
        """
        tree = self.environment.parse(text)
        for number, node in enumerate(tree.find_all(nodes.Node)):
            if number > MAX_NODES:
                raise jinja2.TemplateSyntaxError(f"it has more than {MAX_NODES:,} parts", node.lineno)
            self._refuse(node)
        for loop in list(tree.find_all(nodes.For)):
            loop.iter = nodes.Filter(loop.iter, "_items", [], [], None, None, lineno=loop.lineno)
        return tree

    @staticmethod
    def _refuse(node: nodes.Node) -> None:
        problem = ""
        if isinstance(node, nodes.Stmt) and not isinstance(node, _STATEMENTS):
            problem = f"the statement {type(node).__name__.lower()} is not available in a field"
        elif isinstance(node, nodes.For) and node.recursive:
            problem = "a recursive loop is not available in a field"
        elif isinstance(node, nodes.Getattr) and node.attr.startswith("_"):
            problem = f"'{node.attr}' is private"
        elif isinstance(node, nodes.Name) and (node.name == "self" or node.name.startswith("__")):
            problem = f"'{node.name}' is not available in a field"
        elif isinstance(node, nodes.Call | nodes.Filter | nodes.Test) and (node.dyn_args or node.dyn_kwargs):
            problem = "arguments with * or ** are not available in a field"
        if problem:
            raise jinja2.TemplateSyntaxError(problem, node.lineno)

    def compile(self, tree: nodes.Template) -> Root:
        """The function that yields `str` for literal text and `(number, value)` for each `{{ … }}`."""
        code = self.environment.compile(tree)
        template = jinja2.Template.from_code(self.environment, code, {})
        root: Any = template.root_render_func
        return cast("Root", root)
