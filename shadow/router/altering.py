"""Alterations of a collection: made where the authority is, and mirrored to the follower."""

from __future__ import annotations

import asyncio
import contextvars
from typing import Any, TypeVar

from pymongo.errors import AutoReconnect, PyMongoError

from shadow.ops.alter import AlterOp
from shadow.protocol.reads import behind, write_fence
from shadow.router.answers import driver_exception
from shadow.router.lapsing import Guard
from shadow.router.mirroring import AWAY, mirror
from shadow.router.reading import Answered, on_new
from shadow.router.writing import nameless
from shadow.runtime.entity import Entity
from shadow.runtime.loops import Loop, LoopEntity
from shadow_adapters.failures import CommandFailure, EpochMoved, OutcomeUnknown, StoreDown
from shadow_flags.phases import Store

R = TypeVar("R")

_IN_TRANSACTION = 263  # OperationNotSupportedInTransaction


async def alter(here: LoopEntity, loop: Loop, op: AlterOp[R]) -> Answered[R]:
    """Alter a collection, or look at its indexes, where the authority is. Raises the driver's own exceptions."""
    while True:
        guard = Guard(here)
        try:
            view = await here.handle.enter()
        except StoreDown as error:
            raise driver_exception(error) from error
        try:
            if view.authority is Store.NEW:
                _refuse_inside(op)
                value = await on_new(loop, here.entity, op, write_fence(view))
                if op.changes and view.follows:
                    _mirror_to_legacy(here, op)
                return Answered(value, "new", view.phase)
            if op.changes:
                guard.write()
            if op.empties and view.marks:
                value = await nameless(here, loop, view, guard.writing(op.on_legacy))
            else:
                value = await op.on_legacy()
            for named in op.unserved() if view.marks else ():
                here.entity.count_unsupported(named)
            if op.changes and view.marks:
                mirror(here, loop, op.name)
            return Answered(value, "legacy", view.phase)
        except EpochMoved:
            pass
        except (StoreDown, OutcomeUnknown) as error:
            raise driver_exception(error) from error
        finally:
            here.handle.leave(view)
        await behind(here.handle, view, loop.node.terms)


async def exists(loop: Loop, entity: Entity) -> bool:
    """Whether a collection that new leads has records or indexes. Raises `pymongo.errors.AutoReconnect`."""
    try:
        async with loop.pool.connection() as conn:
            reply = await entity.engine.execute(conn, {"create": entity.collection})
    except (StoreDown, OutcomeUnknown) as error:
        raise driver_exception(error) from error
    return not reply["ok"]


def _refuse_inside(op: AlterOp[Any]) -> None:
    """MongoDB takes none of these inside a transaction. Its own connection would wait for the transaction, too."""
    if op.unit is not None:
        name = next(iter(op.command()))
        raise CommandFailure(_IN_TRANSACTION, f"Cannot run '{name}' in a multi-document transaction.")


def _mirror_to_legacy(here: LoopEntity, op: AlterOp[Any]) -> None:
    """The same on legacy, for the way back. A dropped collection's records go there by their marks.

    It outlives the call, and so takes nothing of the caller's context, such as its time-outs.
    """
    task = asyncio.get_running_loop().create_task(_on_legacy(here, op), context=contextvars.Context())
    here.alterations.add(task)
    task.add_done_callback(here.alterations.discard)


async def _on_legacy(here: LoopEntity, op: AlterOp[Any]) -> None:
    """In their order; while legacy is away it is waited for, as long as it follows."""
    async with here.altering:
        while here.handle.view().follows:
            try:
                await op.follow()
                return
            except AutoReconnect:
                await asyncio.sleep(AWAY)
            except PyMongoError:
                break
        here.entity.count_unsupported(f"{op.name} on legacy")
