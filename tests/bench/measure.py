"""Two ways to do the same, measured in turns: blocks of each side alternate, so that what else the machine does hits
both alike. A block ends when the marks that it left are drained, so that background work is paid for by whoever caused
it."""

from __future__ import annotations

import asyncio
import gc
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

Call = Callable[[int], Awaitable[object]]


async def _nothing() -> None:
    return None


@dataclass(frozen=True, slots=True)
class Case:
    """One comparison. ``drain`` waits for what the Shadow side left to be done; ``tasks`` run each side at once."""

    name: str
    bare: Call
    shadow: Call
    drain: Callable[[], Awaitable[None]] = _nothing
    per_block: int = 150
    blocks: int = 8
    tasks: int = 1


@dataclass(slots=True)
class Side:
    """What one side took: each call in seconds, CPU seconds of this process, wall seconds."""

    calls: list[float] = field(default_factory=list)
    blocks: list[float] = field(default_factory=list)  # p50 of each block
    cpu: float = 0.0
    wall: float = 0.0

    def p(self, share: float) -> float:
        """A quantile of the calls, in microseconds."""
        ordered = sorted(self.calls)
        return ordered[min(len(ordered) - 1, int(share * len(ordered)))] * 1e6


@dataclass(frozen=True, slots=True)
class Result:
    """Both sides of a case."""

    name: str
    bare: Side
    shadow: Side

    def as_json(self) -> dict[str, object]:
        """The figures as the report carries them; times in microseconds."""
        bare, shadow = self.bare, self.shadow
        count = max(1, len(bare.calls))
        return {
            "case": self.name,
            "bare_us": round(bare.p(0.5), 2),
            "shadow_us": round(shadow.p(0.5), 2),
            "ratio_p50": round(shadow.p(0.5) / bare.p(0.5), 3),
            "ratio_p99": round(shadow.p(0.99) / bare.p(0.99), 3),
            "added_us_p50": round(shadow.p(0.5) - bare.p(0.5), 2),
            "added_cpu_us": round((shadow.cpu - bare.cpu) / count * 1e6, 2),
            "spread": round(_spread(shadow.blocks), 3),
            "throughput_ratio": round(bare.wall / shadow.wall, 3) if shadow.wall else 0.0,
        }


def _spread(blocks: list[float]) -> float:
    """How far the blocks' medians lie apart, as a share of their own median."""
    ordered = sorted(blocks)
    return (ordered[-1] - ordered[0]) / ordered[len(ordered) // 2] if ordered else 0.0


async def measure(case: Case) -> Result:
    """Run a case. The first block of each side warms up and does not count."""
    bare, shadow = Side(), Side()
    gc.disable()
    try:
        for block in range(case.blocks + 1):
            sides = [(case.bare, bare), (case.shadow, shadow)]
            for call, side in sides if block % 2 else reversed(sides):
                await _block(case, call, side if block else Side(), block * case.per_block)
            gc.collect()
    finally:
        gc.enable()
    return Result(case.name, bare, shadow)


async def _block(case: Case, call: Call, side: Side, start: int) -> None:
    taken: list[float] = []

    async def run(first: int) -> None:
        for number in range(first, start + case.per_block, case.tasks):
            began = time.perf_counter()
            await call(number)
            taken.append(time.perf_counter() - began)

    cpu, began = time.process_time(), time.perf_counter()
    await asyncio.gather(*(run(start + task) for task in range(case.tasks)))
    side.wall += time.perf_counter() - began
    if call is case.shadow:
        await case.drain()
    side.cpu += time.process_time() - cpu
    side.calls += taken
    side.blocks.append(sorted(taken)[len(taken) // 2])
