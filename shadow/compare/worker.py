"""Comparisons off the caller's path: bounded in number, bytes, time and concurrency, and all accounted for.

They wait a moment, so that reads of single records, the most of them, are asked for together: one statement for many,
and an answer of the same bytes needs nothing else. One of each batch is asked for alone, which tells how long the other
store takes for a call like the caller's.
"""

from __future__ import annotations

import asyncio
import contextvars
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from shadow.compare.account import Account, Part
from shadow.compare.case import Case
from shadow.compare.failure import answered
from shadow.compare.judge import Judge, Reread, Verdict
from shadow.compare.kinds import Call, State
from shadow_adapters.bson.codec import decode
from shadow_adapters.contract import Key, Record

Together = Callable[[Sequence[Key]], Awaitable[Mapping[Key, Record]]]

_BATCH = 100


@dataclass(slots=True)  # frozen would cost the caller three times as much
class Comparison:
    """One sampled call, and how to ask the other store the same.

    Args:
        op: the operation's name.
        call: what it promises of its answer.
        key: the record's key where the operation names it, else None.
        sampled_at: the loop's time when the call had been answered.
        answer: what the caller got: a value, or an exception; of a single record its BSON.
        by_authority: whether the authority gave it (in ``read_new`` the follower does).
        asked: the store that is asked now, ``legacy`` or ``new``.
        ask: asks it; what it raises is its answer.
        reread: asks both again: authority first, then follower. Use `outcome` for each.
        size: bytes that the comparison holds while it waits.
        together: asks the same store for many records by key, where the call is for the record of ``key``.
        command: what was asked, as the wire would carry it.
    """

    op: str
    call: Call
    key: Key | None
    sampled_at: float
    answer: Any
    by_authority: bool
    asked: str
    ask: Callable[[], Awaitable[Any]]
    reread: Reread
    size: int
    together: Together | None = None
    command: Callable[[], Mapping[str, Any]] = dict


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds of one comparer. Times in seconds."""

    count: int = 1000  # comparisons that wait or run
    size: int = 64 * 1024 * 1024  # bytes that they hold
    concurrency: int = 4
    timeout: float = 5.0  # of one comparison, the looking again included
    expire_after: float = 10.0  # between the answer and the comparison's turn
    linger: float = 0.02  # before a worker begins


class Comparer:
    """Compares for one entity on one event loop.

    Args:
        account: counts what becomes of each comparison; shared with the entity's other loops.
        judge: looks again at what differs.
        limits: bounds.
        on_verdict: told of each comparison that was made, with the seconds that the other store took where it was asked
            for this alone.
        capture: makes a case of a confirmed mismatch before it is repaired, where it can be made. Must not raise.
        on_mismatch: marks the key (None: unknown which) of a confirmed mismatch, so that it is repaired.
        on_error: told of each comparison that could not be made, and of a failing callback. Must not raise.
    """

    def __init__(
        self,
        *,
        account: Account,
        judge: Judge,
        limits: Limits,
        on_verdict: Callable[[Comparison, Verdict, float | None], None],
        on_mismatch: Callable[[Key | None], Awaitable[None]],
        on_error: Callable[[Comparison, BaseException], None],
        capture: Callable[[Comparison, Verdict], Awaitable[Case | None]] | None = None,
    ) -> None:
        self._account = account
        self._judge = judge
        self._limits = limits
        self._on_verdict = on_verdict
        self._on_mismatch = on_mismatch
        self._on_error = on_error
        self._capture = capture
        self._waiting: deque[Comparison] = deque()
        self._workers: set[asyncio.Task[None]] = set()
        self._running = 0
        self._bytes = 0
        self._closed = False

    @property
    def pending(self) -> int:
        """Comparisons that wait or run."""
        return len(self._waiting) + self._running

    @property
    def pending_bytes(self) -> int:
        """Bytes that they hold."""
        return self._bytes

    def submit(self, comparison: Comparison) -> bool:
        """Take a comparison on, or shed it. Never waits, never raises. Returns whether it was taken on."""
        self._account.sample()
        full = self.pending >= self._limits.count or self._bytes + comparison.size > self._limits.size
        if self._closed or full:
            self._account.end(Part.SHED)
            return False
        self._waiting.append(comparison)
        self._bytes += comparison.size
        if len(self._workers) < self._limits.concurrency:
            # Nothing of the context of the caller who happens to be first: the worker outlives it, and its time-outs.
            worker = asyncio.get_running_loop().create_task(self._work(), context=contextvars.Context())
            self._workers.add(worker)
            worker.add_done_callback(self._workers.discard)
        return True

    def unobservable(self) -> None:
        """Account for a sample whose answer cannot be kept."""
        self._account.sample()
        self._account.end(Part.ERRORED)

    async def drain(self) -> None:
        """Wait until everything that was taken on has ended."""
        while self._workers:
            await asyncio.wait(self._workers)

    async def close(self) -> None:
        """Take nothing on any more, shed what waits and cancel what runs."""
        self._closed = True
        while self._waiting:
            self._end(self._waiting.popleft(), Part.SHED)
        for worker in self._workers:
            worker.cancel()
        await self.drain()

    async def _work(self) -> None:
        await asyncio.sleep(self._limits.linger)
        while self._waiting:
            batch = self._pop()
            self._running += len(batch)
            try:
                async for part in self._turns(tuple(batch)):
                    self._running -= 1
                    self._end(batch.popleft(), part)
            finally:
                self._running -= len(batch)
                for left in batch:  # by a cancellation
                    self._end(left, Part.SHED)
        # At once: until the loop tells of its end, a worker that is done would be counted on for what comes now.
        self._workers.discard(asyncio.current_task())

    def _pop(self) -> deque[Comparison]:
        """The comparison whose turn it is, with those behind it that can be asked for together."""
        first = self._waiting.popleft()
        batch = deque([first])
        while first.together and self._waiting and len(batch) <= _BATCH:
            if not self._waiting[0].together or self._waiting[0].asked != first.asked:
                break
            batch.append(self._waiting.popleft())
        return batch

    async def _turns(self, batch: Sequence[Comparison]) -> AsyncIterator[Part]:
        """How each comparison ends, in order."""
        yield await self._turn(batch[0])
        others = batch[1:]
        records = await self._records(others) if others else None
        for each in others:
            yield Part.ERRORED if records is None else await self._turn(each, records)

    async def _records(self, batch: Sequence[Comparison]) -> Mapping[Key, Record] | None:
        """What the other store has of the batch; None where it cannot answer."""
        together = batch[0].together
        assert together is not None
        try:
            async with asyncio.timeout(self._limits.timeout):
                return await together(list({each.key: None for each in batch if each.key is not None}))
        except Exception as error:
            for each in batch:
                self._on_error(each, error)
            return None

    def _end(self, comparison: Comparison, part: Part) -> None:
        self._bytes -= comparison.size
        self._account.end(part)

    async def _turn(self, comparison: Comparison, records: Mapping[Key, Record] | None = None) -> Part:
        """How the comparison ends; with the other store's ``records`` it need not be asked any more."""
        if asyncio.get_running_loop().time() - comparison.sampled_at > self._limits.expire_after:
            return Part.EXPIRED
        if records is not None and comparison.key is not None and records.get(comparison.key) == comparison.answer:
            await self._report(comparison, Verdict(), None)
            return Part.COMPARED
        try:
            async with asyncio.timeout(self._limits.timeout):
                verdict, seconds = await self._compare(comparison, records)
        except asyncio.CancelledError as error:
            if _cancelled():
                raise
            self._on_error(comparison, error)  # the store's own doing: a pool that is closing
            return Part.ERRORED
        except Exception as error:
            self._on_error(comparison, error)
            return Part.ERRORED
        await self._report(comparison, verdict, seconds)
        return Part.COMPARED

    async def _compare(
        self, comparison: Comparison, records: Mapping[Key, Record] | None
    ) -> tuple[Verdict, float | None]:
        if isinstance(comparison.answer, BaseException) and not answered(comparison.answer):
            raise comparison.answer
        other, seconds = await self._asked(comparison, records)
        answers = (_opened(comparison.answer), _opened(other))
        pair = answers if comparison.by_authority else answers[::-1]
        return await self._judge.verdict(comparison.call, comparison.key, *pair, comparison.reread), seconds

    async def _asked(self, comparison: Comparison, records: Mapping[Key, Record] | None) -> tuple[Any, float | None]:
        """What the other store says, and the seconds that it took for this alone."""
        if records is not None and comparison.key is not None:
            return records.get(comparison.key), None
        clock = asyncio.get_running_loop().time
        started = clock()
        return await outcome(comparison.ask), clock() - started

    async def _report(self, comparison: Comparison, verdict: Verdict, seconds: float | None) -> None:
        try:
            if verdict.state is State.CONFIRMED and self._capture is not None:
                verdict = replace(verdict, case=await self._capture(comparison, verdict))
            self._on_verdict(comparison, verdict, seconds)
            if verdict.state is State.CONFIRMED:
                await self._on_mismatch(verdict.key)
        except Exception as error:
            self._on_error(comparison, error)


def _cancelled() -> bool:
    """Whether this task itself was cancelled, rather than something that it awaited."""
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0


def _opened(answer: Any) -> Any:
    """What is compared of an answer: of a record's BSON the document."""
    return decode(answer) if isinstance(answer, bytes) else answer


async def outcome(ask: Callable[[], Awaitable[Any]]) -> Any:
    """The value, or the exception as a value where it is the store's answer. Raises what is not an answer."""
    try:
        return await ask()
    except Exception as error:
        if not answered(error):
            raise
        return error
