"""One-way histograms of released rows, and the cells in which others lie: what a reweighted pool must keep."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from dpsynth.evolution.batch import Batch
from dpsynth.evolution.table_view import TableView

BINS = 32  # of a column on an axis, of equal mass among the released rows


def margins(view: TableView, released: Batch, others: Batch) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """For every column ((others,) int64 cells, (cells,) float64 shares of the released rows)."""
    for j, column in enumerate(view.codec.columns):
        known, asked = (_states(batch, j) for batch in (released, others))
        size = column.size
        if view.on_axis[j]:
            inside = known < column.value_bins
            edges = _edges(released.genes["units"][inside, j])
            size += len(edges)
            known, asked = (
                np.where(
                    states < column.value_bins,
                    np.searchsorted(edges, batch.genes["units"][:, j], side="right"),
                    states + len(edges),
                )
                for states, batch in ((known, released), (asked, others))
            )
        yield asked, np.bincount(known, minlength=size) / max(len(known), 1)


def _states(batch: Batch, column: int) -> np.ndarray:
    return batch.genes["codes"][:, column].astype(np.int64)


def _edges(values: np.ndarray) -> np.ndarray:
    return np.unique(np.quantile(values, np.linspace(0, 1, BINS + 1)[1:-1])) if len(values) else np.zeros(0)
