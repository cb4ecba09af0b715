"""``shadow schema``: make in PostgreSQL what Shadow needs."""

from __future__ import annotations

import asyncio

import typer

from shadow import config
from shadow.cli.options import Config
from shadow.schema import apply, expanded
from shadow.stores import mongo_client, postgres_connection


def schema(path: Config = None) -> None:
    """Create the control schema, the tables of entities, and what mapped tables lack. May be run again at any time."""
    for line in asyncio.run(_schema(config.load(path))):
        typer.echo(line)


async def _schema(settings: config.Settings) -> list[str]:
    async with mongo_client(settings) as client:
        entities = await expanded(settings, client)
    conn = await postgres_connection(settings, "schema")
    try:
        return await apply(settings, conn, entities)
    finally:
        await conn.close()
