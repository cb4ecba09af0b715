"""``shadow advance`` and ``shadow rollback``: change what is wanted, in the one place that says it."""

from __future__ import annotations

import asyncio
import os
import re
import tempfile
from pathlib import Path
from typing import Annotated

import typer

from shadow import config
from shadow.cli.options import Config, Entity
from shadow.config import EntitySettings
from shadow.status import status
from shadow_flags.phases import PHASES, Phase, Store, neighbours


def advance(
    entity: Entity,
    to: Annotated[
        Phase | None, typer.Option(help="The phase wanted [default: the next one]", show_default=False)
    ] = None,
    yes: bool = typer.Option(False, "--yes", help="Do not ask before the point of no return."),
    path: Config = None,
) -> None:
    """Want a later phase. The fleet goes there step by step, as gates allow."""
    settings = config.load(path)
    now = _settled(settings, entity)
    target = to or _ahead(now)
    if target.rank <= now.rank:
        raise typer.BadParameter(f"{entity} is in {now} already; use rollback to go back")
    if target is Phase.NEW and not yes:
        typer.confirm(f"After {target} there is no way back for {entity}. Go on", abort=True)
    typer.echo(_want(settings, entity, target))


def rollback(
    entity: Entity,
    to: Annotated[
        Phase | None,
        typer.Option(
            help="The phase wanted [default: one in which legacy is the authority, or answers]", show_default=False
        ),
    ] = None,
    path: Config = None,
) -> None:
    """Want an earlier phase. Reads leave new first, at once."""
    settings = config.load(path)
    now = _settled(settings, entity)
    if now is Phase.NEW:
        raise typer.BadParameter(f"{entity} is in {now}: legacy has not been kept equal since, there is no way back")
    target = to or (Phase.READ_NEW if PHASES[now].authority is Store.NEW else Phase.SHADOW_READ)
    if target.rank >= now.rank:
        raise typer.BadParameter(f"{entity} is in {now}, which is not later than {target}")
    typer.echo(_want(settings, entity, target))


def _settled(settings: config.Settings, entity: str) -> Phase:
    if entity not in settings.entities:
        raise typer.BadParameter(f"no entity {entity!r}; configured are {', '.join(settings.entities)}")
    found = asyncio.run(status(settings))
    of_pattern = f"{entity}." if settings.entities[entity].legacy.is_pattern else None
    phases = [
        Phase(each.phase)
        for each in found.entities
        if each.entity == entity or (of_pattern and each.entity.startswith(of_pattern))
    ]
    return min(phases, key=lambda phase: phase.rank, default=Phase.LEGACY)  # a pattern is where its last one is


def _ahead(now: Phase) -> Phase:
    ahead = [phase for phase in neighbours(now) if phase.rank > now.rank]
    if not ahead:
        raise typer.BadParameter(f"{now} is the last phase")
    return ahead[0]


def _want(settings: config.Settings, entity: str, target: Phase) -> str:
    if settings.flags.source != "static" or settings.path is None:
        raise typer.BadParameter("phases come from Unleash: set the variant of the flag there")
    write_phase(settings.path, settings.entities[entity], target)
    return f"{entity}: {target} is wanted now; `shadow status` shows how far it is"


def write_phase(path: Path, entity: EntitySettings, target: Phase) -> None:
    """Change one entity's phase in a configuration file, and nothing else of it.

    The file is replaced as a whole, so that nobody reads half of it. Raises `OSError`; `ValueError` where the entity
    has no table of its own in the file.
    """
    text = path.read_text("utf-8")
    header = re.search(rf"(?m)^\s*\[entities\.\"?{re.escape(entity.name)}\"?\]\s*(#.*)?$", text)
    if header is None:
        raise ValueError(f"{path.name} has no table [entities.{entity.name}]")
    following = re.search(r"(?m)^\s*\[", text[header.end() :])
    end = header.end() + following.start() if following else len(text)
    body = text[header.end() : end]
    line = f'phase = "{target}"'
    changed, count = re.subn(r"(?m)^phase\s*=.*$", line, body)
    if not count:
        changed = f"\n{line}{body}" if body.startswith("\n") else f"\n{line}\n{body}"
    _replace(path, text[: header.end()] + changed + text[end:])


def _replace(path: Path, text: str) -> None:
    with tempfile.NamedTemporaryFile("w", dir=path.parent, delete=False, encoding="utf-8") as file:
        file.write(text)
    os.chmod(file.name, path.stat().st_mode)
    os.replace(file.name, path)
