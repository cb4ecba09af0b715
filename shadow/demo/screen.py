"""The demo in a terminal: a live view; plain lines where nobody watches."""

from __future__ import annotations

import asyncio
import sys
from typing import Protocol

from rich import box
from rich.console import Console, Group
from rich.live import Live
from rich.padding import Padding
from rich.panel import Panel
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from shadow.demo.board import Board, Line, Look
from shadow.demo.verdict import Verdict

_EVERY = 0.5
_LINE_EVERY = 5.0
_NOTES = 6
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
    """One line for each thing that happens, and one every five seconds."""

    def __init__(self) -> None:
        self._shown = 0
        self._next = _LINE_EVERY

    def say(self, text: str) -> None:
        print(text, flush=True)

    async def show(self, board: Board) -> None:
        try:
            while True:
                look = board.look()
                self._print(board)
                if look.at >= self._next:
                    self._next += _LINE_EVERY
                    print(_line(board, look), flush=True)
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


def _line(board: Board, look: Look) -> str:
    """One look in one line."""
    marks = sum(line.marks for line in look.lines)
    confirmed, excused = (sum(getattr(line, name) for line in look.lines) for name in ("confirmed", "excused"))
    parts = [
        f"{look.rate:.0f} ops/s, p50 {_ms(look.shadow_p50)} ms (bare driver {_ms(look.bare_p50)} ms)",
        f"{marks} open marks",
        f"{confirmed} confirmed mismatches, {excused} excused",
    ]
    progress = board.backfill()
    if progress is not None and progress[0] < progress[1]:
        parts.append(f"backfill {progress[0]:,} of {progress[1]:,}, {progress[2] or 0:.0f} s left")
    return f"{look.at:6.1f} s    {'; '.join(parts)}"


def render(board: Board, look: Look) -> Panel:
    """The whole view."""
    below = [part for part in (_backfill(board), _waiting(look), _notes(board)) if part is not None]
    padded = [Padding(part, (0, 1)) for part in below]
    title = f"[bold]shadow demo[/]  MongoDB to PostgreSQL under traffic  {look.at:.0f} s"
    return Panel(
        Group(Padding(_head(board, look), (0, 1)), _entities(look), *padded), title=title, border_style="dim", padding=0
    )


def _head(board: Board, look: Look) -> Text:
    ahead = board.walk.ahead
    fence = board.recorder.fence_ms
    errors = sum(board.recorder.errors.values())
    text = Text(ahead.label, style=f"bold {_COLOURS[ahead.settled]}", no_wrap=True, overflow="ellipsis")
    text.append(f"   {look.rate:.0f} ops/s   p50 {_ms(look.shadow_p50)} ms", style="default not bold")
    text.append(f" (bare driver {_ms(look.bare_p50)})", style="default not bold dim")
    text.append(f"   errors {errors}", style="not bold red" if errors else "not bold green")
    if fence:
        text.append(f"   fence {fence:.0f} ms", style="default not bold")
    return text


def _entities(look: Look) -> Table:
    table = Table(box=box.SIMPLE_HEAD, expand=True, pad_edge=False, collapse_padding=True)
    table.add_column("entity", no_wrap=True)
    table.add_column("phase", ratio=1, min_width=11, no_wrap=True)
    for name in ("ops/s", "open\nmarks", "mis-\nmatches", "excused", "legacy\nms", "new\nms"):
        table.add_column(name, justify="right", no_wrap=True, min_width=5)
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
    )


def _waiting(look: Look) -> Text | None:
    """What blocks, each reason once."""
    reasons: dict[str, list[str]] = {}
    for line in look.lines:
        if line.waits_for:
            reasons.setdefault(line.waits_for, []).append(line.name)
    lines = [f"{', '.join(names)}: {why}" for why, names in reasons.items()]
    return Text("\n".join(lines), style="yellow", no_wrap=True, overflow="ellipsis") if lines else None


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
