"""The contract of every method holds for databases, with a first, middle or last person removed or replaced."""

import pytest

from dpsynth.models.database import DatabaseSynthesizer
from dpsynth.models.marginal import AIM, MST
from dpsynth.testing import check_model

SMALL = {
    "mst": MST(cells=4),
    "aim": AIM(cells=4, workload=2, rounds=2, iterations=20, round_iterations=5),
}


@pytest.mark.parametrize(("method", "relation"), [("mst", "replace_one"), ("aim", "add_remove")])
def test_the_contract(method, relation):
    check_model(DatabaseSynthesizer(method=SMALL[method]), rows=20, epsilons=(100.0,), relations=(relation,))


@pytest.mark.slow
@pytest.mark.parametrize("method", SMALL)
def test_the_contract_at_every_epsilon(method):
    check_model(DatabaseSynthesizer(method=SMALL[method]))
