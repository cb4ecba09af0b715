"""``python -m tests.bench [--json FILE] [--only TEXT]``: print ratios against the bare driver and hand-written SQL."""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from rich.console import Console
from rich.table import Table

from tests.bench.cases import cases, round_trip, route_lookup
from tests.bench.measure import Result, measure
from tests.bench.wide import wide_cases
from tests.bench.world import world

_COLUMNS = ("case", "bare_us", "shadow_us", "ratio_p50", "ratio_p99", "added_us_p50", "added_cpu_us", "spread")


async def _run(only: str, told: Callable[[Result], None]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        async with world(Path(folder)) as here:
            told(await round_trip(here))
            told(route_lookup(here))
            for case in cases(here):
                if only in case.name:
                    told(await measure(case))
            async for case in wide_cases(here, only):
                told(await measure(case))


def main() -> None:
    """Run, print, and write the figures where asked."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description=__doc__)
    parser.add_argument("--json", type=Path, help="write the figures to this file")
    parser.add_argument("--only", default="", help="only the cases whose name holds this text")
    options = parser.parse_args()
    rows: list[dict[str, object]] = []

    def told(result: Result) -> None:
        rows.append(result.as_json())
        print(f"{rows[-1]['case']}: {rows[-1]['ratio_p50']}", file=sys.stderr, flush=True)
        if options.json is not None:
            options.json.write_text(json.dumps(rows, indent=2))

    asyncio.run(_run(options.only, told))
    table = Table(*_COLUMNS, "throughput")
    for row in rows:
        table.add_row(*(str(row[column]) for column in _COLUMNS), str(row["throughput_ratio"]))
    Console(width=150).print(table)


if __name__ == "__main__":
    main()
