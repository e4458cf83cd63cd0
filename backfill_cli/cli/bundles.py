"""Options in bundles: a command says `selection: Selection` and Typer sees the flags of that dataclass.

Owns `spread`. A bundle is a dataclass whose fields are `Annotated[type, typer.Option(…)]` with a default; what several
commands share is written once, and a command receives it as one value.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import MISSING, fields, is_dataclass
from typing import Any, TypeVar, get_type_hints

Result = TypeVar("Result")


def spread(function: Callable[..., Result]) -> Callable[..., Result]:
    """Return the function with each parameter that is a dataclass replaced by that dataclass's fields.

    Raises:
        TypeError: Two bundles have a field of one name: a bug, found when the command is built.
    """
    hints = get_type_hints(function, include_extras=True)
    flat: dict[str, inspect.Parameter] = {}
    bundles: dict[str, tuple[type[Any], list[str]]] = {}
    for name, parameter in inspect.signature(function).parameters.items():
        annotation = hints[name]
        if isinstance(annotation, type) and is_dataclass(annotation):
            made = _parameters(annotation)
            bundles[name] = (annotation, [one.name for one in made])
        else:
            made = [parameter.replace(annotation=annotation, kind=inspect.Parameter.KEYWORD_ONLY)]
        for one in made:
            if one.name in flat:
                raise TypeError(f"option '{one.name}' comes twice in {function.__name__}")
            flat[one.name] = one

    def call(**values: Any) -> Result:
        filled = {name: kind(**{one: values.pop(one) for one in owned}) for name, (kind, owned) in bundles.items()}
        return function(**filled, **values)

    call.__name__ = function.__name__
    call.__doc__ = function.__doc__
    call.__signature__ = inspect.Signature(list(flat.values()))  # type: ignore[attr-defined]
    call.__annotations__ = {name: one.annotation for name, one in flat.items()}
    return call


def _parameters(bundle: type[Any]) -> list[inspect.Parameter]:
    hints = get_type_hints(bundle, include_extras=True)
    made = []
    for field in fields(bundle):
        default = field.default if field.default is not MISSING else inspect.Parameter.empty
        made.append(
            inspect.Parameter(field.name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=hints[field.name])
        )
    return made
