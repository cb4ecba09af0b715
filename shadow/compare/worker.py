"""Comparisons off the caller's path: bounded in number, bytes, time and concurrency, and all accounted for."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from shadow.compare.account import Account, Part
from shadow.compare.failure import answered
from shadow.compare.judge import Judge, Reread, Verdict
from shadow.compare.kinds import Call, State
from shadow_adapters.contract import Key


@dataclass(frozen=True, slots=True)
class Comparison:
    """One sampled call, and how to ask the other store the same.

    Args:
        op: the operation's name.
        call: what it promises of its answer.
        key: the record's key where the operation names it, else None.
        sampled_at: the loop's time when the call had been answered.
        answer: what the caller got: a value, or an exception.
        by_authority: whether the authority gave it (in ``read_new`` the follower does).
        asked: the store that is asked now, ``legacy`` or ``new``.
        ask: asks it; what it raises is its answer.
        reread: asks both again: authority first, then follower. Use `outcome` for each.
        size: bytes that the comparison holds while it waits.
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


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds of one comparer. Times in seconds."""

    count: int = 1000  # comparisons that wait or run
    size: int = 64 * 1024 * 1024  # bytes that they hold
    concurrency: int = 4
    timeout: float = 5.0  # of one comparison, the looking again included
    expire_after: float = 10.0  # between the answer and the comparison's turn


class Comparer:
    """Compares for one entity on one event loop.

    Args:
        account: counts what becomes of each comparison; shared with the entity's other loops.
        judge: looks again at what differs.
        limits: bounds.
        on_verdict: told of each comparison that was made, with the seconds that the other store took.
        on_mismatch: marks the key (None: unknown which) of a confirmed mismatch, so that it is repaired.
        on_error: told of each comparison that could not be made, and of a failing callback. Must not raise.
    """

    def __init__(
        self,
        *,
        account: Account,
        judge: Judge,
        limits: Limits,
        on_verdict: Callable[[Comparison, Verdict, float], None],
        on_mismatch: Callable[[Key | None], Awaitable[None]],
        on_error: Callable[[Comparison, BaseException], None],
    ) -> None:
        self._account = account
        self._judge = judge
        self._limits = limits
        self._on_verdict = on_verdict
        self._on_mismatch = on_mismatch
        self._on_error = on_error
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
            worker = asyncio.get_running_loop().create_task(self._work())
            self._workers.add(worker)
            worker.add_done_callback(self._workers.discard)
        return True

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
        while self._waiting:
            comparison = self._waiting.popleft()
            self._running += 1
            part = Part.SHED  # what a cancellation leaves it at
            try:
                part = await self._turn(comparison)
            finally:
                self._running -= 1
                self._end(comparison, part)

    def _end(self, comparison: Comparison, part: Part) -> None:
        self._bytes -= comparison.size
        self._account.end(part)

    async def _turn(self, comparison: Comparison) -> Part:
        if asyncio.get_running_loop().time() - comparison.sampled_at > self._limits.expire_after:
            return Part.EXPIRED
        try:
            async with asyncio.timeout(self._limits.timeout):
                verdict, seconds = await self._compare(comparison)
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

    async def _compare(self, comparison: Comparison) -> tuple[Verdict, float]:
        if isinstance(comparison.answer, BaseException) and not answered(comparison.answer):
            raise comparison.answer
        clock = asyncio.get_running_loop().time
        started = clock()
        other = await outcome(comparison.ask)
        seconds = clock() - started
        pair = (comparison.answer, other) if comparison.by_authority else (other, comparison.answer)
        return await self._judge.verdict(comparison.call, comparison.key, *pair, comparison.reread), seconds

    async def _report(self, comparison: Comparison, verdict: Verdict, seconds: float) -> None:
        try:
            self._on_verdict(comparison, verdict, seconds)
            if verdict.state is State.CONFIRMED:
                await self._on_mismatch(verdict.key)
        except Exception as error:
            self._on_error(comparison, error)


def _cancelled() -> bool:
    """Whether this task itself was cancelled, rather than something that it awaited."""
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0


async def outcome(ask: Callable[[], Awaitable[Any]]) -> Any:
    """The value, or the exception as a value where it is the store's answer. Raises what is not an answer."""
    try:
        return await ask()
    except Exception as error:
        if not answered(error):
            raise
        return error
