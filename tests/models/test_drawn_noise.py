"""The noise of methods over marginals at a large epsilon, where many cells are left after rare codes were merged."""

import pytest

import dpsynth
from dpsynth.models import AIM, MST, NAPSU, PrivBayes
from dpsynth.testing import check_noise, example_rows

RECIPES = [
    AIM(workload=2, rounds=3, round_iterations=5, iterations=5),
    MST(cells=8),
    PrivBayes(estimator="ancestral"),
    NAPSU(marginals=[["kind", "size"]], cells=8, draws=2, iterations=5),
]


@pytest.mark.parametrize("recipe", RECIPES, ids=lambda recipe: type(recipe).__name__)
@pytest.mark.parametrize("neighbours", ["add_remove", "replace_one"])
def test_every_release_has_noise_of_its_own_as_charged(recipe, neighbours):
    check_noise(recipe, example_rows(400), dpsynth.Budget(20.0, 1e-5, neighbours))
