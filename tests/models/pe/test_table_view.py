"""Rows become batches and come back; points see states and positions and no label."""

import numpy as np
import pandas as pd
import pytest

from dpsynth.data import Category, Domain, Integer, Number, Table
from dpsynth.models.pe.table_api import MOST_GROUPS, ONE_HOT, TableView


def test_rows_come_back_exactly(people):
    view = TableView(people.domain)
    again = view.frame(view.batch(people.frame))
    pd.testing.assert_frame_equal(again, people.frame)


def test_tidy_changes_nothing_that_is_a_value(people):
    view = TableView(people.domain)
    batch = view.batch(people.frame)
    tidied = view.tidy(batch.labels, batch.genes["codes"].copy(), batch.genes["units"].copy())
    pd.testing.assert_frame_equal(view.frame(tidied), people.frame)
    np.testing.assert_allclose(view.points(tidied), view.points(batch), atol=1e-6)


def test_labels_are_the_codes_of_the_label_column(people):
    view = TableView(people.domain)
    assert view.groups == 2
    np.testing.assert_array_equal(view.batch(people.frame).labels == 1, people.frame["income"] == ">50K")


@pytest.mark.parametrize(
    "label",
    [
        Integer("y", 0, 3, label=True),
        Category("y", [f"{k}" for k in range(MOST_GROUPS + 1)], label=True),
        Integer("y", 0, 3),
    ],
)
def test_without_a_label_of_few_classes_all_rows_are_one_group(label):
    view = TableView(Domain((Category("x", ("a", "b")), label)))
    assert view.groups == 1
    assert view.batch(pd.DataFrame({"x": ["a"], "y": ["3"]})).labels.tolist() == [0]


def test_points_are_as_far_apart_as_tab_pe_has_it():
    domain = Domain(
        (
            Category("x", ("a", "b")),
            Number("z", 0.0, 10.0, point_masses=(0.0,), missing=True),
            Category("y", ("n", "p"), label=True),
        )
    )
    view = TableView(domain)
    frame = Table(
        pd.DataFrame({"x": ["a", "b", "a", "a", "a"], "z": [5.0, 5.0, 7.5, 0.0, None], "y": ["n", "n", "p", "n", "n"]}),
        domain,
    ).frame
    points = view.points(view.batch(frame))
    apart = ((points - points[0]) ** 2).sum(axis=1)
    assert apart[1] == pytest.approx(2 * ONE_HOT**2)  # another category
    assert apart[2] == pytest.approx(0.25**2)  # a quarter of the range away; the label does not count
    assert apart[3] == pytest.approx(2 * ONE_HOT**2 + 0.5**2)  # the point mass stands where it lies
    assert apart[4] == pytest.approx(2 * ONE_HOT**2)  # missing stands halfway
