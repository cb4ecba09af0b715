"""How a client reaches a server in memory: at once, or through a network that delays, loses and cuts.

A request is carried by the server's side, not by the client's: a client that dies after sending does not take it back.
The network is driven by a seeded random and by the loop's time, so that a simulation repeats. Servers are reached
through `Direct` where nothing of this is wanted.
"""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import Callable, Hashable
from contextvars import Context
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

from shadow_adapters.failures import StoreDown, StoreError

T = TypeVar("T")

SENDING = 0.02
"""Seconds after which a client notices that it cannot send at all."""


class Link(Protocol):
    """What carries a request to a server and its reply back."""

    async def call(self, apply: Callable[[], T], *, unknown: type[StoreError] = StoreDown, changes: bool = True) -> T:
        """Run ``apply`` at the server and return its result or raise what it raises.

        ``changes``: False where nobody could tell whether it was applied late.

        Raises `StoreDown` when the request was surely not applied, ``unknown`` when it may have been or may still be.
        """


class Direct:
    """No network: the request is applied at once."""

    async def call(self, apply: Callable[[], T], *, unknown: type[StoreError] = StoreDown, changes: bool = True) -> T:
        return apply()


@dataclass(frozen=True, slots=True)
class Weather:
    """How bad the network is. Shares are between 0 and 1, times are seconds.

    ``late``: share of requests whose client gives up and which are applied afterwards, up to ``late_seconds`` after
    they were sent; ``lost``: share that is never applied; ``unanswered``: share that is applied and not answered;
    ``slow``: share that takes up to as long as its client waits. ``queue``: how long a client may take to send at all.
    """

    latency: tuple[float, float] = (0.001, 0.02)
    queue: float = 0.003
    slow: float = 0.0
    late: float = 0.0
    late_seconds: float = 1.0
    lost: float = 0.0
    unanswered: float = 0.0
    patience: float = 0.2


CALM = Weather()


class Network:
    """All wires of the clients to one server."""

    def __init__(self, chance: random.Random, weather: Weather = CALM) -> None:
        self.weather = weather
        self._chance = chance
        self._cut: Counter[Hashable] = Counter()
        self._breaks: Counter[Hashable] = Counter()
        self._resets = 0

    def wire(self, client: Hashable) -> Wire:
        """The link of one client."""
        return Wire(self, client)

    def cut(self, client: Hashable) -> None:
        """The client reaches nothing, and gets no reply to what it has sent. Cuts add up."""
        self._cut[client] += 1
        self._breaks[client] += 1

    def mend(self, client: Hashable) -> None:
        """Take back one cut."""
        self._cut[client] -= 1

    def reset(self) -> None:
        """Lose every reply that is under way, as when the server restarts."""
        self._resets += 1

    def is_cut(self, client: Hashable) -> bool:
        """Whether the client reaches nothing now."""
        return self._cut[client] > 0

    def _connection(self, client: Hashable) -> tuple[int, int]:
        return self._resets, self._breaks[client]

    def _fate(self, changes: bool) -> str:
        weather, draw = self.weather, self._chance.random()
        for fate, share in (
            ("late", weather.late if changes else 0.0),
            ("lost", weather.lost),
            ("unanswered", weather.unanswered),
        ):
            if draw < share:
                return fate
            draw -= share
        return "served"

    def _latency(self) -> float:
        if self._chance.random() < self.weather.slow:
            return self._chance.random() * self.weather.patience
        return self._chance.uniform(*self.weather.latency)


class Wire:
    """One client's link over a `Network`."""

    def __init__(self, network: Network, client: Hashable) -> None:
        self._network = network
        self._client = client

    async def call(self, apply: Callable[[], T], *, unknown: type[StoreError] = StoreDown, changes: bool = True) -> T:
        network = self._network
        await asyncio.sleep(network._chance.random() * network.weather.queue)
        if network.is_cut(self._client):
            await asyncio.sleep(SENDING)
            raise StoreDown("the server cannot be reached")
        reply: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        fate = network._fate(changes)
        if fate == "late":
            _later(network._chance.random() * network.weather.late_seconds, _apply_unseen, apply)
        elif fate != "lost":
            _later(network._latency(), self._serve, apply, reply, fate == "served", network._connection(self._client))
        try:
            async with asyncio.timeout(network.weather.patience):
                return await reply
        except TimeoutError:
            raise unknown("no reply in time") from None

    def _serve(
        self, apply: Callable[[], T], reply: asyncio.Future[T], answered: bool, sent_over: tuple[int, int]
    ) -> None:
        network = self._network
        if sent_over != network._connection(self._client):
            return  # the connection broke on the way; the client finds out by its patience
        try:
            outcome = _Outcome(result=apply())
        except StoreError as error:
            outcome = _Outcome(error=error)
        if answered:
            _later(network._latency(), self._deliver, outcome, reply, sent_over)

    def _deliver(self, outcome: _Outcome, reply: asyncio.Future[Any], sent_over: tuple[int, int]) -> None:
        if reply.done() or sent_over != self._network._connection(self._client):
            return
        if outcome.error is not None:
            reply.set_exception(outcome.error)
        else:
            reply.set_result(outcome.result)


@dataclass(frozen=True, slots=True)
class _Outcome:
    result: Any = None
    error: StoreError | None = None


def _apply_unseen(apply: Callable[[], Any]) -> None:
    try:
        apply()
    except StoreError:
        return


def _later(delay: float, callback: Callable[..., None], *args: Any) -> None:
    # An empty context: what is under way belongs to the network, not to the client that sent it.
    asyncio.get_running_loop().call_later(delay, callback, *args, context=Context())
