"""The queue of keys that wait for their sync: coalesced, bounded, taken by one worker at a time."""

from __future__ import annotations

import asyncio

from shadow.protocol.queue import SyncQueue

DELAY = 0.05


def queue(max_keys: int = 100, max_bytes: int = 1000) -> SyncQueue:
    return SyncQueue(max_keys, max_bytes)


async def test_a_key_that_waits_already_waits_once() -> None:
    waiting = queue()
    assert waiting.put("agents", b"a") and waiting.put("agents", b"a")
    assert (waiting.keys, waiting.bytes, waiting.waiting("agents")) == (1, 1, (1, 1))
    assert await waiting.take(10, 0.0) == ("agents", [b"a"])
    assert (waiting.keys, waiting.bytes) == (0, 0)


async def test_what_a_full_queue_does_not_take_is_counted() -> None:
    waiting = queue(max_keys=2, max_bytes=5)
    assert waiting.put("agents", b"a") and not waiting.put("agents", b"12345")
    assert waiting.put("agents", b"b") and not waiting.put("agents", b"c")
    assert waiting.shed == 2 and waiting.keys == 2


async def test_no_entity_starves_another() -> None:
    waiting = queue()
    for key in (b"a", b"b", b"c"):
        waiting.put("agents", key)
    waiting.put("workflows", b"w")
    assert [await waiting.take(2, 0.0) for _ in range(3)] == [
        ("agents", [b"a", b"b"]),
        ("workflows", [b"w"]),
        ("agents", [b"c"]),
    ]


async def test_workers_do_not_share_out_what_one_sync_could_do() -> None:
    """While one lingers, the other waits for its turn, and then lingers itself."""
    waiting = queue()
    workers = [asyncio.create_task(waiting.take(10, DELAY)) for _ in range(2)]
    waiting.put("agents", b"a")
    await asyncio.sleep(DELAY / 2)
    waiting.put("agents", b"b")
    done, others = await asyncio.wait(workers, return_when=asyncio.FIRST_COMPLETED)
    assert [task.result() for task in done] == [("agents", [b"a", b"b"])]
    waiting.put("agents", b"c")
    await asyncio.sleep(0)
    assert not any(task.done() for task in others)
    assert [await task for task in others] == [("agents", [b"c"])]


async def test_whom_somebody_awaits_is_taken_at_once() -> None:
    waiting = queue()
    workers = [asyncio.create_task(waiting.take(10, 60.0)) for _ in range(2)]
    for key in (b"a", b"b"):
        waiting.put("agents", key, urgent=True)
        done, rest = await asyncio.wait(workers, return_when=asyncio.FIRST_COMPLETED, timeout=5)
        assert [task.result() for task in done] == [("agents", [key])]
        workers = list(rest)


async def test_a_worker_that_is_cancelled_passes_its_turn_on() -> None:
    waiting = queue()
    first = asyncio.create_task(waiting.take(10, 60.0))
    second = asyncio.create_task(waiting.take(10, 0.0))
    await asyncio.sleep(0)
    first.cancel()
    await asyncio.gather(first, return_exceptions=True)
    waiting.put("agents", b"a")
    assert await asyncio.wait_for(second, 5) == ("agents", [b"a"])
