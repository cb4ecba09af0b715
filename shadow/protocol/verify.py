"""Verify: compare every record of both stores, and sync what differs.

Both stores are read in the order of their byte keys and merged. A difference is looked at twice, because writes go on:
a key with an open mark is left to its sync, every other difference is synced and counted. A verify that pays a debt
must begin after the settling time of the writes that the debt covers; the caller sees to that.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Protocol

from shadow.protocol.lane import Lane
from shadow.protocol.settings import Terms
from shadow_adapters.contract import Key, Legacy, New, Record


class Scannable(Protocol):
    """A store that gives its records in the order of their byte keys."""

    async def scan(self, after: Key | None, limit: int) -> list[tuple[Key, Record]]: ...


@dataclass(slots=True)
class Report:
    """What a verify saw and did."""

    compared: int = 0
    missing: int = 0  # new did not have it
    extra: int = 0  # legacy did not have it
    different: int = 0
    in_flight: int = 0  # differed, and a mark was open: its sync takes care of it
    repaired: int = 0
    failed: int = 0
    refused: int = 0
    keys: list[Key] = field(default_factory=list)  # of differences that no mark covered, bounded

    @property
    def clean(self) -> bool:
        """Whether nothing differed that no mark covered."""
        return self.missing + self.extra + self.different == 0

    @property
    def covered(self) -> bool:
        """Whether every difference is repaired or marked."""
        return self.failed == 0

    def evidence(self) -> dict[str, object]:
        """The counts, for an audit line or a fact."""
        counts = asdict(self)
        del counts["keys"]
        return counts


_KEPT_KEYS = 100


async def verify(
    entity: str,
    legacy: Legacy,
    new: New,
    lane: Lane,
    terms: Terms,
    marked: Callable[[], Awaitable[frozenset[Key]]],
    *,
    repair: bool = True,
    progress: Callable[[Report], None] = lambda _: None,
) -> Report:
    """Compare the two stores of an entity.

    Args:
        marked: the keys of which a mark is or was open since the verify began.
        repair: sync what differs; False only counts.

    Raises `StoreDown`.
    """
    report = Report()
    suspects: dict[Key, str] = {}
    async for key, ours, theirs in _merge(legacy, new, terms.backfill_chunk):
        report.compared += 1
        if ours != theirs:
            suspects[key] = "missing" if theirs is None else "extra" if ours is None else "different"
        if len(suspects) >= terms.sync_batch:
            await _settle(entity, legacy, new, lane, report, suspects, marked, repair)
        progress(report)
    await _settle(entity, legacy, new, lane, report, suspects, marked, repair)
    progress(report)
    return report


async def _settle(
    entity: str,
    legacy: Legacy,
    new: New,
    lane: Lane,
    report: Report,
    suspects: dict[Key, str],
    marked: Callable[[], Awaitable[frozenset[Key]]],
    repair: bool,
) -> None:
    """Look again at the suspects, count what still differs, and sync it."""
    if not suspects:
        return
    keys = list(suspects)
    ours, theirs = await legacy.read(keys), await new.read(keys)
    open_keys = await marked()
    differing = [key for key in keys if ours.get(key) != theirs.get(key)]
    for key in differing:
        if key in open_keys:
            report.in_flight += 1
        else:
            setattr(report, suspects[key], getattr(report, suspects[key]) + 1)
            report.keys = [*report.keys, key][:_KEPT_KEYS]
    if repair and differing:
        outcome = await lane.sync(entity, differing)
        report.repaired += len(outcome.done)
        report.refused += len(outcome.refused)
        report.failed += len(outcome.failed)
    suspects.clear()


async def _merge(legacy: Legacy, new: New, chunk: int) -> AsyncIterator[tuple[Key, Record | None, Record | None]]:
    """Every key of either store, in order, with both records."""
    left, right = _records(legacy, chunk), _records(new, chunk)
    a, b = await anext(left, None), await anext(right, None)
    while a is not None or b is not None:
        if b is None or (a is not None and a[0] < b[0]):
            assert a is not None
            yield a[0], a[1], None
            a = await anext(left, None)
        elif a is None or b[0] < a[0]:
            yield b[0], None, b[1]
            b = await anext(right, None)
        else:
            yield a[0], a[1], b[1]
            a, b = await anext(left, None), await anext(right, None)


async def _records(store: Scannable, chunk: int) -> AsyncIterator[tuple[Key, Record]]:
    after: Key | None = None
    while page := await store.scan(after, chunk):
        for item in page:
            yield item
        after = page[-1][0]
        await asyncio.sleep(0)


def facts(report: Report) -> Mapping[str, float]:
    """The report as facts for the gates."""
    return {f"verify_{name}": float(value) for name, value in report.evidence().items() if isinstance(value, int)}
