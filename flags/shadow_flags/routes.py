"""Compiled routes: for each bucket of an entity, the phase that it wants, and the phase that it may use now.

Flags say what is wanted; the fleet says how far it is safe to go. `compile_routes` turns the first into an array,
`effective` clamps that array to the second. Both are pure. Routes decide which store answers a read and what is
compared. The duties of a *write* (marks, awaited syncs) follow the fleet's phases for the entity as a whole, whatever
the bucket: a query over many keys reads keys of every bucket.

Some phases may stand side by side in one entity, by weight, and some may not. Those with legacy as the authority may.
``write_new`` may not stand beside them, because no key may ever have two authorities; nor beside ``new``, which gives
the follower up for the whole entity. A wish for such a mix is held at its earlier side, and says so.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Any

from shadow_flags.buckets import BUCKETS
from shadow_flags.phases import PHASES, Phase, Store

OFF = Phase.DUAL_WRITE
"""What a bucket gets whose flag is off: legacy answers, and new is still kept equal, so that nothing is lost."""

_NO_SETTINGS: Mapping[str, Any] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Routes:
    """The phases of the 1,000 buckets of one entity, and what follows from them. Immutable, shared between threads.

    Attributes:
        phases: the phase of each bucket; the hot path indexes it.
        floor: the earliest phase among them.
        aim: where the operator wants the entity to be: the furthest phase among those wanted, after holding.
        mixed: whether the buckets differ.
        held: why a part of what is wanted is held back at an earlier phase; None when nothing is.
        settings: settings that came with the flag, such as ``sample_rate``.
    """

    phases: tuple[Phase, ...]
    floor: Phase
    aim: Phase
    mixed: bool
    held: str | None = None
    settings: Mapping[str, Any] = field(default_factory=lambda: _NO_SETTINGS)

    def phase_of(self, bucket: int) -> Phase:
        """The phase of one bucket, 0 to 999."""
        return self.phases[bucket]


def uniform(phase: Phase) -> Routes:
    """Every bucket in one phase."""
    return compile_routes([phase] * BUCKETS)


def compile_routes(wanted: Sequence[Phase | None], settings: Mapping[str, Any] | None = None) -> Routes:
    """The routes of what is wanted for each bucket, in order.

    None is a bucket for which the flag is off: `OFF`, or earlier where nothing is wanted beyond an earlier phase.
    Raises `ValueError` unless there is one wish for each bucket.
    """
    if len(wanted) != BUCKETS:
        raise ValueError(f"routes need {BUCKETS} buckets, not {len(wanted)}")
    said = [phase for phase in wanted if phase is not None]
    rest = _earlier(OFF, furthest(said or [OFF]))
    filled = [rest if phase is None else phase for phase in wanted]
    limit, held = _hold(filled)
    return _routes(tuple(_earlier(phase, limit) for phase in filled), limit, held, settings)


def effective(routes: Routes, settled: Phase, step: Phase | None = None) -> Routes:
    """What buckets may use now, given the fleet.

    Args:
        routes: what is wanted.
        settled: the phase that the fleet's reads have reached (its settled phase, or the end of a step that *moves*).
        step: the other end of the step under way, if one is. Towards an earlier phase reads leave at once, so it
            limits them; towards a later one it changes nothing yet.

    A bucket that wants more than is settled stays at the settled phase. One that wants less, under the same
    authority, gets less; but never less than ``dual_write`` while the fleet marks. Under new's authority there is
    nothing to choose: the entity is where it is settled. ``aim``, ``held`` and ``settings`` stay what was wanted.
    """
    if _band(settled):
        return replace(routes, phases=(settled,) * BUCKETS, floor=settled, mixed=False)
    limit = settled if step is None else _earlier(settled, step)
    least = _earlier(Phase.DUAL_WRITE, settled)
    allowed = {phase: furthest([least, _earlier(phase, limit)]) for phase in Phase}
    phases = tuple(map(allowed.__getitem__, routes.phases))
    return replace(routes, phases=phases, floor=earliest(phases), mixed=len(set(phases)) > 1)


def earliest(phases: Iterable[Phase]) -> Phase:
    """The earliest of some phases."""
    return min(set(phases), key=lambda phase: phase.rank)


def furthest(phases: Iterable[Phase]) -> Phase:
    """The furthest of some phases."""
    return max(set(phases), key=lambda phase: phase.rank)


def _earlier(a: Phase, b: Phase) -> Phase:
    return a if a.rank <= b.rank else b


def _band(phase: Phase) -> int:
    """Phases of one band may stand side by side: 0 legacy is the authority, 1 new is, 2 new is and has no follower."""
    rules = PHASES[phase]
    if rules.authority is Store.LEGACY:
        return 0
    return 1 if rules.follower else 2


def _hold(phases: Sequence[Phase]) -> tuple[Phase, str | None]:
    """The furthest phase of the earliest band that is wanted, and why what is beyond it is held there, if anything."""
    lowest = min(map(_band, set(phases)))
    limit = furthest(phase for phase in set(phases) if _band(phase) == lowest)
    beyond = sum(_band(phase) > lowest for phase in phases)
    if not beyond:
        return limit, None
    names = ", ".join(phase for phase in Phase if phase in phases and _band(phase) > lowest)
    reason = "gives the follower up" if lowest else "moves the authority"
    return limit, (
        f"{beyond / BUCKETS:.1%} of the buckets want {names}, the others {limit} or earlier; that step {reason} for the"
        f" whole entity at once, so all are held at {limit} until every bucket wants it"
    )


def _routes(phases: tuple[Phase, ...], aim: Phase, held: str | None, settings: Mapping[str, Any] | None) -> Routes:
    return Routes(
        phases=phases,
        floor=earliest(phases),
        aim=aim,
        mixed=len(set(phases)) > 1,
        held=held,
        settings=MappingProxyType(dict(settings)) if settings else _NO_SETTINGS,
    )
