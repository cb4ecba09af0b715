"""``python -m tests.drivers [--phase PHASE]... [--file TEXT]... [--json FILE]``: run the drivers' own tests.

``python -m tests.drivers --show FILE...`` prints what such files hold, as a table for a page and in full.

Each file runs with the driver alone, in ``legacy``, and in the phases that are asked for; in those its collections, as
far as the run in ``legacy`` has met them, are settled from the start.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from rich.console import Console

from shadow.embedded import PostgresServer
from shadow_flags.phases import Phase
from tests.drivers.known import known
from tests.drivers.report import cell, markdown, show
from tests.drivers.results import Result, differences, read
from tests.drivers.run import run
from tests.drivers.suites import FILES, File, NotToBeHad
from tests.drivers.world import BARE


def main() -> int:
    """Run what the arguments say; 1 if anything in ``legacy`` ends otherwise than with the driver alone."""
    options = _options()
    console = Console(width=160)
    if options.show:
        found = read([each for path in options.show for each in json.loads(path.read_text("utf-8"))])
        told = {file.label: found[file.label] for file in FILES if file.label in found}
        console.print(markdown(told), markup=False, soft_wrap=True)
        show(console, told)
        return 0
    wanted = [file for file in FILES if not options.file or any(text in file.label for text in options.file)]
    results: dict[str, list[Result]] = {}
    with PostgresServer(durable=False) as postgres:
        for file in wanted:
            try:
                results[file.label] = _run(console, file, options.phase, postgres)
            except NotToBeHad as error:
                console.print(str(error), markup=False)
                return 2
            if options.json is not None:
                shown = [result.as_json() for found in results.values() for result in found]
                options.json.write_text(json.dumps(shown, indent=1))
    show(console, results)
    return int(any(not known(each.test) for found in results.values() for each in differences(*found[:2])))


def _run(console: Console, file: File, phases: list[str], postgres: PostgresServer) -> list[Result]:
    found: list[Result] = []
    for phase in dict.fromkeys([BARE, Phase.LEGACY.value, *phases]):
        result = run(file, phase, postgres, found[1].entities if len(found) > 1 else ())
        console.print(f"{file.label} {phase}: {cell(result)}", markup=False, highlight=False)
        found.append(result)
    return found


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.drivers", description=__doc__)
    parser.add_argument("--phase", action="append", default=[], choices=[str(phase) for phase in Phase])
    parser.add_argument("--file", action="append", default=[], help="only the files whose label holds this text")
    parser.add_argument("--json", type=Path, help="write every result to this file")
    parser.add_argument("--show", nargs="*", type=Path, default=[], help="print results that were written before")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
