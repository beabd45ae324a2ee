"""Panels of lines and bars over one axis of time, as SVG; pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

_WIDTH, _PANEL, _GAP, _LEFT, _RIGHT, _TOP, _BOTTOM = 860, 96, 30, 52, 16, 34, 40
_STYLE = (
    "text{font:12px system-ui,sans-serif;fill:#59636e}.title{fill:#1f2328;font-weight:600}"
    ".grid{stroke:#d1d9e0}.line{fill:none;stroke-width:1.8}"
)


@dataclass(frozen=True)
class Series:
    """One line, or bars from 0.

    Args:
        label: for the legend.
        colour: as SVG names it.
        points: times and values, by time. A value holds until the next one.
        bars: drawn as bars, each as wide as it holds.
    """

    label: str
    colour: str
    points: Sequence[tuple[float, float]]
    bars: bool = False


@dataclass(frozen=True)
class Panel:
    """Series of one scale under a title."""

    title: str
    series: Sequence[Series]


@dataclass(frozen=True)
class _Frame:
    """Where a panel's values are on the page."""

    top: float
    end: float
    highest: float

    def x(self, time: float) -> float:
        return _LEFT + time / self.end * (_WIDTH - _LEFT - _RIGHT)

    def y(self, value: float) -> float:
        return self.top + _PANEL * (1 - value / self.highest)


def draw(panels: Sequence[Panel], end: float, unit: str, step: float) -> str:
    """The picture.

    Args:
        panels: from top to bottom.
        end: of the axis of time, which begins at 0.
        unit: of time, as the axis names it.
        step: between two marks of the axis.
    """
    height = _TOP + len(panels) * (_PANEL + _GAP) + _BOTTOM - _GAP
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {height}" role="img">',
        f'<style>{_STYLE}</style><rect width="100%" height="100%" fill="white"/>',
    ]
    for number, panel in enumerate(panels):
        top = _TOP + number * (_PANEL + _GAP)
        values = [value for series in panel.series for _, value in series.points]
        frame = _Frame(top, end, max(1.0, *values))
        parts += [_axes(panel, frame), *(_series(each, frame) for each in panel.series)]
    frame = _Frame(0, end, 1)
    for number in range(int(end / step) + 1):
        x, y = frame.x(number * step), height - _BOTTOM + 16
        parts.append(f'<text x="{x:.1f}" y="{y}" text-anchor="middle">{number * step:g}</text>')
    parts.append(f'<text x="{_LEFT}" y="{height - 6}">{escape(unit)}</text></svg>\n')
    return "\n".join(parts)


def _axes(panel: Panel, frame: _Frame) -> str:
    left, right = _LEFT, _WIDTH - _RIGHT
    parts = [f'<text class="title" x="{left}" y="{frame.top - 8:.1f}">{escape(panel.title)}</text>']
    place = right
    for series in reversed(panel.series):
        parts.append(
            f'<text x="{place}" y="{frame.top - 8:.1f}" text-anchor="end" '
            f'style="fill:{series.colour}">{escape(series.label)}</text>'
        )
        place -= 16 + 7 * len(series.label)
    for value in (0.0, frame.highest):
        y = frame.y(value)
        parts.append(f'<line class="grid" x1="{left}" x2="{right}" y1="{y:.1f}" y2="{y:.1f}"/>')
        parts.append(f'<text x="{left - 8}" y="{y + 4:.1f}" text-anchor="end">{value:g}</text>')
    return "".join(parts)


def _series(series: Series, frame: _Frame) -> str:
    ends = [time for time, _ in series.points[1:]] + [frame.end]
    steps = list(zip(series.points, ends, strict=True))
    if series.bars:
        return "".join(
            f'<rect x="{frame.x(start):.1f}" y="{frame.y(value):.1f}" '
            f'width="{max(0.5, frame.x(end) - frame.x(start) - 0.5):.1f}" '
            f'height="{frame.y(0) - frame.y(value):.1f}" fill="{series.colour}"/>'
            for (start, value), end in steps
            if value
        )
    corners = [
        f"{frame.x(time):.1f},{frame.y(value):.1f}"
        for (start, value), end in steps
        for time in (start, end)
    ]
    return f'<polyline class="line" stroke="{series.colour}" points="{" ".join(corners)}"/>'
