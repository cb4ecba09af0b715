"""A divergence that nobody told Shadow of: one row of PostgreSQL changed by hand."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from shadow_adapters.bson.keys import key_of
from shadow_adapters.postgres.layouts.embedding import to_uuid

ENTITY = "agents"

_CHANGE = "UPDATE orchestra.agents SET description = 'changed by hand' WHERE id = $1"
_DESCRIPTION = "SELECT description FROM orchestra.agents WHERE id = $1"
_NAMED = """
SELECT kind, path, op FROM shadow.sample
WHERE entity = $1 AND state = 'confirmed' AND key_hash = shadow.sample_hash($1, $2) ORDER BY id LIMIT 1
"""
_CONFIRMED = """
SELECT entity, op, kind, path, explanation,
    entity = $1 AND op NOT LIKE 'rehearsal %' AND key_hash IS NOT DISTINCT FROM shadow.sample_hash($1, $2) AS planted
FROM shadow.sample WHERE state = 'confirmed' ORDER BY id
"""


@dataclass(slots=True)
class Plant:
    """The planted divergence, and what became of it."""

    connection: Any
    document: dict[str, Any]
    planted: bool = False
    found: bool = False
    repaired: bool = False
    named: str = ""

    async def plant(self) -> None:
        """Change the row behind Shadow's back."""
        await self.connection.execute(_CHANGE, to_uuid(self.document["_id"]))
        self.planted = True

    async def look(self) -> None:
        """Look whether a shadow read has found it, and whether the row is as legacy has it again."""
        if not self.planted or (self.found and self.repaired):
            return
        row = await self.connection.fetchrow(_NAMED, ENTITY, key_of(self.document["_id"]))
        if row is not None:
            self.found, self.named = True, f"{row['kind']} of {row['path']}, by {row['op']}"
        description = await self.connection.fetchval(_DESCRIPTION, to_uuid(self.document["_id"]))
        self.repaired = bool(description == self.document["description"])

    async def strangers(self, confirmed: int) -> list[str]:
        """The confirmed mismatches that are not its doing, of so many in all, each in words."""
        rows = await self.connection.fetch(_CONFIRMED, ENTITY, key_of(self.document["_id"]))
        named = [_in_words(row) for row in rows if not row["planted"]]
        unnamed = confirmed - len(rows)
        return named + [f"{unnamed} confirmed mismatch(es) of which no sample was kept"] * (unnamed > 0)


def _in_words(row: Any) -> str:
    what = f"{row['entity']}: confirmed mismatch of {row['op']}"
    return f"{what}, {row['kind']} of {row['path'] or 'all'}: {row['explanation']}"
