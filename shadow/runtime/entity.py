"""One configured collection in this process: what is the same for every event loop."""

from __future__ import annotations

import random
from collections import deque
from typing import Any

from shadow.compare.account import Account
from shadow.compare.confidence import RateBound
from shadow.config import EntitySettings
from shadow.metrics.recent import Recent
from shadow.metrics.sink import Sink
from shadow.metrics.tally import Tally
from shadow.protocol.view import View
from shadow.schema import layout_of
from shadow_adapters.postgres.engine import Engine
from shadow_flags.phases import Phase
from shadow_flags.routes import Routes, effective, uniform
from shadow_flags.sources.base import Wanted

_ALPHA = 0.05
_RECENT = 1000
_LIKE_WITH_LIKE = "find_one"
_ENOUGH = 100


class Entity:
    """A collection that is migrated as one.

    Attributes:
        flag: the name under which flags know it (a pattern's entity, for a collection of a pattern).
        database, collection: where it lies in MongoDB.
        wanted: what flags last said.
        latencies: what each store took for recent reads, in seconds.
        unsupported: calls that only legacy could serve, by name.
        direct: calls that the driver was asked for directly.
        answers: calls on new lately; a hit is one that new did not answer.
    """

    def __init__(self, settings: EntitySettings, flag: str, database: str, collection: str, sink: Sink) -> None:
        self.name = settings.name
        self.flag = flag
        self.settings = settings
        self.database = database
        self.collection = collection
        self.layout = layout_of(settings)
        self.engine = Engine(settings.name, collection, self.layout)
        self.account = Account(settings.name, sink)
        self.bound = RateBound(_ALPHA)
        self.rehearsed = RateBound(_ALPHA)
        self.answers = Recent()
        self.wanted = Wanted(routes=uniform(Phase.DUAL_WRITE), known=False)
        self.unsupported: dict[str, int] = {}
        self.direct = Tally()
        self.latencies = {"legacy": deque[float](maxlen=_RECENT), "new": deque[float](maxlen=_RECENT)}
        self._routes: tuple[Any, View | None, Routes] = (None, None, uniform(Phase.LEGACY))

    def routes(self, view: View) -> Routes:
        """What each bucket may use now: what flags want, clamped to where the fleet is."""
        wanted = self.wanted
        known_for, seen, routes = self._routes
        if known_for is not wanted or seen is not view:
            base = uniform(Phase.DUAL_WRITE) if wanted.off else wanted.routes
            routes = effective(base, view.phase, view.step)
            self._routes = (wanted, view, routes)
        return routes

    def setting(self, name: str) -> Any:
        """A setting that the flag may override (``sample_rate``, ``rehearse``)."""
        return self.wanted.routes.settings.get(name, getattr(self.settings, name))

    def sampled(self) -> bool:
        """Whether this call is among those that are compared."""
        rate = float(self.setting("sample_rate"))
        return rate >= 1.0 or random.random() < rate

    def took(self, store: str, op: str, seconds: float) -> None:
        """What a store took for a read, asked by a caller or for a comparison. One kind of read stands for all."""
        if op == _LIKE_WITH_LIKE:
            self.latencies[store].append(seconds)

    def p99(self, store: str) -> float | None:
        """The recent p99 of a store in seconds; None while too little was asked."""
        recent = sorted(self.latencies[store])
        return recent[int(0.99 * len(recent))] if len(recent) >= _ENOUGH else None

    def forget_evidence(self) -> None:
        """What was seen of new so far counts no longer."""
        self.bound.forget()
        self.rehearsed.forget()
        self.answers.forget()

    def count_unsupported(self, name: str) -> None:
        """One more call that new does not serve."""
        self.unsupported[name] = self.unsupported.get(name, 0) + 1
