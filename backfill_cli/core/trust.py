"""What a `{{ … }}` refers to, read from its syntax tree without running it.

Owns two answers: whether its value can only be the DAG author's own words (`Trust`), and which conf keys, params,
variables, connections and XComs it names (`References`). Quoting needs the first, `plan`'s warnings the second.

The idea of trust fails closed: an expression is data unless every part of it is a date macro, an identifier of the run,
a constant, or a function of those from a short list. Even then `core/quoting.py` looks at the resulting characters.
"""

from __future__ import annotations

from collections.abc import Iterator

from jinja2 import nodes

from backfill_cli.core.holes import References, Trust, words
from backfill_cli.core.macros import DATE_FILTERS, DATE_MACROS

_NAMES = (
    (frozenset(DATE_MACROS) - {"macros"})
    | {"run_id", "try_number"}
    | {f"prev_{part}_success" for part in ("data_interval_start", "data_interval_end", "start_date")}
)
_ATTRIBUTES = {
    "dag": {"dag_id", "timezone", "start_date"},
    "dag_run": {"dag_id", "run_id", "run_type", "logical_date", "execution_date"}
    | {"data_interval_start", "data_interval_end"},
    "task": {"task_id", "dag_id", "retries"},
    "ti": {"task_id", "dag_id", "run_id", "try_number", "max_tries", "logical_date", "execution_date"},
    "macros": {"ds_add", "ds_format", "datetime", "timedelta", "relativedelta", "datetime_diff_for_humans"},
}
_ATTRIBUTES["task_instance"] = _ATTRIBUTES["ti"]
_SHAPING_FILTERS = frozenset(DATE_FILTERS) | words("""
    abs capitalize center default d first int float last lower replace round string title trim upper format
    """)
# whatever goes in, a number or a plain name comes out
_CLEANING_FILTERS = frozenset({"int", "float", "length", "count", "wordcount", "identifier"})


def trust_of(node: nodes.Expr, assigned: frozenset[str]) -> Trust:
    """Where the text of this expression comes from.

    Args:
        assigned: Names the template itself binds (`set`, `for`, `with`); they hide macros, so none of them is trusted.
    """
    if _is_constant(node):
        return Trust.CONSTANT
    return Trust.MACRO if _is_trusted(node, assigned) else Trust.DATA


def _is_constant(node: nodes.Expr) -> bool:
    if isinstance(node, nodes.CondExpr):  # the condition only chooses between two texts of the author's
        return _is_constant(node.expr1) and (node.expr2 is None or _is_constant(node.expr2))
    return isinstance(node, nodes.Const)


def _is_trusted(node: nodes.Node | None, assigned: frozenset[str]) -> bool:
    def all_of(*parts: nodes.Node | None) -> bool:
        return all(part is None or _is_trusted(part, assigned) for part in parts)

    match node:
        case nodes.Const() | nodes.Compare() | nodes.Not() | nodes.Test():
            return True  # constants; and yes-or-no answers, which print True or False
        case nodes.Name():
            return node.name in _NAMES and node.name not in assigned
        case nodes.Getattr(node=nodes.Name(name=base)) if base in _ATTRIBUTES:
            return base not in assigned and node.attr in _ATTRIBUTES[base]
        case nodes.Getattr():
            return all_of(node.node)
        case nodes.Getitem():
            return all_of(node.node, node.arg)
        case nodes.Slice():
            return all_of(node.start, node.stop, node.step)
        case nodes.Filter() if node.name in _CLEANING_FILTERS:
            return all_of(*node.args, *node.kwargs)
        case nodes.Filter() if node.name in _SHAPING_FILTERS:
            return all_of(node.node, *node.args, *node.kwargs)
        case nodes.Call():
            return all_of(node.node, *node.args, *node.kwargs)
        case nodes.Keyword():
            return all_of(node.value)
        case nodes.CondExpr():
            return all_of(node.expr1, node.expr2)
        case nodes.BinExpr():  # arithmetic, `and`, `or`
            return all_of(node.left, node.right)
        case nodes.UnaryExpr():
            return all_of(node.node)
        case nodes.Concat():
            return all_of(*node.nodes)
    return False


def assigned_names(tree: nodes.Template) -> frozenset[str]:
    """Names the template binds anywhere, whatever their scope: wider than needed, never narrower."""
    names = {node.name for node in tree.find_all(nodes.Name) if node.ctx in ("store", "param")}
    if tree.find(nodes.For):
        names.add("loop")
    return frozenset(names | {node.name for node in tree.find_all(nodes.NSRef)})


