"""Many runs, one after the other, or one again."""

from __future__ import annotations

import random
import time
from collections import Counter

from tests.sim.ledger import Violation
from tests.sim.loop import Spinning
from tests.sim.scenario import Scenario, draw
from tests.sim.world import World


def scenario_of(seed: int) -> Scenario:
    """The scenario that belongs to a seed."""
    return draw(random.Random(f"{seed}/scenario"))


def run(seed: int, scenario: Scenario, *, tracing: bool = False) -> tuple[World, str | None]:
    """One run; the world, and how it broke a promise, if it did."""
    world = World(seed, scenario, tracing=tracing)
    try:
        world.run()
    except (Violation, Spinning) as violation:
        world.note("VIOLATION", violation)
        return world, str(violation)
    return world, None


def campaign(first: int, seconds: float) -> int:
    """New seeds until the time is over or one fails; 1 if one fails."""
    end = time.monotonic() + seconds
    seen: Counter[str] = Counter()
    seed = first
    while time.monotonic() < end:
        world, violation = run(seed, scenario_of(seed))
        if violation is not None:
            print(f"seed {seed}: {violation}\nreplay it: python -m tests.sim --seed {seed} --trace", flush=True)
            return 1
        seen["writes acknowledged"] += world.ledger.acknowledged
        seen["virtual seconds"] += round(world.loop.time())
        seed += 1
    print(f"{seed - first} runs without a violation:", ", ".join(f"{n} {what}" for what, n in seen.items()))
    return 0


def replay(seed: int, scenario: Scenario, *, tracing: bool) -> int:
    """One run again; 1 if it fails."""
    world, violation = run(seed, scenario, tracing=tracing)
    print(*world.trace, sep="\n")
    print(f"seed {seed}: {violation or 'no violation'}; {world.scenario}")
    return 1 if violation else 0
