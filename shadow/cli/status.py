"""``shadow status``: one table of entities, one of processes."""

from __future__ import annotations

import asyncio
import json
from dataclasses import asdict

import typer
from rich.console import Console
from rich.table import Table

from shadow import config
from shadow.cli.options import Config
from shadow.status import EntityStatus, ProcessStatus, Status
from shadow.status import status as ask


def status(path: Config = None, as_json: bool = typer.Option(False, "--json", help="Print JSON.")) -> None:
    """Show where every entity stands, what blocks it, what is open, and which processes are there."""
    found = asyncio.run(ask(config.load(path)))
    if as_json:
        typer.echo(json.dumps(asdict(found), indent=2))
        return
    console = Console()
    console.print(_entities(found))
    console.print(_processes(found))


def _entities(found: Status) -> Table:
    table = Table(
        "entity", "phase", "step", "backfill", "marks", "oldest", "refused", "debts", "what blocks the next step"
    )
    for each in found.entities:
        table.add_row(*_entity(each))
    return table


def _entity(each: EntityStatus) -> list[str]:
    step = f"{each.step} ({each.stage})" if each.step else "-"
    oldest = f"{each.oldest_mark_age:.1f} s" if each.burden.marks else "-"
    blocked = "\n".join([*([f"breaker: {each.latch}"] if each.latch else []), *each.blocked]) or "nothing"
    counts = [str(each.burden.marks), oldest, str(each.burden.refused), str(each.burden.debts)]
    return [each.entity, each.phase, step, each.backfill, *counts, blocked]


def _processes(found: Status) -> Table:
    table = Table("process", "where", "command", "lease")
    for each in found.processes:
        table.add_row(each.id, each.where, each.command, _lease(each))
    return table


def _lease(each: ProcessStatus) -> str:
    if each.lease_seconds >= 0:
        return f"{each.lease_seconds:.1f} s left"
    return f"lapsed {-each.lease_seconds:.0f} s ago: `shadow forget {each.id}` if it is dead"
