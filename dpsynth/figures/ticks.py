"""Places and labels of the ticks of an ordered column, in its own unit: round numbers, round dates."""

from __future__ import annotations

import matplotlib.ticker
import numpy as np

from dpsynth.data.columns import Date, Datetime, Integer, Quantity

MOST = 4  # ticks of one axis

# numpy's unit, multiple of it, and the letters of its ISO text that make the label
_CALENDAR: tuple[tuple[str, int, slice], ...] = (
    *(("s", step, slice(11, 19)) for step in (1, 5, 15, 30)),
    *(("m", step, slice(11, 16)) for step in (1, 5, 15, 30)),
    *(("h", step, slice(11, 16)) for step in (1, 3, 6, 12)),
    *(("D", step, slice(5, 10)) for step in (1, 2, 5, 10, 20)),
    *(("M", step, slice(0, 7)) for step in (1, 2, 3, 6)),
    *(("Y", step * 10**power, slice(0, 4)) for power in range(4) for step in (1, 2, 5)),
)


def axis_ticks(column: Quantity) -> tuple[list[float], list[str]]:
    """Ticks on the column's value axis, within its bounds."""
    low, high = column.start, column.stop
    if isinstance(column, Date | Datetime):
        return calendar_ticks(low, high)
    whole = isinstance(column, Integer)
    places = matplotlib.ticker.MaxNLocator(MOST, integer=whole, steps=[1, 2, 2.5, 5, 10]).tick_values(low, high)
    kept = [float(place) for place in places if low <= place <= high]
    return kept, [compact(place) for place in kept]


def calendar_ticks(low: float, high: float) -> tuple[list[float], list[str]]:
    """Ticks between two moments in seconds since 1970: the finest calendar step that gives at most `MOST`."""
    for unit, step, letters in _CALENDAR:
        origin = 1970 if unit == "Y" else 0  # round years, not round numbers of years since 1970
        first, last = (int(np.datetime64(round(end), "s").astype(f"M8[{unit}]").astype(int)) for end in (low, high))
        if (last - first) // step > MOST:
            continue
        numbers = np.arange(-(-(first + origin) // step) * step, last + origin + 1, step) - origin
        seconds = numbers.astype(f"M8[{unit}]").astype("M8[s]")
        inside = [moment for moment in seconds if low <= moment.astype(np.int64) <= high]
        if len(inside) <= MOST:
            return [float(moment.astype(np.int64)) for moment in inside], [_label(moment, letters) for moment in inside]
    return [], []


def _label(moment: np.datetime64, letters: slice) -> str:
    text = str(moment)
    midnight = letters.start == 11 and text.endswith("00:00:00")
    return text[5:10] if midnight else text[letters]


def compact(value: float) -> str:
    """A number in few letters: 25k, 1.5M, 0.25."""
    for unit, letter in ((1e9, "G"), (1e6, "M"), (1e4, "k")):
        if abs(value) >= unit:
            divisor = 1e3 if letter == "k" else unit
            return f"{value / divisor:g}{letter}"
    return f"{value:g}"
