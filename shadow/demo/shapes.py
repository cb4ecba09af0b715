"""The documents of the demo's application, in the shapes that its collections have."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any

from bson import ObjectId

Document = dict[str, Any]

STATUSES = ("running", "paused", "done", "failed")
EVENTS = ("agent.called", "workflow.started", "workflow.ended", "session.opened", "memory.stored")
_SKILLS = ("search", "summarize", "plan", "translate", "code", "review", "schedule", "extract")
_MODELS = ("small", "medium", "large")


def now() -> datetime:
    """The time as MongoDB keeps it: UTC, without a zone, in milliseconds."""
    moment = datetime.now(UTC).replace(tzinfo=None)
    return moment.replace(microsecond=moment.microsecond // 1000 * 1000)


def agent(rng: Random) -> Document:
    """An agent. ``stats`` has no column: it lives in the rest."""
    skill = rng.choice(_SKILLS)
    return {
        "_id": ObjectId(),
        "name": f"{skill}-{rng.randrange(10_000):04}",
        "description": f"Does {skill} for whoever asks.",
        "capabilities": rng.sample(_SKILLS, 3),
        "autonomy_level": rng.randrange(1, 6),
        "model_config": {"model": rng.choice(_MODELS), "temperature": rng.choice((0.0, 0.2, 0.7)), "tools": [skill]},
        "created_at": _some_time(rng),
        "updated_at": now(),
        "stats": {"calls": 0},
    }


def workflow(rng: Random, status: str) -> Document:
    """A workflow. One that is ``queued`` waits to be claimed."""
    steps = [{"do": rng.choice(_SKILLS), "retries": rng.randrange(3)} for _ in range(rng.randrange(2, 5))]
    return {
        "_id": ObjectId(),
        "name": f"flow-{rng.randrange(100_000):05}",
        "definition": {"steps": steps, "timeout": 30.0},
        "status": status,
        "created_at": _some_time(rng),
        "updated_at": now(),
        "runs": 0,
    }


def audit_log(rng: Random) -> Document:
    """One line of the audit log."""
    return {
        "_id": ObjectId(),
        "event_type": rng.choice(EVENTS),
        "actor": f"user-{rng.randrange(40)}",
        "resource_type": rng.choice(("agent", "workflow", "session")),
        "resource_id": str(uuid.UUID(int=rng.getrandbits(128), version=4)),
        "details": {"ip": f"10.0.{rng.randrange(256)}.{rng.randrange(256)}", "ok": rng.random() < 0.97},
        "created_at": _some_time(rng),
    }


def memory_snapshot(rng: Random, agent_id: ObjectId) -> Document:
    """What an agent remembers; refers to the agent."""
    return {
        "_id": ObjectId(),
        "agent_id": agent_id,
        "snapshot_data": {
            "facts": [rng.randrange(1000) for _ in range(4)],
            "summary": f"{rng.choice(_SKILLS)} went well",
        },
        "vector_ids": [f"v{rng.getrandbits(48):012x}" for _ in range(2)],
        "created_at": _some_time(rng),
    }


def session(rng: Random) -> Document:
    """A session, under an id of the application's own."""
    opened = now()
    return {
        "_id": f"sess-{rng.getrandbits(80):020x}",
        "data": {"user": f"user-{rng.randrange(40)}", "hits": 0, "trail": []},
        "expires_at": opened + timedelta(minutes=rng.randrange(30, 600)),
        "created_at": opened,
        "updated_at": opened,
    }


def _some_time(rng: Random) -> datetime:
    return now() - timedelta(milliseconds=rng.randrange(90 * 86_400_000))
