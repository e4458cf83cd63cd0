"""Scenario files by number (`17.7.2`, `17_07_02`, `17_07_02_backfill_without_idempotency`), and what a file says.

Owns the folder, the spelling, and the reading of docstring and `TAGS`. A scenario is a DAG file like any other; its DAG
is `scenario_17_07_02`. Nothing here runs one: a list of all of them costs the parsing of their text.
"""

from __future__ import annotations

import ast
import re
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from backfill_cli.core.scenarios import SECTIONS, Scenario
from backfill_cli.errors import DefinitionError, NotFoundError
from backfill_cli.loader.places import Place, short_path

_NUMBER = re.compile(r"(\d{1,2})[._](\d{1,2})[._](\d{1,2})(?:_(\w+?))?(?:\.py)?")
_GROUP = re.compile(r"(\d{1,2})[._](\d{1,2})")


def scenario_folder() -> Path:
    """Return the folder of the scenarios: inside the installed package, or beside it in a working copy."""
    package = Path(__file__).parent.parent
    shipped = package / "_scenarios"
    return shipped if shipped.is_dir() else package.parent / "scenarios"


def scenario_files(folder: Path | None = None) -> dict[str, Path]:
    """Return the scenario files by number (`17_07_02`), in order."""
    files = sorted((folder or scenario_folder()).glob("[0-9][0-9]_[0-9][0-9]_[0-9][0-9]_*.py"))
    return {file.name[:8]: file for file in files}


def find_scenario(name: str, folder: Path | None = None) -> Path | None:
    """Return the file a number or file name means, None when it means none."""
    found = _NUMBER.fullmatch(name)
    if found is None:
        return None
    number = "_".join(f"{int(part):02}" for part in found.groups()[:3])
    file = scenario_files(folder).get(number)
    return file if file is not None and found[4] in (None, file.stem[9:]) else None


def scenario_dag_id(file: Path) -> str:
    """Return the dag_id of a scenario file."""
    return f"scenario_{file.name[:8]}"


def looks_like_number(name: str) -> bool:
    """Whether somebody who types this means a scenario."""
    return _NUMBER.fullmatch(name) is not None


def short_number(number: str) -> str:
    """Return `17_07_02` as people say it: `17.7.2`."""
    return ".".join(str(int(part)) for part in number.split("_"))


def read_scenario(file: Path) -> Scenario:
    """Return what a scenario file says of itself, without running it.

    Raises:
        DefinitionError: It is not Python, a section of its docstring is missing, or `TAGS` is no list of texts.
    """
    try:
        tree = ast.parse(file.read_bytes())
    except (SyntaxError, ValueError) as error:
        line = getattr(error, "lineno", None) or 1
        raise DefinitionError(f"is not Python: {error}", where=str(Place(str(file), line))) from error
    lesson, about = _about(ast.get_docstring(tree) or "", file)
    number = file.name[:8]
    return Scenario(
        short_number(number), file.stem[9:], scenario_dag_id(file), lesson, about, _tags(tree, file), str(file)
    )


def all_scenarios(folder: Path | None = None) -> list[Scenario]:
    """Return every scenario of the folder, by number. Raises DefinitionError as `read_scenario` does."""
    return [read_scenario(file) for file in scenario_files(folder).values()]


def one_scenario(name: str) -> Scenario:
    """Return the scenario of a number or file name. Raises NotFoundError with near numbers."""
    file = find_scenario(name.strip())
    if file is None:
        raise _unknown(name)
    return read_scenario(file)


def choose_scenarios(names: Sequence[str], tag: str | None = None) -> list[Scenario]:
    """Return the scenarios of these numbers, in order; `17.3` takes its group, and no number at all takes all.

    Args:
        tag: Only those that have it.

    Raises:
        NotFoundError: A number or tag that no scenario has.
    """
    known = all_scenarios()
    if tag is not None and not any(tag in one.tags for one in known):
        tags = sorted(tag_counts(known))
        from backfill_cli.core.graph import near_hint

        raise NotFoundError(f"no scenario has the tag '{tag}'", hint=near_hint(tag, tags), code="unknown-tag")
    wanted = {one.path for name in names for one in _named(name.strip(), known)}
    return [one for one in known if (not names or one.path in wanted) and (tag is None or tag in one.tags)]


def tag_counts(scenarios: Sequence[Scenario]) -> dict[str, int]:
    """Return tag → how many of the scenarios have it, in the order they first come."""
    return dict(Counter(tag for one in scenarios for tag in one.tags))


def _named(name: str, known: Sequence[Scenario]) -> list[Scenario]:
    group = _GROUP.fullmatch(name)
    if group is None:
        return [one_scenario(name)]
    prefix = f"{int(group[1])}.{int(group[2])}."
    found = [one for one in known if one.number.startswith(prefix)]
    if not found:
        raise _unknown(name)
    return found


def _unknown(name: str) -> NotFoundError:
    numbers = [short_number(number) for number in scenario_files()]
    from backfill_cli.core.graph import near_hint

    hint = near_hint(name, numbers, otherwise="see all of them with: bfill scenario list")
    return NotFoundError(f"there is no scenario '{name}'", hint=hint, code="unknown-scenario")


def _about(docstring: str, file: Path) -> tuple[str, dict[str, str]]:
    """The first line, and the text of each section, its lines joined; an empty line inside one stays a break."""
    lesson, _, rest = docstring.partition("\n")
    heads = "|".join(re.escape(one) for one in SECTIONS)
    parts = re.split(rf"^({heads}):", rest, flags=re.MULTILINE)
    texts = dict(zip(parts[1::2], parts[2::2], strict=True))
    missing = [one for one in SECTIONS if not texts.get(one, "").strip()]
    if missing or not lesson.strip() or list(texts) != list(SECTIONS):
        lacks = f"lacks '{missing[0]}:'" if missing else "has no first line, or its sections in another order"
        raise DefinitionError(
            f"the scenario's docstring {lacks}",
            hint="the lesson, then paragraphs that begin with " + ", ".join(f"'{one}:'" for one in SECTIONS),
            code="scenario-docstring",
            where=str(Place(str(file), 1)),
        )
    return lesson.strip().rstrip("."), {head: _joined(texts[head]) for head in SECTIONS}


def _joined(text: str) -> str:
    return "\n".join(" ".join(part.split()) for part in re.split(r"\n\s*\n", text.strip()))


def _tags(tree: ast.Module, file: Path) -> tuple[str, ...]:
    for node in tree.body:
        if isinstance(node, ast.Assign) and [getattr(one, "id", "") for one in node.targets] == ["TAGS"]:
            try:
                tags = ast.literal_eval(node.value)
            except ValueError:
                break
            if tags and isinstance(tags, list) and all(isinstance(tag, str) for tag in tags):
                return tuple(tags)
    raise DefinitionError(
        f"{short_path(file)} has no TAGS",
        hint='write them as a list of texts: TAGS = ["reference", "beginner"]',
        code="scenario-tags",
    )
