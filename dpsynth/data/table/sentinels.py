"""Numbers and days that often stand for "no value": -9, 999, 1900-01-01. For drafts only.

Whether -1 is a temperature or "does not apply" only a code book says. Those that stand apart from the other values, or
that are far more frequent, are proposed as point masses: then none is lost, and the bounds are those of the rest.
"""

from __future__ import annotations

import datetime as dt

import numpy as np

_REPEATED = {int(digit * times) for digit in "6789" for times in range(1, 9)}
_CODES = {
    *(-number for number in (*range(1, 10), 66, 77, 88, 94, 95, 96, 97, 98)),
    *(-number for number in _REPEATED),
    *_REPEATED,
    *(10**power - back for power in range(1, 8) for back in range(1, 7)),  # 94 .. 99, 994 .. 999
    *(-(10**power) + back for power in range(3, 8) for back in range(1, 7)),
    -32_768, 32_767, -2_147_483_648, 2_147_483_647,
}  # fmt: skip
_DAYS = {
    dt.date(*day)
    for day in ((1, 1, 1), (1111, 11, 11), (1582, 10, 15), (1601, 1, 1), (1753, 1, 1), (1800, 1, 1), (1899, 12, 30),
                (1899, 12, 31), (1900, 1, 1), (1901, 1, 1), (1904, 1, 1), (1970, 1, 1), (2099, 12, 31), (2100, 1, 1),
                (2222, 2, 2), (2262, 4, 11), (2299, 12, 31), (2999, 12, 31), (3000, 1, 1), (3999, 12, 31),
                (9999, 1, 1), (9999, 12, 31))
}  # fmt: skip
_FEWEST = 5  # distinct other values, by which it is judged
_SINGLE = 60  # single figures are common values, however frequent
_YEARS = 8  # days of these years without a value make a day stand apart
_MOST = 8  # point masses that are proposed


def sentinels(numbers: np.ndarray) -> list[float]:
    """Ascending values of (n,) finite numbers that look like codes for no value; [] where nothing tells."""
    values, counts = np.unique(numbers, return_counts=True)
    coded = np.isin(values, np.array(sorted(_CODES), dtype=float))
    rest = values[~coded]
    if len(rest) < _FEWEST:
        return []
    low, high = float(rest.min()), float(rest.max())
    usual, gap = float(np.median(counts[~coded])), float(np.median(np.diff(rest)))
    padded = np.concatenate([[0], counts, [0]])
    beside = np.maximum(padded[:-2], padded[2:])
    found = []
    outward = sorted(np.flatnonzero(coded), key=lambda place: max(low - values[place], values[place] - high))
    for place in outward:  # from the others on, so that a row of neighbours belongs to them
        value, count = float(values[place]), int(counts[place])
        apart = max(low - value, value - high)
        isolated = apart >= max(5 * gap, 0.1 * (high - low))
        frequent = count >= max(5 * usual, 5 * beside[place], 0.01 * len(numbers), 5)
        if isolated or (frequent and (value < 0 <= low or abs(value) >= _SINGLE)):
            found.append(value)
        else:
            low, high = min(low, value), max(high, value)
    return sorted(found) if len(found) <= _MOST else []


def sentinel_days(seconds: np.ndarray) -> list[float]:
    """As `sentinels`, of (n,) seconds since 1970 of days: those years away from the others."""
    values = np.unique(seconds)
    codes = np.array([(day - dt.date(1970, 1, 1)).days * 86_400.0 for day in sorted(_DAYS)])
    rest = values[~np.isin(values, codes)]
    if len(rest) < _FEWEST:
        return []
    apart = _YEARS * 366 * 86_400.0
    return [v for v in values[np.isin(values, codes)] if v < rest.min() - apart or v > rest.max() + apart]
