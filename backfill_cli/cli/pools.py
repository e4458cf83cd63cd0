"""`bfill pools list|set|delete`."""

from __future__ import annotations

import re
from typing import Annotated

import typer

from backfill_cli.cli.bundles import spread
from backfill_cli.cli.groups import group
from backfill_cli.cli.help import Command
from backfill_cli.cli.output import Output
from backfill_cli.cli.shared import Looking
from backfill_cli.cli.store import Keeping

_SET_EXAMPLES = """
bfill pools set warehouse 4 --description "four connections"
bfill pools set warehouse 0                        # hold its tasks; what runs ends
bfill pools set warehouse -1                       # no limit
"""
_EXAMPLES = f"""
bfill pools list{_SET_EXAMPLES}bfill pools delete warehouse
"""

app = group(
    "Limits on what runs at once, for all processes of a store: how large, who has the slots, what waits.", _EXAMPLES
)


@app.command(
    "list",
    cls=Command,
    short_help="Every pool: its size, who has its slots, what waits.",
    help="Every pool: its slots and who says so (the store, bfill.toml, bfill itself), who has them, what waits.",
    epilog="bfill pools list\nbfill pools list --json",
)
@spread
def list_pools(*, shared: Looking) -> int:
    """List them."""
    from backfill_cli.cli.service import service_for

    return Output("pools list", shared).result(service_for(shared).pools())


@app.command(
    "set",
    cls=Command,
    short_help="Make a pool, or give it another size while things run.",
    help="Make a pool, or give it another size: at once for all processes of the store, those that run included. What"
    " runs is never stopped. -1 is no limit, 0 holds all tasks of the pool. The store goes before bfill.toml.",
    epilog=_SET_EXAMPLES,
    context_settings={"ignore_unknown_options": True},  # -1 is a size
)
@spread
def set_pool(
    words: Annotated[list[str], typer.Argument(metavar="NAME SLOTS", help="The pool, and how many slots it has.")],
    description: Annotated[
        str | None, typer.Option("--description", metavar="TEXT", help="What it protects; '' takes it away.")
    ] = None,
    *,
    shared: Keeping,
) -> int:
    """Set one."""
    from backfill_cli.cli.service import service_for

    name, slots = _split(words)
    result = service_for(shared).set_pool(name, slots, description=description, reason=shared.reason)
    return Output("pools set", shared).result(result)


@app.command(
    "delete",
    cls=Command,
    short_help="Forget a pool; what bfill.toml says of it holds again.",
    help="Forget a pool; what bfill.toml says of it holds again. Asks when a running backfill or a DAG of the dags"
    " folders uses it: their tasks could not be planned any more.",
    epilog="bfill pools delete warehouse\nbfill pools delete warehouse --yes --reason 'moved to another system'",
)
@spread
def delete_pool(
    name: Annotated[str, typer.Argument(metavar="POOL", help="The pool.")],
    *,
    shared: Keeping,
) -> int:
    """Delete one, after asking."""
    from backfill_cli.cli.asking import confirmer
    from backfill_cli.cli.service import service_for

    result = service_for(shared).delete_pool(name, yes=shared.yes, confirm=confirmer(shared), reason=shared.reason)
    return Output("pools delete", shared).result(result)


def _split(words: list[str]) -> tuple[str, str]:
    """Return (name, slots). Raises UsageProblem when a word is missing, left over, or an option nobody knows."""
    from backfill_cli.errors import UsageProblem

    for word in words:
        if word.startswith("-") and not re.fullmatch(r"-\d+", word):
            raise UsageProblem(f"no such option: {word}", hint="see: bfill pools set --help", code="bad-usage")
    if len(words) != 2:
        what = "pools set needs a size" if len(words) == 1 else f"'{words[2]}' is one word too many"
        raise UsageProblem(what, hint="write: bfill pools set NAME SLOTS", code="bad-usage")
    return words[0], words[1]
