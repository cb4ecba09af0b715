"""``shadow check``: hold the configuration against the live stores."""

from __future__ import annotations

import asyncio

import typer
from rich.console import Console
from rich.table import Table

from shadow import config
from shadow.check import Finding, Level
from shadow.check import check as run
from shadow.cli.options import Config

_COLOURS = {Level.ERROR: "red", Level.WARNING: "yellow", Level.NOTE: "dim"}


def check(
    path: Config = None,
    samples: int = typer.Option(200, min=0, help="Documents of each collection to try on its table."),
) -> None:
    """Say what would go wrong: stores, tables, columns, documents that new would refuse, clients that are not Shadow's.

    Nothing is changed. Exit code 1 when there are errors.
    """
    findings = asyncio.run(run(config.load(path), samples=samples))
    console = Console()
    if console.is_terminal:
        console.print(_table(findings))
    else:
        typer.echo("\n".join(map(str, findings)) or "everything fits")
    raise typer.Exit(any(finding.level is Level.ERROR for finding in findings))


def _table(findings: list[Finding]) -> Table:
    table = Table("", "where", "what", "the way out", show_lines=False)
    for finding in findings:
        colour = _COLOURS[finding.level]
        table.add_row(f"[{colour}]{finding.level}[/]", finding.where, finding.what, finding.fix)
    if not findings:
        table.add_row("[green]ok[/]", "everything", "fits", "")
    return table
