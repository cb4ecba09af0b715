"""Samples of mismatches, kept in PostgreSQL so that an operator sees those of the whole fleet.

At most so many are kept for each entity. Confirmed ones stay before all others, so that a storm of differences in
flight does not wash them away. Keys are hashed inside PostgreSQL with the fleet's salt.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

from shadow_adapters.contract import Key

_LOCK = "LOCK TABLE shadow.sample IN SHARE ROW EXCLUSIVE MODE"  # two writers would each leave the other's rows out

_INSERT = """
INSERT INTO shadow.sample (entity, op, kind, state, path, key_hash, explanation, replay)
SELECT $1, op, kind, state, path, shadow.sample_hash($1, key), explanation, replay
FROM unnest($2::text[], $3::text[], $4::text[], $5::text[], $6::bytea[], $7::text[], $8::text[])
    AS new (op, kind, state, path, key, explanation, replay)
"""

_PRUNE = """
DELETE FROM shadow.sample WHERE id IN (
    SELECT id FROM shadow.sample WHERE entity = $1 ORDER BY state = 'confirmed' DESC, id DESC OFFSET $2
)
"""

_REPAIRED = """
UPDATE shadow.sample SET repaired_at = clock_timestamp()
WHERE entity = $1 AND state = 'confirmed' AND repaired_at IS NULL
    AND key_hash IN (SELECT shadow.sample_hash($1, key) FROM unnest($2::bytea[]) AS repaired (key))
"""

_LIST = """
SELECT id, entity, extract(epoch FROM at)::float8 AS at, op, kind, state, path, key_hash, explanation,
    extract(epoch FROM repaired_at)::float8 AS repaired_at, replay
FROM shadow.sample WHERE ($1::text IS NULL OR entity = $1) AND ($3::bigint IS NULL OR id = $3) ORDER BY id DESC LIMIT $2
"""


@dataclass(frozen=True, slots=True)
class NewSample:
    """One mismatch to store. ``explanation`` and ``path`` hold no values of the application.

    ``replay`` is the case that can be made of it, in extended JSON.
    """

    op: str
    kind: str
    state: str
    path: str
    key: Key | None
    explanation: str
    replay: str | None = None


@dataclass(frozen=True, slots=True)
class StoredSample:
    """One mismatch as it is stored. Times in seconds since 1970, on PostgreSQL's clock."""

    id: int
    entity: str
    at: float
    op: str
    kind: str
    state: str
    path: str
    key_hash: str | None
    explanation: str
    repaired_at: float | None
    replay: str | None = None


@cache
def samples_ddl() -> str:
    """The statements that make the samples' table; they may be run again at any time."""
    return files("shadow_adapters.postgres").joinpath("samples.sql").read_text(encoding="utf-8")


async def insert_samples(connection: Any, entity: str, samples: Sequence[NewSample], *, keep: int) -> None:
    """Store samples of one entity and prune it to ``keep``. Raises asyncpg's own errors."""
    columns = zip(*((s.op, s.kind, s.state, s.path, s.key, s.explanation, s.replay) for s in samples), strict=True)
    async with connection.transaction():
        await connection.execute(_LOCK)
        if samples:
            await connection.execute(_INSERT, entity, *map(list, columns))
        await connection.execute(_PRUNE, entity, keep)


async def list_samples(connection: Any, entity: str | None = None, *, limit: int = 50) -> list[StoredSample]:
    """The newest samples of one entity, or of all. Raises asyncpg's own errors."""
    return [StoredSample(**row) for row in await connection.fetch(_LIST, entity, limit, None)]


async def find_sample(connection: Any, id: int) -> StoredSample | None:
    """One sample, None where it is not kept (any more). Raises asyncpg's own errors."""
    found = await connection.fetch(_LIST, None, 1, id)
    return StoredSample(**found[0]) if found else None


async def note_repaired(connection: Any, entity: str, keys: Sequence[Key]) -> None:
    """Note that confirmed mismatches of these keys are repaired now. Raises asyncpg's own errors."""
    await connection.execute(_REPAIRED, entity, list(keys))
