"""The legal values of one side of a rule, and the nearest of them above and below a value; for repairs."""

from __future__ import annotations

import numpy as np

from dpsynth.data.columns import Quantity


class AxisValues:
    """The legal values of a declared quantity."""

    def __init__(self, column: Quantity):
        self.column, self.low, self.high = column, column.start, column.stop
        self.size = float("inf") if column.step is None else float(column.count)

    def contains(self, values: np.ndarray) -> np.ndarray:
        return self.column.contains(values)

    def values(self, low: float, high: float) -> np.ndarray:
        """The first legal values from low to high: enough to find one that another lattice shares."""
        if self.column.step is None:
            return np.array([low] if low <= high else [])
        start = int(self.column.tick(np.clip(self.at_least(np.array([low])), self.low, self.high))[0])
        ticks = np.arange(start, min(start + 100_000, self.column.count))
        values = self.column.value(ticks)
        return values[(values >= low) & (values <= high)]

    def at_least(self, values: np.ndarray) -> np.ndarray:
        near = self._near(values)
        return np.where(near >= values, near, self._shift(near, 1))

    def at_most(self, values: np.ndarray) -> np.ndarray:
        near = self._near(values)
        return np.where(near <= values, near, self._shift(near, -1))

    def above(self, values: np.ndarray) -> np.ndarray:
        near = self._near(values)
        return np.where(near > values, near, self._shift(near, 1))

    def below(self, values: np.ndarray) -> np.ndarray:
        near = self._near(values)
        return np.where(near < values, near, self._shift(near, -1))

    def _near(self, values: np.ndarray) -> np.ndarray:
        return np.clip(self.column.snap(np.clip(values, self.low, self.high)), self.low, self.high)

    def _shift(self, values: np.ndarray, by: int) -> np.ndarray:
        if self.column.step is None:
            return np.clip(np.nextafter(values, by * np.inf), self.low, self.high)
        return self.column.value(np.clip(self.column.tick(values) + by, 0, self.column.count - 1))


class ListedValues:
    """A few legal values, ascending: categories on the common axis, or one constant."""

    def __init__(self, values: np.ndarray):
        self.listed, self.low, self.high, self.size = (
            values,
            float(values[0]),
            float(values[-1]),
            float(len(values)),
        )

    def contains(self, values: np.ndarray) -> np.ndarray:
        return np.isin(values, self.listed)

    def values(self, low: float, high: float) -> np.ndarray:
        return self.listed[(self.listed >= low) & (self.listed <= high)]

    def at_least(self, values: np.ndarray) -> np.ndarray:
        return self._pick(np.searchsorted(self.listed, values, side="left"))

    def at_most(self, values: np.ndarray) -> np.ndarray:
        return self._pick(np.searchsorted(self.listed, values, side="right") - 1)

    def above(self, values: np.ndarray) -> np.ndarray:
        return self._pick(np.searchsorted(self.listed, values, side="right"))

    def below(self, values: np.ndarray) -> np.ndarray:
        return self._pick(np.searchsorted(self.listed, values, side="left") - 1)

    def _pick(self, positions: np.ndarray) -> np.ndarray:
        return self.listed[np.clip(positions, 0, len(self.listed) - 1)]


LegalValues = AxisValues | ListedValues
