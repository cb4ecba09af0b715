"""``python -m tests.bench [--json FILE] [--only TEXT]``: print ratios against the bare driver and hand-written SQL."""

from __future__ import annotations

import argparse
import asyncio
import json
import tempfile
from pathlib import Path

from rich.console import Console
from rich.table import Table

from tests.bench.cases import cases, round_trip, route_lookup
from tests.bench.measure import measure
from tests.bench.wide import wide_cases
from tests.bench.world import world

_COLUMNS = ("case", "bare_us", "shadow_us", "ratio_p50", "ratio_p99", "added_us_p50", "added_cpu_us", "spread")


async def _run(only: str) -> list[dict[str, object]]:
    with tempfile.TemporaryDirectory() as folder:
        async with world(Path(folder)) as here:
            results = [await round_trip(here), route_lookup(here)]
            for case in cases(here):
                if only in case.name:
                    results.append(await measure(case))
            async for case in wide_cases(here, only):
                results.append(await measure(case))
    return [result.as_json() for result in results]


def main() -> None:
    """Run, print, and write the figures where asked."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description=__doc__)
    parser.add_argument("--json", type=Path, help="write the figures to this file")
    parser.add_argument("--only", default="", help="only the cases whose name holds this text")
    options = parser.parse_args()
    rows = asyncio.run(_run(options.only))
    table = Table(*_COLUMNS, "throughput")
    for row in rows:
        table.add_row(*(str(row[column]) for column in _COLUMNS), str(row["throughput_ratio"]))
    Console(width=150).print(table)
    if options.json is not None:
        options.json.write_text(json.dumps(rows, indent=2))


if __name__ == "__main__":
    main()
