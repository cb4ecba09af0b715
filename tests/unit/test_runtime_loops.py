"""Shadow in one event loop lives as long as the loop, whatever appears in it meanwhile."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from shadow.runtime import loops
from shadow.runtime.loops import Loop


async def test_entities_that_appear_while_others_are_flushed_do_not_end_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loops, "_FLUSH", 0.001)
    loop: Any = object.__new__(Loop)
    loop.entities, flushed, closed = {"first": "first"}, [], []
    enough = asyncio.Event()

    async def flush(each: str) -> None:
        flushed.append(each)
        loop.entities[f"new {len(flushed)}"] = f"new {len(flushed)}"
        await asyncio.sleep(0)
        if len(flushed) >= 10:
            enough.set()

    async def close() -> None:
        closed.append(len(flushed))

    loop._flush, loop.close = flush, close
    watch = asyncio.create_task(loop._watch())
    await asyncio.wait([watch, asyncio.create_task(enough.wait())], return_when=asyncio.FIRST_COMPLETED)
    assert len(flushed) >= 10 and closed == []
    watch.cancel()
    with pytest.raises(asyncio.CancelledError):
        await watch
    assert len(closed) == 1
