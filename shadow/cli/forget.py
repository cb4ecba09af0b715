"""``shadow forget``: the operator's word that a process is dead."""

from __future__ import annotations

import asyncio
import uuid
from typing import Annotated

import typer

from shadow import config
from shadow.cli.options import Config
from shadow.status import control_of


def forget(
    process: Annotated[uuid.UUID, typer.Argument(help="Its id, as `shadow status` shows it.")],
    path: Config = None,
    yes: bool = typer.Option(False, "--yes", help="I know that it is dead: do not ask."),
) -> None:
    """Account for a process that lost its lease. What it may have journalled becomes a debt: a verify pays it."""
    if not yes:
        typer.confirm(
            f"Do you know that {process} is dead, or cut off from the legacy store? A live one may still write to it",
            abort=True,
        )
    typer.echo(asyncio.run(_forget(config.load(path), process)))


async def _forget(settings: config.Settings, process: uuid.UUID) -> str:
    control = control_of(settings)
    try:
        fleet = await control.fleet()
        lease = next((lease for lease in fleet.leases if lease.process.id == process), None)
        if lease is None:
            raise typer.BadParameter(f"{process} is not a process that waits to be accounted for")
        if lease.expires_at >= fleet.now:
            raise typer.BadParameter(f"{process} holds a live lease: it is not dead")
        await control.account(process, "forgotten by an operator")
    finally:
        await control.disconnect()
    return f"{process} is accounted for; its entities owe a verify"
