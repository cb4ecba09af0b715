"""Prints results: counts by file and phase, every test that ends otherwise than with the driver alone, and why."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence

from rich.console import Console
from rich.table import Table

from tests.drivers.known import known
from tests.drivers.results import Difference, Result, differences
from tests.drivers.world import BARE

SHOWN = 40
"""Reasons that are shown of a phase; the rest is counted."""

Results = Mapping[str, Sequence[Result]]
"""By file: the driver alone first, then the phases."""


def show(console: Console, results: Results) -> None:
    """Print everything."""
    console.print(table(results))
    for file, (bare, *phases) in results.items():
        for result in phases:
            for each in differences(bare, result):
                console.print(f"{file} [{result.phase}] {line(each)}", markup=False, highlight=False, soft_wrap=True)
    for phase in _phases(results):
        why = reasons(results, phase)
        if why:
            console.print(f"\n{phase}: why tests fail that pass with the driver alone", markup=False)
        for reason, count in why.most_common(SHOWN):
            console.print(f"{count:5}  {reason}", markup=False, highlight=False, soft_wrap=True)


def table(results: Results) -> Table:
    """Passed and failed tests, a row for each file and a column for each phase; skipped ones, of the driver alone."""
    phases = _phases(results)
    shown = Table("file", BARE, "skipped", *phases)
    for file, found in results.items():
        by_phase = {result.phase: result for result in found}
        shown.add_row(file, cell(by_phase[BARE]), str(by_phase[BARE].counts["skipped"]), *_cells(by_phase, phases))
    return shown


def markdown(results: Results) -> str:
    """The same table for a page."""
    phases = _phases(results)
    lines = ["| file | driver alone | " + " | ".join(f"`{phase}`" for phase in phases) + " |"]
    lines.append("|---" * (len(phases) + 2) + "|")
    for file, found in results.items():
        by_phase = {result.phase: result for result in found}
        lines.append(f"| {file} | " + " | ".join([cell(by_phase[BARE]), *_cells(by_phase, phases)]) + " |")
    return "\n".join(lines)


def cell(result: Result | None) -> str:
    """What a table says of one result."""
    if result is None:
        return ""
    counts = result.counts
    return f"{counts['passed']} / {counts['failed']}" + (f" ({result.broken})" if result.broken else "")


def line(each: Difference) -> str:
    """What is said of one test that ends otherwise."""
    why = known(each.test) or each.shadow.why or each.bare.why
    return f"{each.test}: {each.bare.outcome} -> {each.shadow.outcome} {why}"


def reasons(results: Results, phase: str) -> Counter[str]:
    """Why tests fail in a phase that pass with the driver alone, with what is particular to one of them left out."""
    found: Counter[str] = Counter()
    for bare, *phases in results.values():
        for result in phases:
            if result.phase == phase:
                found.update(general(each.shadow.why) for each in differences(bare, result))
    return found


def general(why: str) -> str:
    """A reason without numbers, identifiers and quoted values."""
    text = re.sub(r", full error: .*", "", why)
    text = re.sub(r"0x[0-9a-f]+|\b[0-9a-f]{24}\b", "…", text)
    return re.sub(r"\d+", "N", text)[:200]


def _phases(results: Results) -> list[str]:
    return list(dict.fromkeys(result.phase for found in results.values() for result in found if result.phase != BARE))


def _cells(by_phase: Mapping[str, Result], phases: Sequence[str]) -> list[str]:
    return [cell(by_phase.get(phase)) for phase in phases]
