"""What one run is like: where it starts, what the operator wants, how bad the faults are. Drawn from the run's seed."""

from __future__ import annotations

import random
from dataclasses import dataclass, replace

from shadow.protocol.settings import Terms
from shadow_flags.phases import Phase

STARTS = (Phase.LEGACY, Phase.DUAL_WRITE, Phase.SHADOW_READ, Phase.READ_NEW, Phase.WRITE_NEW)


TERMS = Terms(
    lease=1.0,
    renew=0.25,
    settle=1.5,
    mark_budget=0.05,
    sync_timeout=0.4,
    fence=1.0,
    fence_limit=3.0,
    lag=0.05,
    sync_delay=0.005,
    sync_workers=2,
    retention=60.0,
    backfill_chunk=2,
    brisk=0.1,
    many_limit=2,
)
"""Short times: the settling time is just longer than `LIFE`."""

LIFE = 1.0
"""The longest life of an operation on a store, in seconds."""


@dataclass(frozen=True, slots=True)
class Scenario:
    """One run.

    Attributes:
        start: the settled phase at the beginning, with both stores equal.
        plan: phases that the operator aims at, one after the other, again and again; empty: at random.
        seconds: how long the application and the faults go on.
        gap: mean seconds between two writes of one writer.
        faults: how often something breaks; 1 is about three times a second.
        lossy: the control server likes to crash just after a mark, and its writer with it.
        stalls: who has read a chunk of legacy likes to stall before it goes on.
        hesitates: a writer's loop likes to stall around its write.
        late: share of requests to control that are applied after their client gave up; half as many fail otherwise.
        legacy_late: the same of requests to legacy.
        slow: share of requests that take long.
        queue: how long a client may wait for a connection before it sends, at most.
        deletes: how often a write deletes; appending is 5.
        forget: the operator declares lapsed processes dead.
        refuses: a process that cannot renew its lease refuses writes, so that it is accounted for by time.
        sleeps: all that breaks is that a process sleeps for long, and is soon declared dead.
        keyless: there are writes whose record the server chooses.
        many: there are writes of several records, some of more than are marked one by one.
        transactions: there are transactions.
        refusals: there are records that new refuses.
        loops: event loops of each process.
        ends: the operator may go to the point of no return.
        keys: how many records there are.
        terms: the protocol's times.
    """

    start: Phase
    plan: tuple[Phase, ...] = ()
    seconds: float = 8.0
    gap: float = 0.5
    faults: float = 0.4
    lossy: bool = False
    stalls: bool = False
    hesitates: bool = False
    late: float = 0.04
    legacy_late: float = 0.04
    slow: float = 0.02
    queue: float = 0.003
    deletes: int = 2
    forget: bool = False
    refuses: bool = False
    sleeps: bool = False
    keyless: bool = False
    many: bool = False
    transactions: bool = False
    refusals: bool = False
    loops: int = 1
    ends: bool = False
    keys: int = 2
    terms: Terms = TERMS


