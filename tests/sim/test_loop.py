"""The deterministic loop itself: asyncio's own tools work on it, time is virtual, a seed repeats, a crash is final."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Coroutine, Iterator
from typing import Any

import pytest

from tests.sim.loop import SimLoop, Spinning, new_loop


@pytest.fixture
def loop() -> Iterator[SimLoop]:
    with contextlib.closing(new_loop(1)) as loop:
        yield loop


def test_time_is_virtual(loop: SimLoop) -> None:
    async def main() -> float:
        await asyncio.sleep(1_000_000)
        return asyncio.get_running_loop().time()

    assert loop.run_until_complete(main()) == 1_000_000


async def tools() -> list[Any]:
    lock, event, queue = asyncio.Lock(), asyncio.Event(), asyncio.Queue[int](1)
    seen: list[Any] = []

    async def worker(n: int) -> int:
        await event.wait()
        async with lock:
            await asyncio.sleep(0.01 * n)
            await queue.put(n)
        return n

    async def drain() -> None:
        for _ in range(3):
            seen.append(await queue.get())

    async def stuck() -> None:
        await asyncio.sleep(100)

    asyncio.get_running_loop().call_later(1, event.set)
    results = await asyncio.gather(drain(), *(worker(n) for n in range(3)))
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(stuck(), 1)
        seen.append("not reached")
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(1):
            await asyncio.shield(stuck())
            seen.append("not reached")
    async with asyncio.TaskGroup() as group:
        group.create_task(asyncio.sleep(1))
    return [sorted(seen), results[1:], asyncio.get_running_loop().time()]


def test_asyncio_tools_work(loop: SimLoop) -> None:
    assert loop.run_until_complete(tools()) == [[0, 1, 2], [0, 1, 2], pytest.approx(4.03)]


async def race() -> list[int]:
    order: list[int] = []

    async def one(n: int) -> None:
        for _ in range(3):
            order.append(n)
            await asyncio.sleep(0)

    await asyncio.gather(*(one(n) for n in range(5)))
    return order


def run(seed: int, coro: Coroutine[Any, Any, list[int]]) -> list[int]:
    with contextlib.closing(new_loop(seed)) as loop:
        result: list[int] = loop.run_until_complete(coro)
        return result


def test_a_seed_repeats_and_another_differs() -> None:
    assert run(7, race()) == run(7, race())
    assert len({tuple(run(seed, race())) for seed in range(5)}) > 1


def test_a_crash_runs_no_finally_and_reaches_every_task_of_the_process(loop: SimLoop) -> None:
    log: list[str] = []

    async def child() -> None:
        while True:
            await asyncio.sleep(1)
            log.append("child")

    async def victim() -> None:
        task = asyncio.create_task(child())
        try:
            await task
        finally:
            log.append("finally")

    async def main() -> None:
        loop.spawn("p", victim())
        await asyncio.sleep(2.5)
        loop.crash("p")
        await asyncio.sleep(10)

    loop.run_until_complete(main())
    assert log == ["child", "child"]
    assert not loop.alive("p")


def test_an_async_generator_of_a_crashed_process_stays_suspended(loop: SimLoop) -> None:
    log: list[str] = []

    async def numbers() -> AsyncIterator[int]:
        try:
            yield 1
            await asyncio.sleep(5)
            yield 2
        finally:
            log.append("finally")

    async def victim() -> None:
        async for n in numbers():
            log.append(str(n))

    async def main() -> None:
        loop.spawn("p", victim())
        await asyncio.sleep(1)
        loop.crash("p")
        await asyncio.sleep(10)
        assert log == ["1"]

    loop.run_until_complete(main())


def test_a_paused_process_sleeps_through_its_timers(loop: SimLoop) -> None:
    ticks: list[float] = []

    async def ticker() -> None:
        while True:
            await asyncio.sleep(1)
            ticks.append(loop.time())

    async def main() -> None:
        loop.spawn("p", ticker())
        await asyncio.sleep(1.5)
        loop.pause("p", 3)
        await asyncio.sleep(4)

    loop.run_until_complete(main())
    assert ticks == [1, 4.5, 5.5]


def test_real_input_and_output_is_refused(loop: SimLoop) -> None:
    async def main() -> None:
        await asyncio.open_connection("127.0.0.1", 1)

    with pytest.raises(NotImplementedError):
        loop.run_until_complete(main())


def test_code_that_spins_is_found(loop: SimLoop) -> None:
    async def main() -> None:
        while True:  # noqa: ASYNC110
            await asyncio.sleep(0)

    with pytest.raises(Spinning):
        loop.run_until_complete(main())
