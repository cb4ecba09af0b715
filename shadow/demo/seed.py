"""What is there before anything begins: the application's records in MongoDB, written by the bare driver."""

from __future__ import annotations

from collections.abc import Sequence
from random import Random
from typing import Any

from shadow.demo import shapes
from shadow.demo.ledger import Ledger

Document = dict[str, Any]

_SHARES = {"agents": 0.03, "workflows": 0.07, "audit_logs": 0.16, "memory_snapshots": 0.07, "sessions": 0.07}
_INDEXES = {
    "workflows": ["status"],
    "audit_logs": ["event_type"],
    "memory_snapshots": ["agent_id"],
    "sessions": ["expires_at"],
    "knowledge": ["module"],
}
_AT_ONCE = 500
FEATURED = 12


def records_of(total: int, knowledge: Sequence[Document], rng: Random) -> dict[str, list[Document]]:
    """About ``total`` records of every collection; ``knowledge`` is what is not made up."""
    count = {name: max(20, int(total * share)) for name, share in _SHARES.items()}
    agents = [shapes.agent(rng) for _ in range(count["agents"])]
    return {
        "agents": agents,
        "workflows": [shapes.workflow(rng, _status(rng)) for _ in range(count["workflows"])],
        "audit_logs": [shapes.audit_log(rng) for _ in range(count["audit_logs"])],
        "memory_snapshots": [
            shapes.memory_snapshot(rng, rng.choice(agents)["_id"]) for _ in range(count["memory_snapshots"])
        ],
        "sessions": [shapes.session(rng) for _ in range(count["sessions"])],
        "knowledge": list(knowledge),
    }


def knowledge_count(total: int) -> int:
    """How many of the records are of the knowledge collection."""
    return int(total * (1 - sum(_SHARES.values())))


async def seed(database: Any, records: dict[str, list[Document]]) -> Ledger:
    """Write the records and the application's indexes; what was written, as a ledger."""
    ledger = Ledger()
    for collection, documents in records.items():
        for start in range(0, len(documents), _AT_ONCE):
            await database[collection].insert_many(documents[start : start + _AT_ONCE])
        for field in _INDEXES.get(collection, ()):
            await database[collection].create_index(field)
        for document in documents:
            ledger.put(collection, document)
    return ledger


def _status(rng: Random) -> str:
    return "queued" if rng.random() < 0.1 else rng.choice(shapes.STATUSES)
