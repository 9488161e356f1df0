"""Rows are made and varied inside the domain, by as much as the degree says."""

import numpy as np
import pandas as pd
import pytest

from dpsynth.data import Table
from dpsynth.models.pe.api import PEApi
from dpsynth.models.pe.table_api import TablePerturbation, TableView


@pytest.fixture(params=["even", "proposal", "crossover"])
def api(request, people):
    view = TableView(people.domain)
    proposal = view.batch(people.frame) if request.param == "proposal" else None
    return TablePerturbation(view, proposal, 0.5 if request.param == "crossover" else 0.0)


def inside(view, batch, domain):
    frame = view.frame(batch)
    pd.testing.assert_frame_equal(Table(frame, domain, "error").frame, frame)


def test_rows_are_inside_the_domain_and_keep_their_labels(api, people):
    draw, labels = np.random.default_rng(0), np.arange(300) % 2
    batch = api.random(labels, draw)
    for degree in (0.0, 0.01, 0.5, 1.0):
        inside(api.view, batch, people.domain)
        np.testing.assert_array_equal(batch.labels, labels)
        np.testing.assert_array_equal(batch.genes["codes"][:, api.view.label], labels)
        batch = api.variation(batch, degree, draw)


def test_degree_zero_is_the_same_individual(api):
    batch = api.random(np.zeros(50, dtype=np.int64), np.random.default_rng(0))
    again = api.variation(batch, 0.0, np.random.default_rng(1))
    for name in batch.genes:
        np.testing.assert_array_equal(again.genes[name], batch.genes[name])


def test_children_stray_as_far_as_the_degree_says(api):
    batch = api.random(np.zeros(2000, dtype=np.int64), np.random.default_rng(0))
    changed, moved = [], []
    for degree in (0.05, 0.5):
        child = api.variation(batch, degree, np.random.default_rng(1))
        changed.append((child.genes["codes"] != batch.genes["codes"]).mean())
        axis = api.view.domain.position("age")
        moved.append(abs(child.genes["units"] - batch.genes["units"])[:, axis].max())
    assert 0 < changed[0] < 0.05
    assert changed[0] < changed[1] < 0.5
    if api.proposal is None and not api.crossover:
        assert moved[0] <= 0.05 + 1 / 74  # of the range, and up to a lattice value
        assert moved[0] < moved[1]


def test_a_proposal_is_kept_by_its_variations(people):
    """Heaps survive: values that the proposal never has do not appear."""
    view = TableView(people.domain)
    frame = people.frame.assign(age=np.where(np.arange(len(people.frame)) % 3, 40, 25))
    api = TablePerturbation(view, view.batch(frame))
    batch = api.random(np.arange(500) % 2, np.random.default_rng(0))
    ages = view.frame(api.variation(batch, 0.4, np.random.default_rng(1)))["age"]
    assert set(ages) == {25, 40}
    assert (ages == 40).mean() == pytest.approx(2 / 3, abs=0.08)


def test_a_crossed_child_has_its_cells_from_its_parents(people):
    view = TableView(people.domain)
    api = TablePerturbation(view, None, crossover=1.0)
    batch = view.batch(people.frame.head(2).assign(income="<=50K"))
    child = api.variation(batch, 1.0, np.random.default_rng(0))
    for column in range(batch.genes["codes"].shape[1]):
        assert set(child.genes["codes"][:, column]) <= set(batch.genes["codes"][:, column])


def test_it_is_an_api(api):
    assert isinstance(api, PEApi)
    assert str(api.provenance) == "none"
