"""One-way histograms of released rows, in cells that cover all rows there can be."""

import numpy as np
import pytest

from dpsynth.evolution.table_margins import margins
from dpsynth.evolution.table_view import TableView


def test_shares_add_up_and_the_rows_themselves_have_them(people):
    view = TableView(people.domain)
    batch = view.batch(people.frame)
    for cells, shares in margins(view, batch, batch):
        assert shares.sum() == pytest.approx(1)
        np.testing.assert_allclose(np.bincount(cells, minlength=len(shares)) / len(cells), shares)


def test_other_rows_find_a_cell_too(people):
    view = TableView(people.domain)
    some, others = view.batch(people.frame.head(3)), view.batch(people.frame)
    for cells, shares in margins(view, some, others):
        assert len(cells) == len(people.frame)
        assert cells.max() < len(shares)


def test_states_of_their_own_have_cells_of_their_own(people):
    view = TableView(people.domain)
    batch = view.batch(people.frame)
    cells, shares = list(margins(view, batch, batch))[people.domain.position("gain")]
    assert shares[np.bincount(cells[people.frame["gain"] == 0]).argmax()] == pytest.approx(
        (people.frame["gain"] == 0).mean()
    )
