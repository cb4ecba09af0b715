"""Rehearsals: the same write through new's own write path, in a transaction that is rolled back, compared.

A rehearsal needs new as it was before the write, so it runs between the write on legacy and the sync that follows, off
the caller's path, and only where the key was in sync before. While too many run, further ones are shed and counted.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from typing import Any, TypeVar

from shadow.compare.account import Part
from shadow.compare.differ import difference
from shadow.compare.judge import Verdict
from shadow.compare.kinds import RESULT, State
from shadow.compare.worker import Comparison, outcome
from shadow.ops.base import WriteOp
from shadow.protocol.marks import Held
from shadow.protocol.view import View
from shadow.router.answers import unsupported_in
from shadow.runtime.loops import Loop, LoopEntity
from shadow_adapters.contract import Key
from shadow_adapters.failures import CommandFailure

R = TypeVar("R")

_AT_ONCE = 4
_TIMEOUT = 2.0


class _Undo(Exception):
    """Ends the rehearsal's transaction."""


def rehearsal(
    here: LoopEntity, loop: Loop, view: View, op: WriteOp[R], keys: Sequence[Key]
) -> Callable[[R, Sequence[Held]], Coroutine[None, None, None]] | None:
    """What to run between the write and its sync; None where this phase or entity rehearses nothing."""
    entity = here.entity
    if not view.rehearses or not keys or not entity.setting("rehearse") or not entity.sampled():
        return None

    async def rehearse(result: R, marks: Sequence[Held]) -> None:
        here.entity.account.sample()
        here.entity.account.end(await _rehearse(here, loop, op, result, marks))

    return rehearse


async def _rehearse(here: LoopEntity, loop: Loop, op: Any, result: Any, marks: Sequence[Held]) -> Part:
    if here.rehearsing >= _AT_ONCE:
        return Part.SHED
    here.rehearsing += 1
    comparison = _comparison(op, None)
    began = asyncio.get_running_loop().time()
    try:
        comparison = _comparison(op, op.observed(result))  # which a caller's own types may make impossible
        async with asyncio.timeout(_TIMEOUT):
            tried = await outcome(lambda: _try(here, loop, op))
    except Exception as error:
        here.rehearsals.error(comparison, error)
        return Part.ERRORED
    finally:
        here.rehearsing -= 1
    found = difference(RESULT, comparison.answer, tried)
    state = None if found is None else await _state(here, loop, marks)
    here.rehearsals.verdict(comparison, Verdict(found, state), asyncio.get_running_loop().time() - began)
    return Part.COMPARED


async def _state(here: LoopEntity, loop: Loop, marks: Sequence[Held]) -> State:
    """A difference counts only where nobody else wrote or synced these keys meanwhile."""
    alone = all(loop.lane.book.alone(held) for held in marks)
    if alone and not await loop.is_marked_beside(here.entity.name, marks):
        return State.CONFIRMED
    return State.IN_FLIGHT


async def _try(here: LoopEntity, loop: Loop, op: Any) -> Any:
    entity = here.entity
    reply: dict[str, Any] = {}
    async with loop.pool.connection() as conn:
        try:
            async with conn.transaction():
                reply = await entity.engine.execute(conn, op.command())
                raise _Undo
        except _Undo:
            pass
    named = unsupported_in(reply)
    if named is not None:
        entity.count_unsupported(named)
        raise CommandFailure(2, "not served", unsupported=named)
    return op.observed(op.result(reply))


def _comparison(op: Any, answer: Any) -> Comparison:
    async def nothing() -> Any:
        return None

    async def never() -> tuple[Any, Any]:
        return None, None

    return Comparison(f"rehearsal {op.name}", RESULT, None, 0.0, answer, True, "new", nothing, never, 0)
