"""How many features passed when, as a drawing in a page."""

from __future__ import annotations

from harness_core.reading.burnup import clock
from harness_core.report.document import Curve

_WIDTH, _HEIGHT = 720, 180
_LEFT, _RIGHT, _TOP, _BOTTOM = 34, 8, 10, 22


def curve(drawn: Curve) -> str:
    """The steps from nothing to what passes, below the line of what there is."""
    top = max((point.total for point in drawn.points), default=0) or 1
    span = max(1.0, drawn.end - drawn.start)

    def x(at: float) -> float:
        return _LEFT + (_WIDTH - _LEFT - _RIGHT) * min(1.0, max(0.0, (at - drawn.start) / span))

    def y(count: int) -> float:
        return _TOP + (_HEIGHT - _TOP - _BOTTOM) * (1 - count / top)

    passing, total = [f"M{x(drawn.start):.1f} {y(0):.1f}"], [f"M{x(drawn.points[0].at):.1f} {y(0):.1f}"]
    for point in drawn.points:
        passing.append(f"H{x(point.at):.1f}V{y(point.passing):.1f}")
        total.append(f"H{x(point.at):.1f}V{y(point.total):.1f}")
    end = f"H{x(drawn.end):.1f}"
    passing.append(end)
    total.append(end)
    floor = f"V{y(0):.1f}H{x(drawn.start):.1f}Z"
    last = drawn.points[-1]
    label = f"{last.passing} of {last.total} features pass after {clock(span)}"
    return (
        f'<figure class="curve"><svg viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img" aria-label="{label}">'
        f'<path class="area" d="{"".join(passing)}{floor}"/><path class="line" d="{"".join(passing)}"/>'
        f'<path class="goal" d="{"".join(total)}"/>'
        f'<text x="{_LEFT - 6}" y="{y(top) + 4:.0f}" text-anchor="end">{top}</text>'
        f'<text x="{_LEFT - 6}" y="{y(0):.0f}" text-anchor="end">0</text>'
        f'<text x="{_LEFT}" y="{_HEIGHT - 6}">0:00:00</text>'
        f'<text x="{_WIDTH - _RIGHT}" y="{_HEIGHT - 6}" text-anchor="end">{clock(span)}</text>'
        f"</svg><figcaption>{label}</figcaption></figure>"
    )
