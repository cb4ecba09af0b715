"""The demo in a terminal: a live view; plain lines where nobody watches."""

from __future__ import annotations

import asyncio
import sys
from typing import Protocol

from rich import box
from rich.console import Console, Group
from rich.live import Live
from rich.panel import Panel
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from shadow.demo.board import Board, Line, Look
from shadow.demo.verdict import Verdict

_EVERY = 0.5
_NOTES = 7
_COLOURS = {
    "legacy": "white",
    "dual_write": "cyan",
    "shadow_read": "blue",
    "read_new": "magenta",
    "write_new": "yellow",
    "new": "green",
}


class Screen(Protocol):
    """Shows the board until it is cancelled."""

    def say(self, text: str) -> None:
        """One line about what is being prepared."""

    async def show(self, board: Board) -> None: ...


def screen() -> Screen:
    """The live view in a terminal, lines elsewhere."""
    console = Console()
    return LiveScreen(console) if console.is_terminal else LineScreen()


class LineScreen:
    """One line for each thing that happens."""

    def __init__(self) -> None:
        self._shown = 0

    def say(self, text: str) -> None:
        print(text, flush=True)

    async def show(self, board: Board) -> None:
        try:
            while True:
                board.look()
                self._print(board)
                await asyncio.sleep(_EVERY)
        finally:
            self._print(board)

    def _print(self, board: Board) -> None:
        for at, text in board.notes[self._shown :]:
            print(f"{at:6.1f} s  {text}", flush=True)
        self._shown = len(board.notes)


class LiveScreen:
    """A table of the entities, and what happened last."""

    def __init__(self, console: Console) -> None:
        self._console = console

    def say(self, text: str) -> None:
        self._console.print(f"[dim]{text}[/]")

    async def show(self, board: Board) -> None:
        with Live(console=self._console, auto_refresh=False, transient=False) as live:
            try:
                while True:
                    live.update(render(board, board.look()), refresh=True)
                    await asyncio.sleep(_EVERY)
            finally:
                live.update(render(board, board.look()), refresh=True)


def render(board: Board, look: Look) -> Panel:
    """The whole view."""
    parts = [_head(board, look), _entities(look), _backfill(board), _notes(board)]
    title = f"[bold]shadow demo[/]  MongoDB to PostgreSQL under traffic  {look.at:.0f} s"
    return Panel(Group(*(part for part in parts if part is not None)), title=title, border_style="dim")


def _head(board: Board, look: Look) -> Table:
    grid = Table.grid(padding=(0, 3))
    ahead = board.walk.ahead
    fence = board.recorder.fence_ms
    errors = sum(board.recorder.errors.values())
    grid.add_row(
        Text(ahead.label, style=f"bold {_COLOURS.get(ahead.settled, 'white')}"),
        f"{look.rate:.0f} ops/s through Shadow",
        f"p50 {_ms(look.shadow_p50)} ms [dim](bare driver {_ms(look.bare_p50)} ms)[/]",
        f"callers' errors [{'red' if errors else 'green'}]{errors}[/]",
        f"longest fence {fence:.0f} ms" if fence else "",
    )
    return grid


def _entities(look: Look) -> Table:
    table = Table(box=box.SIMPLE_HEAD, expand=True, pad_edge=False)
    for name in ("entity", "phase"):
        table.add_column(name, no_wrap=True)
    for name in ("ops/s", "marks", "mismatches", "excused", "legacy ms", "new ms"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("waits for", ratio=1, no_wrap=True, overflow="ellipsis")
    for line in look.lines:
        table.add_row(*_cells(line))
    return table


def _cells(line: Line) -> tuple[str | Text, ...]:
    phase = Text(line.phase, style=_COLOURS[line.phase])
    if line.step:
        phase.append(f" > {line.step}", style=f"{_COLOURS[line.step]} blink")
    return (
        line.name,
        phase,
        f"{line.rate:.0f}",
        _count(line.marks),
        _count(line.confirmed),
        _count(line.excused),
        _ms(line.legacy_ms),
        _ms(line.new_ms),
        Text(line.waits_for, style="dim"),
    )


def _backfill(board: Board) -> Table | None:
    progress = board.backfill()
    if progress is None:
        return None
    done, total, left = progress
    grid = Table.grid(padding=(0, 2))
    eta = f"{left:.0f} s left" if left and done < total else "done"
    grid.add_row("backfill", ProgressBar(total=total, completed=done, width=40), f"{done:,} of {total:,}", eta)
    return grid


def _notes(board: Board) -> Text:
    lines = [f"{at:6.1f} s  {text}" for at, text in board.notes[-_NOTES:]]
    return Text("\n" + "\n".join(lines), style="dim", no_wrap=True, overflow="ellipsis")


def print_verdict(verdict: Verdict) -> None:
    """The verdict for a person."""
    console = Console(file=sys.stdout, highlight=False)
    well = not verdict.problems
    console.print(f"\n[bold {'green' if well else 'red'}]{'Nothing was lost.' if well else 'Not well.'}[/]")
    grid = Table.grid(padding=(0, 3))
    for name, value in _facts(verdict):
        grid.add_row(f"[dim]{name}[/]", value)
    console.print(grid)
    table = Table("phase", box=box.SIMPLE_HEAD)
    for name in ("calls", "p50 ms", "bare p50 ms", "p50 ratio", "p99 ratio"):
        table.add_column(name, justify="right")
    for r in verdict.phases:
        ms = (f"{seconds * 1000:.2f}" for seconds in (r.shadow_p50, r.bare_p50))
        table.add_row(r.phase, f"{r.ops:,}", *ms, f"{r.p50:.2f}", f"{r.p99:.2f}")
    console.print(table)
    for problem in verdict.problems:
        console.print(f"[red]- {problem}[/]", markup=True)


def _facts(verdict: Verdict) -> list[tuple[str, str]]:
    kinds = [f"{kind}: {n} {state}" for kind, states in verdict.mismatches.items() for state, n in states.items()]
    planted = "found and repaired" if verdict.found and verdict.repaired else "NOT found and repaired"
    return [
        ("compared in both stores", f"{verdict.compared:,} records, byte by byte"),
        ("lost", str(verdict.lost)),
        ("callers' errors", str(verdict.caller_errors)),
        ("mismatches", ", ".join(kinds) or "none"),
        ("planted divergence", planted),
        ("longest pause of a fence", f"{verdict.fence_ms:.0f} ms"),
        ("took", f"{verdict.seconds:.0f} s"),
    ]


def _count(value: int) -> str:
    return str(value) if value else "-"


def _ms(value: float | None) -> str:
    return "-" if value is None else f"{value:.1f}"
