"""The contract of every method holds for databases, with a first, middle or last person removed or replaced."""

import pytest

from dpsynth.models.database import DatabaseSynthesizer
from dpsynth.models.marginal import AIM, MST
from dpsynth.testing import check_model

SMALL = {
    "mst": MST(bins=4),
    "aim": AIM(bins=4, workload=2, rounds=3, iterations=30, round_iterations=10),
}


@pytest.mark.parametrize(("method", "epsilon"), [("mst", 1.0), ("aim", 100.0)])
def test_the_contract(method, epsilon):
    check_model(DatabaseSynthesizer(method=SMALL[method]), rows=30, epsilons=(epsilon,))


@pytest.mark.slow
@pytest.mark.parametrize("method", SMALL)
def test_the_contract_at_every_epsilon(method):
    check_model(DatabaseSynthesizer(method=SMALL[method]))
