"""``shadow clear``: the operator's word that what tripped a breaker is over."""

from __future__ import annotations

import asyncio
import getpass
from typing import Annotated

import typer

from shadow import config
from shadow.cli.options import Config
from shadow.protocol.conductor import latched
from shadow.status import control_of


def clear(
    entity: Annotated[str, typer.Argument(help="Its name, as `shadow status` shows it.")],
    why: Annotated[str, typer.Option(help="What was done about the cause: goes into the audit log.")],
    path: Config = None,
) -> None:
    """Clear an entity's breaker: the fleet goes again where the flag wants it, as gates allow."""
    typer.echo(asyncio.run(_clear(config.load(path), entity, why)))


async def _clear(settings: config.Settings, entity: str, why: str) -> str:
    control = control_of(settings)
    try:
        state = (await control.fleet()).entities.get(entity)
        if state is None or state.latch is None:
            raise typer.BadParameter(f"no breaker holds {entity}")
        change = latched(state, None, f"operator {getpass.getuser()}", why)
        if not await control.transition(change):
            raise typer.BadParameter(f"{entity} has just moved: try again")
    finally:
        await control.disconnect()
    return f"{entity} is no longer held; it was because {state.latch}"
