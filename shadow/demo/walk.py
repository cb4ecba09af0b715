"""The operator's side: every phase in turn, back once, and forward to the end, with all gates on."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from shadow.demo.application import COLLECTIONS
from shadow.demo.configuration import Configuration, Wanted
from shadow.demo.plant import ENTITY as PLANTED_ENTITY
from shadow.demo.plant import Plant
from shadow.protocol.view import View, unknown_view
from shadow.runtime import Runtime
from shadow_flags.phases import Phase

_GLANCE = 0.05
_PATIENCE = 60.0  # seconds for one leg: a gate that has not opened by then will not
_SLOWEST = 100  # records a second that a backfill or a verify makes at the least


class Stuck(Exception):
    """A leg did not come to its end in time. The text says which, and what Shadow says it waits for."""


@dataclass(frozen=True, slots=True)
class Leg:
    """One part of the walk: what is asked for, the phase in which that settles, and how long it lasts at least."""

    label: str
    wanted: Wanted
    settled: Phase
    seconds: float
    says: str
    verified: bool = False  # ends with a verify of every entity


_LEGS = (
    Leg("legacy", Phase.LEGACY, Phase.LEGACY, 4, "MongoDB alone"),
    Leg("dual_write", Phase.DUAL_WRITE, Phase.DUAL_WRITE, 3, "every write is marked and synced; the backfill runs"),
    Leg("shadow_read", Phase.SHADOW_READ, Phase.SHADOW_READ, 4, "every read is made on PostgreSQL too, and compared"),
    Leg("canary_10", {Phase.SHADOW_READ: 90, Phase.READ_NEW: 10}, Phase.READ_NEW, 5, "PostgreSQL answers 10 %"),
    Leg("canary_50", {Phase.SHADOW_READ: 50, Phase.READ_NEW: 50}, Phase.READ_NEW, 5, "PostgreSQL answers 50 %"),
    Leg("read_new", Phase.READ_NEW, Phase.READ_NEW, 4, "PostgreSQL answers every read", verified=True),
    Leg("write_new", Phase.WRITE_NEW, Phase.WRITE_NEW, 5, "PostgreSQL is the authority; MongoDB is kept equal"),
    Leg("read_new", Phase.READ_NEW, Phase.READ_NEW, 2, "rollback: MongoDB is the authority again"),
    Leg("shadow_read", Phase.SHADOW_READ, Phase.SHADOW_READ, 2, "rollback: MongoDB answers again"),
    Leg("read_new", Phase.READ_NEW, Phase.READ_NEW, 1, "forward again"),
    Leg("write_new", Phase.WRITE_NEW, Phase.WRITE_NEW, 1, "PostgreSQL is the authority again", verified=True),
    Leg("new", Phase.NEW, Phase.NEW, 4, "PostgreSQL alone"),
)
PHASES = tuple(dict.fromkeys(leg.label for leg in _LEGS))
"""The phases as they are reported, each once."""


class Walk:
    """Takes the fleet through all legs.

    Attributes:
        leg: the one that was reached last.
        ahead: the one that is asked for.
        verified: the last verify's counts of each entity.
    """

    def __init__(
        self, runtime: Runtime, configuration: Configuration, plant: Plant, records: int, note: Callable[[str], None]
    ) -> None:
        self._runtime = runtime
        self._configuration = configuration
        self._plant = plant
        self._note = note
        self._verifying = False
        self._patience = _PATIENCE + records / _SLOWEST
        self.leg = self.ahead = _LEGS[0]
        self.verified: dict[str, dict[str, Any]] = {}

    def view(self, entity: str) -> View:
        """The entity as this process sees it."""
        return self._runtime.control.node.views.get(entity) or unknown_view(entity)

    def label(self, view: View) -> str | None:
        """The name of the present leg's phase, for an entity that stands in it; None for one that is moving.

        None during a verify too: it reads all of both stores, and would slow the bare driver's side as well.
        """
        at_rest = view.step is None and view.phase is self.leg.settled and not self._verifying
        return self.leg.label if at_rest else None

    def waits_for(self, entity: str) -> str:
        """What the entity's next step waits for, in Shadow's words."""
        return "; ".join(self._runtime.control.told.blocked.get(entity, ()))

    async def run(self) -> None:
        """Walk. Raises `Stuck`."""
        for leg in _LEGS:
            await self._reach(leg)
            await asyncio.sleep(leg.seconds)
            await self._attend(leg)

    async def _reach(self, leg: Leg) -> None:
        before = {name: entity.wanted for name, entity in self._runtime.entities.items()}
        changed = leg is not self.leg
        self.ahead = leg
        if changed:
            self._configuration.want(leg.wanted)

        def there() -> bool:
            heard = not changed or all(self._runtime.entities[name].wanted is not before[name] for name in COLLECTIONS)
            views = [self.view(name) for name in COLLECTIONS]
            return heard and all(view.known and view.phase is leg.settled and view.step is None for view in views)

        await self._until(there, f"reach {leg.label}")
        self.leg = leg
        self._note(f"{leg.label}: {leg.says}")

    async def _attend(self, leg: Leg) -> None:
        """What the operator does in a phase before going on."""
        if leg.label == "shadow_read" and not self._plant.planted:
            await self._plant.plant()
            self._note(f"planted: one row of {PLANTED_ENTITY} changed in PostgreSQL by hand")
            await self._until(lambda: self._plant.found and self._plant.repaired, "find and repair the planted row")
            self._note(f"found and repaired: {self._plant.named}")
            await self._until(self._proved, "compare enough")
        if leg.verified:
            await self._verify()

    def _proved(self) -> bool:
        """Whether enough was compared and rehearsed for the gates that follow."""
        gates = self._runtime.settings.gates
        return all(
            entity.bound.upper <= gates.mismatch_rate and entity.rehearsed.upper <= gates.rehearsal_rate
            for entity in self._runtime.entities.values()
        )

    async def _verify(self) -> None:
        """Compare every record of both stores, byte by byte, while the traffic goes on."""
        control = self._runtime.control
        assert control.loop is not None
        self._verifying = True
        for name in COLLECTIONS:
            job: Any = asyncio.run_coroutine_threadsafe(control.node.jobs.verify(name), control.loop)
            self.verified[name] = await asyncio.wrap_future(job) or {"failed": 1}
        self._verifying = False
        compared = sum(counts.get("compared", 0) for counts in self.verified.values())
        self._note(f"verified: {compared:,} records are equal in both stores, byte by byte")

    async def _until(self, there: Callable[[], bool], what: str) -> None:
        try:
            async with asyncio.timeout(self._patience):
                while not there():
                    await self._plant.look()
                    await asyncio.sleep(_GLANCE)
        except TimeoutError:
            why = "; ".join(f"{name}: {why}" for name in COLLECTIONS if (why := self.waits_for(name)))
            raise Stuck(f"did not {what} within {self._patience:.0f} s ({why or 'nothing blocks'})") from None
