"""`bfill completion`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import typer

from backfill_cli.cli.bundles import spread
from backfill_cli.cli.help import Command
from backfill_cli.cli.output import Output
from backfill_cli.cli.shared import Looking

_EXAMPLES = """
bfill completion bash > ~/.local/share/bash-completion/completions/bfill
bfill completion zsh  > ~/.zfunc/_bfill          # a folder of $fpath
bfill completion fish > ~/.config/fish/completions/bfill.fish
source <(bfill completion bash)                  # for this shell alone
"""

app = typer.Typer(add_completion=False, rich_markup_mode=None, pretty_exceptions_enable=False)


@dataclass(frozen=True, slots=True)
class CompletionFile:
    """The file of one shell, as --json shows it."""

    shell: str
    name: str
    script: str
    exit_code: int = 0

    def data(self) -> dict[str, str]:
        return {"shell": self.shell, "name": self.name, "script": self.script}


@app.command(
    cls=Command,
    epilog=_EXAMPLES,
    help="Print the completion file of a shell: commands, flags and states, and with every TAB the dag ids, backfill"
    " ids, tasks, dates and scenarios there are. No DAG file is run for it.",
)
@spread
def completion(
    shell: Annotated[str, typer.Argument(metavar="SHELL", help="bash, zsh or fish.")],
    *,
    shared: Looking,
) -> int:
    """Print one file."""
    from backfill_cli.cli.completions import FILES, script
    from backfill_cli.core.graph import near_hint
    from backfill_cli.errors import UsageProblem

    if shell not in FILES:
        raise UsageProblem(f"there is no completion for '{shell}'", hint=near_hint(shell, FILES), code="bad-value")
    file = CompletionFile(shell, FILES[shell], script(shell))
    if shared.json:
        return Output("completion", shared).result(file)
    typer.echo(file.script, nl=False)
    return 0