DUAL = Scenario(Phase.SHADOW_READ, (Phase.SHADOW_READ,), gap=0.8, faults=0.6, late=0.05, legacy_late=0.15)
READS = Scenario(Phase.READ_NEW, (Phase.READ_NEW,), gap=0.2, faults=0.4, late=0.02)
LOSSY = replace(READS, lossy=True, gap=0.5, seconds=5.0)
NEW = Scenario(Phase.WRITE_NEW, (Phase.WRITE_NEW,), gap=0.8, faults=0.2, late=0.02, legacy_late=0.15)
MOVES = Scenario(Phase.READ_NEW, (Phase.WRITE_NEW, Phase.READ_NEW), gap=0.4, faults=0.05, late=0.0, legacy_late=0.0)
PAUSES = replace(MOVES, faults=0.5)
FORGET = replace(
    MOVES,
    start=Phase.WRITE_NEW,
    plan=(Phase.READ_NEW, Phase.WRITE_NEW),
    gap=0.2,
    faults=0.1,
    forget=True,
    sleeps=True,
    queue=0.15,
    seconds=16.0,
    terms=replace(TERMS, fence=2.5),
)
DEBTS = replace(MOVES, lossy=True, faults=0.2, gap=1.5, keys=3)
FILL = Scenario(
    Phase.LEGACY, (Phase.SHADOW_READ,), gap=0.4, faults=0.02, late=0.0, legacy_late=0.1, slow=0.1, seconds=6.0, keys=8
)
LATE_FILL = replace(FILL, gap=0.8, legacy_late=0.3, keys=4)
STALLED_FILL = replace(FILL, gap=0.5, legacy_late=0.0, slow=0.0, keys=4, deletes=5, stalls=True)
REFILL = replace(
    FILL, start=Phase.DUAL_WRITE, plan=(Phase.LEGACY, Phase.SHADOW_READ), gap=1.0, legacy_late=0.0, slow=0.0
)
UNITS = replace(DUAL, transactions=True, keys=3)
UNIT_READS = replace(READS, transactions=True, keys=3, legacy_late=0.15)
MANY = replace(DUAL, many=True, keys=3)
MANY_READS = replace(READS, many=True, keys=3)
PAID = replace(
    DUAL,
    many=True,
    keys=3,
    late=0.0,
    legacy_late=0.0,
    gap=1.0,
    faults=0.02,
    deletes=5,
    hesitates=True,
    seconds=16.0,
    terms=replace(TERMS, many_limit=0),
)
SLOW_MANY = replace(MANY, faults=0.05, slow=0.3, legacy_late=0.3)
REFUSALS = replace(DUAL, refusals=True)
REFUSED_READS = replace(READS, refusals=True)
LOOPS = replace(MOVES, loops=2, hesitates=True, keyless=True)
COMING = replace(PAUSES, start=Phase.SHADOW_READ, plan=(Phase.READ_NEW, Phase.SHADOW_READ), gap=0.1)
BACK = replace(
    COMING,
    start=Phase.READ_NEW,
    plan=(Phase.SHADOW_READ, Phase.READ_NEW),
    keys=1,
    gap=0.3,
    faults=0.05,
    hesitates=True,
    terms=replace(TERMS, brisk=0.4),
)
ROUND = replace(MOVES, start=Phase.WRITE_NEW, plan=(Phase.LEGACY, Phase.WRITE_NEW), transactions=True, seconds=20.0)
REFUSES = replace(MOVES, refuses=True, faults=0.2, gap=0.2, seconds=16.0)
END = replace(MOVES, start=Phase.WRITE_NEW, plan=(Phase.NEW,), gap=0.1, faults=0.4, transactions=True, seconds=4.0)

DIRECTED = (
    DUAL,
    READS,
    LOSSY,
    NEW,
    MOVES,
    PAUSES,
    FORGET,
    DEBTS,
    FILL,
    LATE_FILL,
    STALLED_FILL,
    REFILL,
    UNITS,
    UNIT_READS,
    MANY,
    MANY_READS,
    PAID,
    SLOW_MANY,
    REFUSALS,
    REFUSED_READS,
    LOOPS,
    COMING,
    BACK,
    ROUND,
    REFUSES,
    END,
)
"""Runs in which one thing happens often enough to go wrong."""


def draw(chance: random.Random, start: Phase | None = None) -> Scenario:
    """A scenario at random, sometimes one of the directed ones."""
    if start is None and chance.random() < 0.4:
        return chance.choice(DIRECTED)
    return Scenario(
        start=start or chance.choice(STARTS),
        gap=chance.choice((0.12, 0.5, 1.5)),
        faults=chance.choice((0.05, 0.15, 0.4, 1.0)),
        seconds=chance.choice((6.0, 12.0)),
        lossy=chance.random() < 0.2,
        stalls=chance.random() < 0.2,
        hesitates=chance.random() < 0.15,
        late=chance.choice((0.003, 0.01, 0.04, 0.12)),
        legacy_late=chance.choice((0.003, 0.01, 0.04, 0.12)),
        slow=chance.choice((0.0, 0.02, 0.1)),
        queue=chance.choice((0.0, 0.003, 0.05)),
        forget=chance.random() < 0.3,
        refuses=chance.random() < 0.15,
        keyless=chance.random() < 0.3,
        many=chance.random() < 0.3,
        transactions=chance.random() < 0.4,
        refusals=chance.random() < 0.2,
        loops=chance.choice((1, 1, 2)),
        ends=chance.random() < 0.2,
        keys=chance.choice((1, 2, 3)),
        terms=replace(TERMS, sync_timeout=chance.choice((0.3, 0.8))),
    )
