"""``shadow demo``: the whole journey of an application on embedded servers, in under two minutes."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Annotated

import typer

_INTERRUPTED = 130
_RECORDS = 6000

JsonFile = Annotated[Path | None, typer.Option("--json", help="Write the verdict to this file.", dir_okay=False)]
ReportFile = Annotated[Path | None, typer.Option("--report", help="Write a report with plots (HTML).", dir_okay=False)]
Records = Annotated[int, typer.Option(min=100, help="About how many records there are before anything begins.")]


def demo(json_file: JsonFile = None, report: ReportFile = None, records: Records = _RECORDS) -> None:
    """Move an application under load from MongoDB to PostgreSQL, back, and forward again, on servers of its own.

    Exit code 1 when anything was lost, failed or is unexplained.
    """
    from shadow.demo.report import write  # only here: the demo is no part of what other commands load
    from shadow.demo.run import demo as run
    from shadow.demo.screen import print_verdict, screen

    try:
        verdict, board = asyncio.run(run(screen(), records))
    except KeyboardInterrupt:
        typer.echo("interrupted; the servers are stopped", err=True)
        raise typer.Exit(_INTERRUPTED) from None
    print_verdict(verdict)
    if json_file is not None:
        json_file.write_text(json.dumps(verdict.as_json(), indent=2) + "\n", encoding="utf-8")
    if report is not None:
        write(report, verdict, board)
        typer.echo(f"report: {report}")
    raise typer.Exit(1 if verdict.problems else 0)
