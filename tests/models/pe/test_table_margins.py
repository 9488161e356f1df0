"""One-way histograms of released rows, in cells that cover all rows there can be."""

import numpy as np
import pytest

from dpsynth.models.pe.table_api import TableView
from dpsynth.models.pe.table_pool import margins


def test_fractions_add_up_and_the_rows_themselves_have_them(people):
    view = TableView(people.domain)
    batch = view.batch(people.frame)
    for cells, fractions in margins(view, batch, batch):
        assert fractions.sum() == pytest.approx(1)
        np.testing.assert_allclose(np.bincount(cells, minlength=len(fractions)) / len(cells), fractions)


def test_other_rows_find_a_cell_too(people):
    view = TableView(people.domain)
    some, others = view.batch(people.frame.head(3)), view.batch(people.frame)
    for cells, fractions in margins(view, some, others):
        assert len(cells) == len(people.frame)
        assert cells.max() < len(fractions)


def test_states_of_their_own_have_cells_of_their_own(people):
    view = TableView(people.domain)
    batch = view.batch(people.frame)
    cells, fractions = list(margins(view, batch, batch))[people.domain.position("gain")]
    assert fractions[np.bincount(cells[people.frame["gain"] == 0]).argmax()] == pytest.approx(
        (people.frame["gain"] == 0).mean()
    )
