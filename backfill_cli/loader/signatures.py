"""Which parameters of a Python task the engine fills, found out when the DAG is loaded.

Owns the comparison of a function's signature with what the call passes and what the macros know, so that a misspelt
parameter is an error at load and not at three in the morning.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from typing import Any

from backfill_cli.core.graph import near_hint
from backfill_cli.errors import DefinitionError
from backfill_cli.loader.options import Owner


def filled_by_engine(
    owner: Owner, function: Callable[..., Any], args: tuple[Any, ...], kwargs: Mapping[str, Any]
) -> tuple[str, ...]:
    """Return the names of the parameters to fill: macros, `context`, and `**` when the function takes all.

    Args:
        args, kwargs: What the call passes; a passed argument wins over the macro of its name.

    Raises:
        DefinitionError: The call does not fit the signature, or a required parameter is neither passed nor a macro.
    """
    import inspect

    from backfill_cli.core.macros import MACRO_NAMES

    name = name_of(function)
    if inspect.iscoroutinefunction(function) or inspect.isasyncgenfunction(function):
        raise DefinitionError(
            f"{owner.label}: {name} is asynchronous",
            hint=f"write a plain function that calls asyncio.run({name}(…))",
            code="bad-callable",
            where=owner.where,
        )
    try:
        signature = inspect.signature(function)
    except (ValueError, TypeError):
        return ()  # some built-ins have no signature: they take what the call passes
    try:
        passed = signature.bind_partial(*args, **kwargs).arguments
    except TypeError as error:
        raise DefinitionError(
            f"{owner.label}: {name}{_short(signature)} cannot be called so: {error}",
            hint="pass what its parameters name",
            code="bad-call",
            where=owner.where,
        ) from None
    fill: list[str] = []
    for parameter in signature.parameters.values():
        if parameter.kind is parameter.VAR_KEYWORD:
            fill.append("**")
        elif parameter.kind is parameter.VAR_POSITIONAL or parameter.name in passed:
            continue
        elif parameter.kind is not parameter.POSITIONAL_ONLY and parameter.name in MACRO_NAMES | {"context"}:
            fill.append(parameter.name)
        elif parameter.default is parameter.empty:
            raise DefinitionError(
                f"{owner.label}: parameter '{parameter.name}' of {name} is neither passed nor a macro",
                hint=near_hint(
                    parameter.name,
                    MACRO_NAMES,
                    otherwise="pass it at the call, give it a default, or name it after a macro: ds, logical_date …",
                ),
                code="unknown-parameter",
                where=owner.where,
            )
    return tuple(fill)


def name_of(function: Any) -> str:
    """Return what people call a function: its name, also through `functools.partial`."""
    while isinstance(function, functools.partial):
        function = function.func
    return getattr(function, "__name__", None) or type(function).__name__


def _short(signature: Any) -> str:
    return "(" + ", ".join(signature.parameters) + ")"
