"""An engine on each layout, for the contract tests: real tables, the real control schema."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from shadow_adapters.contract import Fence
from shadow_adapters.postgres.control import schema_statements
from shadow_adapters.postgres.engine import Engine
from shadow_adapters.postgres.layouts import Layout, layout_for
from shadow_adapters.postgres.pool import Connection, Pool, create_pool

ENTITY = "things"
NAMESPACE = "app.things"
FENCE = Fence(ENTITY, 1)

COLUMNS = {
    "name": "name",
    "level": "level",
    "big": "big",
    "ratio": "ratio",
    "price": "price",
    "active": "active",
    "meta.created": "created_at",
    "tags": "tags",
    "data": "data",
    "agent": "agent_id",
    "email": "email",
}

TABLE = """
CREATE SCHEMA app;
CREATE TABLE app.agents (id uuid PRIMARY KEY);
CREATE TABLE app.things (
    id {id} PRIMARY KEY,
    name varchar(20),
    level integer CHECK (level < 1000),
    big bigint,
    ratio double precision,
    price numeric,
    active boolean,
    created_at timestamp DEFAULT CURRENT_TIMESTAMP,
    tags text[],
    data jsonb,
    agent_id uuid REFERENCES app.agents (id),
    email text UNIQUE
);
"""

KINDS = ["documents", "table"]


@dataclass
class Store:
    """An engine with a connection to run it on."""

    engine: Engine
    conn: Connection
    pool: Pool

    @property
    def layout(self) -> Layout:
        return self.engine.layout

    async def run(self, *commands: dict[str, Any], fence: Fence | None = FENCE) -> dict[str, Any]:
        """Execute commands; the last one's reply."""
        reply: dict[str, Any] = {}
        for command in commands:
            reply = await self.engine.execute(self.conn, command, fence=fence)
        return reply

    async def insert(self, *documents: dict[str, Any]) -> dict[str, Any]:
        return await self.run({"insert": ENTITY, "documents": list(documents)})

    async def find(self, filter: dict[str, Any], **options: Any) -> list[dict[str, Any]]:
        reply = await self.run({"find": ENTITY, "filter": filter, **options})
        found: list[dict[str, Any]] = reply["cursor"]["firstBatch"]
        return found


def new_layout(kind: str) -> Layout:
    """A layout as another process would make it."""
    table = NAMESPACE if kind == "table" else f"shadow_documents.{ENTITY}"
    return layout_for(ENTITY, layout=kind, table=table, id_column="id", columns=COLUMNS)


@asynccontextmanager
async def open_store(dsn: str, kind: str, *, id: str = "text") -> AsyncIterator[Store]:
    """A store on an empty database; ``id`` is the type of the table layout's key column."""
    pool = await create_pool(dsn, min_size=1, max_size=8, role="test", asynchronous_commit=False)
    layout = new_layout(kind)
    try:
        async with pool.connection() as conn:
            for statement in schema_statements():
                await conn.execute(statement)
            await conn.execute("INSERT INTO shadow.entity (entity, phase) VALUES ($1, 'new')", ENTITY)
            if kind == "table":
                await conn.execute(TABLE.format(id=id))
            for statement in [*layout.ddl(), *layout.ddl()]:
                await conn.execute(statement)
            yield Store(Engine(ENTITY, NAMESPACE, layout), conn, pool)
    finally:
        await pool.close()
