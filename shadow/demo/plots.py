"""Plots as inline SVG: lines over time with the phases behind them, bars, and the entities' phases as bands."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from html import escape

WIDTH = 960
_LEFT, _RIGHT, _TOP, _BOTTOM = 56, 16, 30, 26
_INNER = WIDTH - _LEFT - _RIGHT

Point = tuple[float, float | None]


@dataclass(frozen=True, slots=True)
class Band:
    """A stretch of time with a name and a colour."""

    start: float
    end: float
    label: str
    colour: str


@dataclass(frozen=True, slots=True)
class Series:
    """One line. A value of None interrupts it."""

    name: str
    colour: str
    points: Sequence[Point]


def lines(series: Sequence[Series], bands: Sequence[Band], *, unit: str, height: int = 240) -> str:
    """Lines over seconds, from zero, over bands."""
    end = max((band.end for band in bands), default=1.0)
    top = _nice(max((value or 0.0 for each in series for _, value in each.points), default=1.0) or 1.0)
    bottom = height - _BOTTOM

    def x(at: float) -> float:
        return _LEFT + _INNER * at / end

    def y(value: float) -> float:
        return bottom - (bottom - _TOP) * value / top

    parts = [_behind(band, x, _TOP, bottom) for band in bands]
    parts += [_gridline(y(top * share), _number(top * share)) for share in (0, 0.5, 1)]
    parts.append(_text(_LEFT - 8, _TOP - 8, unit, anchor="end"))
    parts += [_tick(x(at), bottom, f"{at:.0f} s") for at in _every(end)]
    parts += [_line(each, x, y) for each in series]
    return _svg(height, parts) + _legend([(each.name, each.colour) for each in series])


def grouped_bars(rows: Sequence[tuple[str, Sequence[float]]], groups: Sequence[tuple[str, str]], *, cap: float) -> str:
    """For each row a group of bars from zero; a dashed line at 1. Beyond ``cap`` a bar is cut."""
    height = _TOP + _BOTTOM + 200
    bottom = height - _BOTTOM
    top = min(cap, _nice(max((value for _, values in rows for value in values), default=1.0)))
    slot = _INNER / max(1, len(rows))
    wide = min(38.0, slot * 0.8 / max(1, len(groups)))
    parts = [_gridline(bottom - (bottom - _TOP) * at / top, f"{at:g}x") for at in (0.0, top / 2, top)]
    for i, (name, values) in enumerate(rows):
        left = _LEFT + slot * (i + 0.5) - wide * len(values) / 2
        for j, value in enumerate(values):
            tall = (bottom - _TOP) * min(value, top) / top
            at = left + wide * j
            size = f'x="{at:.1f}" y="{bottom - tall:.1f}" width="{wide - 3:.1f}" height="{tall:.1f}"'
            parts.append(f'<rect {size} rx="2" fill="{groups[j][1]}"/>')
            parts.append(_text(at + wide / 2 - 1.5, bottom - tall - 5, f"{value:.2f}", anchor="middle", css="n"))
        parts.append(_text(_LEFT + slot * (i + 0.5), bottom + 17, name, anchor="middle"))
    one = bottom - (bottom - _TOP) / top
    parts.append(f'<line x1="{_LEFT}" x2="{WIDTH - _RIGHT}" y1="{one:.1f}" y2="{one:.1f}" class="one"/>')
    return _svg(height, parts) + _legend(groups)


def bands_by_row(rows: Sequence[tuple[str, Sequence[Band]]], end: float) -> str:
    """One row of bands for each name."""
    high = 26
    left = 150
    height = 8 + high * len(rows) + _BOTTOM

    def x(at: float) -> float:
        return left + (WIDTH - left - _RIGHT) * at / end

    parts = []
    for i, (name, bands) in enumerate(rows):
        y = 4 + high * i
        parts.append(_text(left - 10, y + 17, name, anchor="end"))
        for band in bands:
            wide = x(band.end) - x(band.start)
            parts.append(
                f'<rect x="{x(band.start):.1f}" y="{y}" width="{max(wide, 1):.1f}" height="{high - 4}" rx="2" '
                f'fill="{band.colour}"><title>{escape(band.label)}, {band.start:.1f} to {band.end:.1f} s</title></rect>'
            )
            if wide > 7 * len(band.label):
                parts.append(_text(x(band.start) + wide / 2, y + 16, band.label, anchor="middle", css="b"))
    parts += [_tick(x(at), height - _BOTTOM, f"{at:.0f} s") for at in _every(end)]
    return _svg(height, parts)


def _behind(band: Band, x: Callable[[float], float], top: float, bottom: float) -> str:
    wide = x(band.end) - x(band.start)
    shape = (
        f'<rect x="{x(band.start):.1f}" y="{top}" width="{wide:.1f}" height="{bottom - top}" fill="{band.colour}" '
        f'opacity="0.13"><title>{escape(band.label)}</title></rect>'
    )
    fits = wide > 6.4 * len(band.label)
    return shape + (_text(x(band.start) + wide / 2, top - 8, band.label, anchor="middle", css="p") if fits else "")


def _line(series: Series, x: Callable[[float], float], y: Callable[[float], float]) -> str:
    path, drawing = [], False
    for at, value in series.points:
        if value is None:
            drawing = False
            continue
        path.append(f"{'L' if drawing else 'M'}{x(at):.1f} {y(value):.1f}")
        drawing = True
    return f'<path d="{" ".join(path)}" fill="none" stroke="{series.colour}" stroke-width="1.8"/>'


def _gridline(y: float, text: str) -> str:
    return f'<line x1="{_LEFT}" x2="{WIDTH - _RIGHT}" y1="{y:.1f}" y2="{y:.1f}" class="g"/>' + _text(
        _LEFT - 8, y + 4, text, anchor="end"
    )


def _tick(x: float, y: float, text: str) -> str:
    return _text(x, y + 17, text, anchor="middle")


def _text(x: float, y: float, text: str, *, anchor: str, css: str = "t") -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" class="{css}">{escape(text)}</text>'


def _svg(height: int, parts: Sequence[str]) -> str:
    return f'<svg viewBox="0 0 {WIDTH} {height}" role="img">{"".join(parts)}</svg>'


def _legend(names: Sequence[tuple[str, str]]) -> str:
    keys = (f'<span><i style="background:{colour}"></i>{escape(name)}</span>' for name, colour in names)
    return f'<p class="legend">{"".join(keys)}</p>'


def _nice(value: float) -> float:
    """The next round number above."""
    magnitude = 10.0 ** (len(f"{int(value)}") - 1) if value >= 1 else 0.1
    return next(magnitude * step for step in (1, 1.5, 2, 3, 4, 5, 6, 8, 10, 20) if magnitude * step >= value)


def _every(end: float) -> list[float]:
    step = next((step for step in (5.0, 10.0, 20.0, 60.0) if end / step <= 12), 120.0)
    return [step * i for i in range(int(end / step) + 1)]


def _number(value: float) -> str:
    return f"{value:,.0f}" if value >= 10 or value == int(value) else f"{value:.1f}"
