"""A score as a small picture: where it lies between uniform rows and a real sample. Inline SVG with a text for
those who do not see it.

The right end is the better one for every score. A band shows fresh real samples, a dot the value, a line the
interval over draws, and ticks with a letter the baselines. The axis begins at the baseline that is nearer to real
samples without being like them; one that is worse is an arrow at the left end.
"""

from __future__ import annotations

from dataclasses import dataclass

from markupsafe import Markup, escape

from dpsynth.metrics.framework.metric import Score
from dpsynth.report.wording import number, span

WIDTH, HEIGHT, EDGE = 170, 26, 8
BAND, EDGE_OF_BAND, DOT, TICK = "#d5efe4", "#00734f", "#0072b2", "#57606a"


@dataclass(frozen=True)
class _Axis:
    low: float
    high: float
    better: str

    def x(self, value: float) -> float:
        part = min(max((value - self.low) / (self.high - self.low), 0.0), 1.0)
        return EDGE + (WIDTH - 2 * EDGE) * (part if self.better == "higher" else 1 - part)


def description(score: Score) -> str:
    """The picture in words."""
    parts = [f"{score.name}: {number(score.value)}"]
    if score.low is not None:
        parts.append(f"95 % of draws {span(score.low, score.high)}")
    if score.real_baseline is not None:
        band = (
            f", 95 % of them {span(score.real_baseline_low, score.real_baseline_high)}"
            if score.real_baseline_low is not None
            else ""
        )
        parts.append(f"real samples {number(score.real_baseline)}{band}")
    parts += [f"{_NAMES.get(name, name)} {number(value)}" for name, value in score.baselines.items()]
    like = {True: "the value lies in the band of real samples", False: "the value lies outside the band"}
    if score.like_real is not None:
        parts.append(like[score.like_real])
    return "; ".join(parts)


def mark(score: Score) -> Markup:
    """The picture as an <svg> element; empty when there is nothing to compare the value with."""
    shown = (score.value, score.low, score.high, score.real_baseline, score.real_baseline_low, score.real_baseline_high)
    values = [value for value in (*shown, *score.baselines.values()) if value is not None]
    if score.value is None or len(values) < 2 or min(values) == max(values):
        return Markup("")
    near = [value for value in shown if value is not None] + _yardsticks(score)
    ends = near if min(near) < max(near) else values
    axis = _Axis(min(ends), max(ends), score.better)
    middle, parts = HEIGHT / 2 + 4, []
    parts.append(f'<line x1="{EDGE}" y1="{middle}" x2="{WIDTH - EDGE}" y2="{middle}" stroke="{TICK}"/>')
    if score.real_baseline_low is not None and score.real_baseline_high is not None:
        left, right = sorted((axis.x(score.real_baseline_low), axis.x(score.real_baseline_high)))
        wide = max(right - left, 3.0)
        left = min(left, WIDTH - EDGE - wide)
        parts.append(
            f'<rect x="{left:.1f}" y="{middle - 7}" width="{wide:.1f}" height="14" fill="{BAND}" '
            f'stroke="{EDGE_OF_BAND}"/>'
        )
    for name, value in score.baselines.items():
        x, letter = axis.x(value), escape(name[:1])
        if axis.low <= value <= axis.high:
            parts.append(f'<line x1="{x:.1f}" y1="{middle - 5}" x2="{x:.1f}" y2="{middle + 5}" stroke="{TICK}"/>')
            parts.append(_letter(x, "middle", letter, middle))
        else:
            parts.append(_letter(EDGE + 6, "start", f"←{letter}", middle))
    if score.low is not None and score.high is not None:
        parts.append(
            f'<line x1="{axis.x(score.low):.1f}" y1="{middle}" x2="{axis.x(score.high):.1f}" y2="{middle}" '
            f'stroke="{DOT}" stroke-width="3"/>'
        )
    parts.append(f'<circle cx="{axis.x(score.value):.1f}" cy="{middle}" r="4" fill="{DOT}"/>')
    opening = f'<svg role="img" width="{WIDTH}" height="{HEIGHT}" viewBox="0 0 {WIDTH} {HEIGHT}"'
    return Markup(f'{opening} aria-label="{escape(description(score))}">{"".join(parts)}</svg>')


def _letter(x: float, anchor: str, text: str, middle: float) -> str:
    place = f'x="{x:.1f}" y="{middle - 8}" text-anchor="{anchor}"'
    return f'<text {place} font-size="10" fill="{TICK}">{text}</text>'


def _yardsticks(score: Score) -> list[float]:
    """The baselines the axis must reach: the best of those that are not like a real sample themselves."""
    low, high = score.real_baseline_low, score.real_baseline_high
    if score.better == "lower":
        telling = [value for value in score.baselines.values() if high is None or value > high]
        return [min(telling)] if telling else []
    telling = [value for value in score.baselines.values() if low is None or value < low]
    return [max(telling)] if telling else []


_NAMES = {"uniform": "uniform rows", "independent": "independent columns"}
