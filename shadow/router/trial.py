"""Whether new would serve an aggregation that nobody compares: it is compiled there, off the caller's path, not run.

What is compared is run there anyway. The others would be found out only when new is to answer.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import Final

from shadow.ops.aggregate import AggregateOp
from shadow.router.company import Company
from shadow.runtime.loops import Loop, LoopEntity
from shadow_adapters.failures import CommandFailure, StoreError

_AT_ONCE: Final = 8
_RUNNING: set[asyncio.Task[None]] = set()


def trial(here: LoopEntity, loop: Loop, op: AggregateOp, company: Company) -> None:
    """Count what new does not serve of an aggregation whose result promises nothing. Never waits, never raises."""
    if len(_RUNNING) < _AT_ONCE and op.promise() is None:
        task = asyncio.get_running_loop().create_task(_try(here, loop, op, company))
        _RUNNING.add(task)
        task.add_done_callback(_RUNNING.discard)


async def _try(here: LoopEntity, loop: Loop, op: AggregateOp, company: Company) -> None:
    with suppress(StoreError):
        async with loop.pool.connection() as conn:
            try:
                cursor = await here.entity.engine.open(conn, dict(op.command()), None, company.neighbours({}))
            except CommandFailure as failure:
                if failure.unsupported is not None:
                    here.entity.count_unsupported(failure.unsupported)
                return
            await cursor.close()
