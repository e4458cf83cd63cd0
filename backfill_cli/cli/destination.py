"""Where a report goes and in which format: stdout, a file, or the JSON envelope; what was asked is checked first."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from backfill_cli.cli import streams
from backfill_cli.cli.outfile import private_file, refuse_store, refuse_target
from backfill_cli.errors import UsageProblem

if TYPE_CHECKING:
    from backfill_cli.cli.output import Output
    from backfill_cli.cli.shared import Shared
    from backfill_cli.core.reports import AuditReport

_FLAG = "--out"
_BY_SUFFIX = {".md": "md", ".markdown": "md", ".html": "html", ".htm": "html", ".json": "json", ".csv": "csv"}


@dataclass(frozen=True, slots=True)
class Destination:
    """A format, and the file to write; None is stdout."""

    format: str
    path: Path | None

    @classmethod
    def of(cls, format_: str | None, out: str | None, shared: Shared) -> Destination:
        """Return where `--format` and `--out` lead.

        Raises:
            UsageProblem: Another format, a place no plain file can stand at, or two documents for stdout.
        """
        from backfill_cli.render.audit_report import FORMATS

        if format_ is not None and format_ not in FORMATS:
            from backfill_cli.core.graph import near_hint

            raise UsageProblem(
                f"--format '{format_}' is none of {', '.join(FORMATS)}",
                hint=near_hint(format_, FORMATS, otherwise="bfill audit report --format html"),
                code="bad-value",
            )
        if out == "":
            raise UsageProblem("--out needs a name", hint="name a file, or - for standard output", code="bad-value")
        path = None if out in (None, "-") else Path(str(out))
        if path is None:
            if shared.json and format_ not in (None, "json"):
                raise UsageProblem(
                    f"--json and --format {format_} both want standard output",
                    hint=f"leave out one of them, or add --out report.{format_}",
                    code="two-outputs",
                )
            return cls(format_ or "md", None)
        refuse_target(_FLAG, path)
        return cls(format_ or _BY_SUFFIX.get(path.suffix.lower(), "md"), path)

    def write(self, report: AuditReport, output: Output) -> int:
        """Write the report and return the exit code: 6 when the chain does not hold, wherever the report went."""
        from backfill_cli.render.audit_report import verdict_words, writer

        pieces = writer(self.format)
        if self.path is not None:
            refuse_store(_FLAG, self.path, report.store)
            with private_file(_FLAG, self.path) as file:
                file.writelines(pieces(report))
        if output.json:
            return output.result(report)
        if not output.quiet:
            output.warn(report.problems)
        if self.path is not None:
            from backfill_cli.render.safe import safe_text

            headline, below = verdict_words(report)
            said = f"{headline}: {below}", f"report  {self.path} ({self.format})"
            return output.text([f"{safe_text(one)}\n" for one in said], report.exit_code)
        if self.format == "md":
            colour = streams.wants_colour(sys.stdout, no_color=output.no_color)
            return output.text(pieces(report, colour=colour), report.exit_code)
        return output.text(pieces(report), report.exit_code)
