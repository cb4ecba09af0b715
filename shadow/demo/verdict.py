"""What it all came to: the records against the ledger, the mismatches, and what nobody can explain."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

import bson

from shadow.demo.application import COLLECTIONS
from shadow.demo.ledger import Ledger
from shadow.demo.measure import Ratio
from shadow.runtime.entity import Entity
from shadow_adapters.postgres.pool import create_pool
from shadow_adapters.postgres.records import PostgresRecords

_PAGE = 1000


@dataclass(slots=True)
class Verdict:
    """The end of the demo.

    Attributes:
        compared: records that were compared byte by byte in both stores, before `new`.
        lost: records that are not as the application was told that they are.
        mismatches: kind -> state -> how many.
        fence_ms: the longest pause of a fence as a caller saw it.
        problems: everything that must not be; empty when all is well.
    """

    compared: int = 0
    lost: int = 0
    caller_errors: int = 0
    mismatches: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    found: bool = False
    repaired: bool = False
    fence_ms: float = 0.0
    phases: list[Ratio] = field(default_factory=list)
    seconds: float = 0.0
    problems: list[str] = field(default_factory=list)

    def as_json(self) -> dict[str, Any]:
        """The verdict for a machine."""
        return {
            "compared": self.compared,
            "lost": self.lost,
            "caller_errors": self.caller_errors,
            "mismatches": self.mismatches,
            "planted": {"found": self.found, "repaired": self.repaired},
            "fence_ms_max": round(self.fence_ms, 1),
            "phases": [_phase(ratio) for ratio in self.phases],
            "seconds": round(self.seconds, 1),
        }


def _phase(ratio: Ratio) -> dict[str, Any]:
    told = asdict(ratio)
    return {
        "phase": told["phase"],
        "ops": told["ops"],
        "p50_ratio": round(told["p50"], 2),
        "p99_ratio": round(told["p99"], 2),
    }


async def records_in_new(entities: Mapping[str, Entity], dsn: str) -> dict[str, dict[Any, dict[str, Any]]]:
    """Every record of PostgreSQL as the application would read it: collection -> ``_id`` -> document."""
    pool = await create_pool(dsn, min_size=0, max_size=1, role="demo", asynchronous_commit=False)
    try:
        return {name: await _records(PostgresRecords(pool, entities[name].layout)) for name in COLLECTIONS}
    finally:
        await pool.close()


async def _records(store: PostgresRecords) -> dict[Any, dict[str, Any]]:
    found: dict[Any, dict[str, Any]] = {}
    after = None
    while page := await store.scan(after, _PAGE):
        for _, record in page:
            document = bson.decode(record)
            found[document["_id"]] = document
        after = page[-1][0]
    return found


async def records_in_legacy(database: Any) -> dict[str, dict[Any, dict[str, Any]]]:
    """The same of MongoDB, through the bare driver."""
    return {name: {each["_id"]: each async for each in database[name].find()} for name in COLLECTIONS}


def lost(ledger: Ledger, records: Mapping[str, Mapping[Any, Any]]) -> list[str]:
    """The records that are not as they were acknowledged, each with what is wrong; those nobody wrote included."""
    wrong = []
    for name in COLLECTIONS:
        expected, there = ledger.expected(name), records[name]
        for id, document in expected.items():
            if there.get(id) != document:
                wrong.append(f"{name}: {_what(there.get(id), document)}")
        wrong += [f"{name}: a record that nobody wrote" for id in there if not ledger.knows(name, id)]
    return wrong


def _what(there: dict[str, Any] | None, expected: dict[str, Any] | None) -> str:
    if there is None:
        return "a record is missing"
    if expected is None:
        return "a record that was deleted is there"
    differing = sorted(field for field in {*there, *expected} if there.get(field) != expected.get(field))
    return f"a record differs in {', '.join(differing)}"
