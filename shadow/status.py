"""What an operator asks first: where every entity stands, what blocks it, what is open, and who is there."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import dataclass

from pymongo.errors import PyMongoError

from shadow.config import Settings
from shadow.protocol.conductor import members
from shadow.runtime.evidence import asks_for_clients, budgets, evidence
from shadow.stores import mongo_client
from shadow.strangers import in_the_way
from shadow_adapters.contract import Burden, EntityState, Fleet
from shadow_adapters.postgres.control import PostgresControl
from shadow_flags.gates import blockers
from shadow_flags.phases import Phase, neighbours
from shadow_flags.steps import unaccounted


@dataclass(frozen=True, slots=True)
class EntityStatus:
    """One entity's line. ``blocked``: why the next step forward is not taken now."""

    entity: str
    phase: str
    step: str | None
    stage: str | None
    backfill: str
    burden: Burden
    oldest_mark_age: float
    blocked: tuple[str, ...]
    latch: str | None


@dataclass(frozen=True, slots=True)
class ProcessStatus:
    """One process's line. ``lease_seconds`` is negative for one that lapsed and is unaccounted for."""

    id: str
    where: str
    command: str
    lease_seconds: float


@dataclass(frozen=True, slots=True)
class Status:
    """The whole picture at one moment."""

    entities: Sequence[EntityStatus]
    processes: Sequence[ProcessStatus]


async def status(settings: Settings) -> Status:
    """Ask control. Raises `StoreDown`; asyncpg's errors where the control schema is not there (`shadow schema`)."""
    control = control_of(settings)
    try:
        fleet = await control.fleet()
        clients = await _clients(settings, fleet)
        entities = [await _entity(control, settings, state, fleet, clients) for state in fleet.entities.values()]
    finally:
        await control.disconnect()
    return Status(sorted(entities, key=lambda each: each.entity), _processes(fleet))


def control_of(settings: Settings) -> PostgresControl:
    """Control for a command, which is no member of the fleet. Raises `ConfigError` without PostgreSQL."""
    assert settings.stores.postgres is not None
    dsn = settings.stores.postgres.get_secret_value()
    return PostgresControl(dsn, uuid.uuid4(), {}, settle_seconds=settings.protocol.settle_seconds)


async def _clients(settings: Settings, fleet: Fleet) -> list[str]:
    """Who else uses legacy, where an entity's next step asks for it."""
    ahead = [_ahead(Phase(state.phase)) for state in fleet.entities.values() if state.step is None]
    if settings.stores.mongo is None or not any(to and asks_for_clients(to, settings.gates) for to in ahead):
        return []
    client = mongo_client(settings)
    try:
        return await in_the_way(client)
    except PyMongoError:
        return ["some that cannot be seen (MongoDB is not reached)"]
    finally:
        await client.close()


def _ahead(phase: Phase) -> Phase | None:
    return next((target for target in neighbours(phase) if target.rank > phase.rank), None)


async def _entity(
    control: PostgresControl, settings: Settings, state: EntityState, fleet: Fleet, clients: Sequence[str]
) -> EntityStatus:
    burden = await control.burden(state.entity)
    ahead = _ahead(Phase(state.phase))
    why: list[str] = []
    if state.step is not None:
        configured = settings.entity_named(state.entity)
        refuses = configured is not None and configured.on_lapse == "refuse"
        after = settings.protocol.settle_seconds if refuses else None
        why = unaccounted(members(state, fleet, after), state.epoch)
    elif ahead:
        facts, given = await control.facts(state.entity), settings.gates
        known = evidence(state, burden, fleet, facts, clients=clients, waived=given.waived)
        why = blockers(ahead, known, budgets(given))
    age = 0.0 if burden.oldest_mark is None else fleet.now - burden.oldest_mark
    return EntityStatus(
        state.entity, state.phase, state.step, state.stage, state.backfill, burden, age, tuple(why), state.latch
    )


def _processes(fleet: Fleet) -> list[ProcessStatus]:
    return [
        ProcessStatus(
            str(lease.process.id),
            f"{lease.process.host}/{lease.process.pid}",
            lease.process.command,
            lease.expires_at - fleet.now,
        )
        for lease in fleet.leases
    ]
