"""What must hold after every step of a run, and what must hold when it has come to rest."""

from __future__ import annotations

from typing import TYPE_CHECKING

from shadow_adapters.contract import EntityState, Key
from tests.sim.ledger import Violation, name, refused

if TYPE_CHECKING:
    from tests.sim.world import World

ENTITY = "things"


def check(world: World) -> None:
    """Covered divergence, and no lost acknowledged write. Raises `Violation`."""
    if world.violation is not None:
        raise world.violation
    state = world.server.entities.rows[ENTITY]
    moved, world.term = state.term != world.term, state.term
    for key in world.ledger.keys:
        legacy, new = world.records(key)
        authority = new if state.phase in ("write_new", "new") else legacy
        if moved:
            world.ledger.moved(key, authority)
        world.ledger.check_authority(key, authority)
        if legacy != new and followed(state) and not covered(world, key):
            raise Violation(f"uncovered: the stores differ in {name(key)}, and nothing says so")


def followed(state: EntityState) -> bool:
    """Whether the follower is meant to equal the authority."""
    return state.phase not in ("legacy", "new") and state.backfill == "done"


def covered(world: World, key: Key) -> bool:
    """Whether an open mark, a debt or what will become one, a journal, or a living process's memory has the key."""
    server = world.server
    if any(process.remembers(key) for process in world.processes):
        return True
    if any(mark.key is None or mark.key == key for mark in server.open_of(ENTITY)) or server.open_debts(ENTITY):
        return True
    if any(lease.gone_at is None and lease.generation != server.generation for lease in server.leases.rows.values()):
        return True  # its owner uploads what it remembers, or leaves a debt when it is accounted for
    return world.journalled(key)


def check_rest(world: World) -> None:
    """Stores equal and nothing open, where there is a follower, but for what it refuses. Raises `Violation`."""
    state = world.server.entities.rows[ENTITY]
    if not followed(state):
        return
    refusals = {key for key in world.ledger.keys if state.phase != "write_new" and refused(world.records(key)[0])}
    marks = [mark for mark in world.server.open_of(ENTITY) if mark.key not in refusals]
    if marks:
        shown = ", ".join(f"{world.who(m.id.owner)}#{m.id.seq}{' keyless' if m.key is None else ''}" for m in marks)
        raise Violation(f"stuck: marks are open at rest: {shown}")
    if debts := world.server.open_debts(ENTITY):
        raise Violation(f"stuck: debts are open at rest: {', '.join(debt.reason for debt in debts)}")
    for process in world.living:
        if keys := [key for key in process.open_keys() if key not in refusals]:
            raise Violation(f"stuck: {process.name} remembers open marks of {[name(key) for key in keys]}")
    for key in world.ledger.keys:
        if world.journalled(key):
            raise Violation(f"stuck: a journal still holds a mark of {name(key)}")
        legacy, new = world.records(key)
        if key in refusals:
            if not any(mark.key == key and mark.refused for mark in world.server.open_of(ENTITY)):
                raise Violation(f"stuck: {name(key)} is refused, and no mark says so")
        elif legacy != new:
            raise Violation(f"unequal: the stores differ in {name(key)} at rest")