def uses_xcom(node: nodes.Node) -> bool:
    """Whether the expression pulls an XCom."""
    return any(call.attr == "xcom_pull" for call in (*node.find_all(nodes.Getattr), *_itself(node)))


def _itself(node: nodes.Node) -> Iterator[nodes.Getattr]:
    if isinstance(node, nodes.Getattr):
        yield node


def references_of(tree: nodes.Template, assigned: frozenset[str]) -> References:
    """The names a template uses, sorted by what they name."""
    found: dict[str, set[str]] = {
        kind: set() for kind in ("names", "conf", "params", "variables", "connections", "optional")
    }
    attributes: set[tuple[str, str]] = set()
    xcoms: set[tuple[str, str]] = set()
    for node in tree.find_all(nodes.Expr):
        if isinstance(node, nodes.Name) and node.ctx == "load" and node.name not in assigned:
            found["names"].add(node.name)
        elif isinstance(node, nodes.Getattr | nodes.Getitem):
            _sort_path(_path(node), assigned, found, attributes)
        elif isinstance(node, nodes.Call):
            xcoms.update(_pulled(node))
        elif (isinstance(node, nodes.Filter) and node.name in ("default", "d") and node.node is not None) or (
            isinstance(node, nodes.Test) and node.name in ("defined", "undefined")
        ):
            assert node.node is not None
            found["optional"].add(".".join(_path(node.node)))
    return References(
        **{kind: frozenset(names) for kind, names in found.items()},
        xcoms=frozenset(xcoms),
        attributes=frozenset(attributes),
        required=frozenset(_required(tree)),
    )


def _required(tree: nodes.Template) -> Iterator[str]:
    """Dotted names that the outermost `{% if %}` and `{% for %}` always look at.

    Not those in their bodies, in `elif`, or behind `and`, `or`, `if … else`: what stands before may keep them away.
    """
    for node in tree.body:
        if isinstance(node, nodes.If):
            yield from _always_evaluated(node.test)
        elif isinstance(node, nodes.For):
            yield from _always_evaluated(node.iter)


def _always_evaluated(node: nodes.Node) -> Iterator[str]:
    match node:
        case nodes.And() | nodes.Or():
            yield from _always_evaluated(node.left)
        case nodes.CondExpr():
            yield from _always_evaluated(node.test)
        case nodes.Compare():  # a < b < c looks at c only when a < b
            yield from _always_evaluated(node.expr)
            yield from _always_evaluated(node.ops[0])
        case nodes.Filter() if node.name in ("default", "d"):
            pass
        case nodes.Test() if node.name in ("defined", "undefined"):
            pass
        case _:
            yield ".".join(_path(node))
            for child in node.iter_child_nodes():
                yield from _always_evaluated(child)


def _path(node: nodes.Node) -> tuple[str, ...]:
    """`dag_run.conf['a']` → `("dag_run", "conf", "a")`; empty where a step is not constant."""
    steps: list[str] = []
    while True:
        match node:
            case nodes.Name():
                return (node.name, *reversed(steps))
            case nodes.Getattr():
                steps.append(node.attr)
                node = node.node
            case nodes.Getitem(arg=nodes.Const(value=str() as key)):
                steps.append(key)
                node = node.node
            case _:
                return ()


def _sort_path(
    path: tuple[str, ...], assigned: frozenset[str], found: dict[str, set[str]], attributes: set[tuple[str, str]]
) -> None:
    if not path or path[0] in assigned:
        return
    match path:
        case ("conf", key) | ("dag_run", "conf", key) if key not in ("get", "items", "keys", "values"):
            found["conf"].add(key)
        case ("params", key) if key not in ("get", "items", "keys", "values"):
            found["params"].add(key)
        case ("var", "value" | "json", key) if key != "get":
            found["variables"].add(key)
        case ("conn", key) if key != "get":
            found["connections"].add(key)
        case (("macros" | "dag" | "dag_run" | "task" | "ti" | "task_instance" | "var") as base, attribute):
            attributes.add((base, attribute))


def _pulled(call: nodes.Call) -> Iterator[tuple[str, str]]:
    if not (isinstance(call.node, nodes.Getattr) and call.node.attr == "xcom_pull"):
        return
    given = {keyword.key: keyword.value for keyword in call.kwargs}
    task_ids = given.get("task_ids", call.args[0] if call.args else None)
    key = given.get("key", call.args[1] if len(call.args) > 1 else nodes.Const("return_value"))
    if not isinstance(key, nodes.Const):
        return
    for item in task_ids.items if isinstance(task_ids, nodes.List | nodes.Tuple) else (task_ids,):
        if isinstance(item, nodes.Const) and isinstance(item.value, str):
            yield item.value, str(key.value)
