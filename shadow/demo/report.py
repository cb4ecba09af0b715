"""The report: one HTML file with everything inside, for a person who was not there."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from html import escape
from importlib.resources import files
from itertools import groupby
from pathlib import Path

from shadow.demo.application import COLLECTIONS
from shadow.demo.board import Board
from shadow.demo.plots import Band, Series, bands_by_row, grouped_bars, lines
from shadow.demo.verdict import Verdict

_COLOURS = {
    "legacy": "#7a8699",
    "dual_write": "#0e9aa7",
    "shadow_read": "#3d6fd1",
    "canary_10": "#7b5bd6",
    "canary_50": "#9b4fc9",
    "read_new": "#b8449f",
    "write_new": "#d98a1f",
    "new": "#2f9e5b",
}
_SHADOW, _BARE, _LEGACY, _NEW, _MARKS = "#3d6fd1", "#9aa5b4", "#7a8699", "#2f9e5b", "#d98a1f"
_CAP = 6.0


def write(path: Path, verdict: Verdict, board: Board) -> None:
    """Write the report."""
    page = files("shadow.demo").joinpath("report.html").read_text("utf-8")
    path.write_text(page.replace("<!--BODY-->", "\n".join(_body(verdict, board))), encoding="utf-8")


def _body(verdict: Verdict, board: Board) -> Iterator[str]:
    well = not verdict.problems
    yield f'<h1 class="{"good" if well else "bad"}">{"Nothing was lost." if well else "Not well."}</h1>'
    yield '<p class="lead">An application under load moved from MongoDB to PostgreSQL, back, and forward again.</p>'
    if verdict.problems:
        yield f'<section class="problems"><ul>{_items(verdict.problems)}</ul></section>'
    yield _facts(verdict)
    end = board.looks[-1].at if board.looks else 1.0
    legs = _stretches([(look.at, look.leg) for look in board.looks], end)
    yield _section(
        "Phases", "Where each collection stood. PostgreSQL is the authority from write_new on.", _phases(board, end)
    )
    yield _section(
        "What callers waited",
        "Median over three seconds, through Shadow and through the bare driver in the same moments.",
        lines(_latencies(board), legs, unit="ms"),
    )
    yield _section(
        "Latency by phase, over the bare driver's",
        "1.00 is the bare driver under the same load, steps and verifies apart. From write_new on PostgreSQL works.",
        grouped_bars(
            [(r.phase, (r.p50, r.p99)) for r in verdict.phases], [("p50", _SHADOW), ("p99", "#a8c0ee")], cap=_CAP
        )
        + _ratios(verdict),
    )
    yield _section(
        "Who answered",
        "Operations a second, by the store whose answer the caller got.",
        lines(_answers(board), legs, unit="ops/s"),
    )
    yield _section(
        "Open marks",
        "Keys on which the stores may differ, noted before each write.",
        lines(_marks(board), legs, unit="marks", height=180),
    )
    yield _section("Mismatches", "Only confirmed ones count; here, the planted one.", _mismatches(verdict))
    yield _section("What happened", "", _notes(board))


def _facts(verdict: Verdict) -> str:
    planted = "repaired" if verdict.found and verdict.repaired else "missed"
    facts = (
        (f"{verdict.lost}", "records lost", verdict.lost == 0),
        (f"{verdict.caller_errors}", "callers' errors", verdict.caller_errors == 0),
        (f"{verdict.compared:,}", "records equal byte by byte", True),
        (planted, "planted divergence", planted == "repaired"),
        (f"{verdict.fence_ms:.0f} ms", "longest pause of a fence", True),
        (f"{verdict.seconds:.0f} s", "in all", True),
    )
    cells = (
        f'<div class="fact {"good" if ok else "bad"}"><b>{value}</b><span>{name}</span></div>'
        for value, name, ok in facts
    )
    return f'<section class="facts">{"".join(cells)}</section>'


def _phases(board: Board, end: float) -> str:
    rows = [("asked for", _stretches([(look.at, look.leg) for look in board.looks], end))]
    for i, name in enumerate(COLLECTIONS):
        stood = [(look.at, look.lines[i].phase) for look in board.looks]
        rows.append((name, _stretches(stood, end)))
    return bands_by_row(rows, end)


def _stretches(stood: Sequence[tuple[float, str]], end: float) -> list[Band]:
    """Equal neighbours as one band."""
    starts = [(label, next(group)[0]) for label, group in groupby(stood, key=lambda each: each[1])]
    ends = [start for _, start in starts[1:]] + [end]
    return [Band(start, stop, label, _COLOURS[label]) for (label, start), stop in zip(starts, ends, strict=True)]


def _latencies(board: Board) -> list[Series]:
    return [
        Series("through Shadow, p50", _SHADOW, [(look.at, look.shadow_p50) for look in board.looks]),
        Series("bare driver, p50", _BARE, [(look.at, look.bare_p50) for look in board.looks]),
    ]


def _answers(board: Board) -> list[Series]:
    return [
        Series(name, colour, [(look.at, look.by_store.get(store, 0.0)) for look in board.looks])
        for name, store, colour in (("MongoDB", "legacy", _LEGACY), ("PostgreSQL", "new", _NEW))
    ]


def _marks(board: Board) -> list[Series]:
    return [
        Series("open marks", _MARKS, [(look.at, float(sum(line.marks for line in look.lines))) for look in board.looks])
    ]


def _ratios(verdict: Verdict) -> str:
    head = ("phase", "calls", "p50 ms", "bare p50 ms", "p50 ratio", "p99 ratio")
    rows = (
        (
            r.phase,
            f"{r.ops:,}",
            f"{r.shadow_p50 * 1000:.2f}",
            f"{r.bare_p50 * 1000:.2f}",
            f"{r.p50:.2f}",
            f"{r.p99:.2f}",
        )
        for r in verdict.phases
    )
    return _table(head, list(rows))


def _mismatches(verdict: Verdict) -> str:
    rows = [(kind, state, f"{n:,}") for kind, states in verdict.mismatches.items() for state, n in states.items()]
    return _table(("kind", "state", "count"), rows) if rows else "<p>None.</p>"


def _notes(board: Board) -> str:
    return _table(("at", ""), [(f"{at:.1f} s", text) for at, text in board.notes])


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    def row(cells: Sequence[str], tag: str) -> str:
        return "".join(f"<{tag}{_right(cell)}>{escape(cell)}</{tag}>" for cell in cells)

    body = "".join(f"<tr>{row(cells, 'td')}</tr>" for cells in rows)
    return f"<table><tr>{row(head, 'th')}</tr>{body}</table>"


def _right(cell: str) -> str:
    number = cell[:1].isdigit() or cell in ("calls", "count") or cell.startswith(("p50", "p99", "bare"))
    return ' class="r"' if number and not cell.endswith(" s") else ""


def _section(title: str, why: str, content: str) -> str:
    return f'<section><h2>{escape(title)}</h2><p class="why">{escape(why)}</p>{content}</section>'


def _items(texts: Sequence[str]) -> str:
    return "".join(f"<li>{escape(text)}</li>" for text in texts)
