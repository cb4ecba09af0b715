"""The simulation by hand.

python -m tests.sim --minutes 30          new seeds until the time is over, or until one fails
python -m tests.sim --seed 42 --trace     one run again, and what happened in it
python -m tests.sim --mutations           every rule taken out in turn, and the seed that finds out
"""

from __future__ import annotations

import argparse
import os
import sys

from tests.sim.campaign import campaign, replay, scenario_of
from tests.sim.mutations import MUTATIONS, applied, survey


def main() -> int:
    """Run what the arguments say; 1 if a promise was broken."""
    options = _options()
    if os.environ.get("PYTHONHASHSEED") != "0":
        # The order of a set of bytes depends on it, and a run must repeat exactly.
        os.execve(
            sys.executable, [sys.executable, "-m", "tests.sim", *sys.argv[1:]], os.environ | {"PYTHONHASHSEED": "0"}
        )
    if options.mutations:
        return survey()
    if options.mutation is not None:
        mutation = MUTATIONS[options.mutation]
        with applied(mutation):
            return replay(options.seed, mutation.scenario, tracing=options.trace)
    if options.seed is not None:
        return replay(options.seed, scenario_of(options.seed), tracing=options.trace)
    return campaign(options.first, options.minutes * 60 + options.seconds)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.sim")
    parser.add_argument("--seed", type=int, help="replay one run")
    parser.add_argument("--trace", action="store_true", help="say what happened in it")
    parser.add_argument("--mutation", choices=MUTATIONS, help="with --seed: in this mutation's run, the rule taken out")
    parser.add_argument("--mutations", action="store_true", help="show that every rule is missed")
    parser.add_argument("--minutes", type=float, default=0.0)
    parser.add_argument("--seconds", type=float, default=0.0)
    parser.add_argument("--first", type=int, default=1, help="the first seed")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
