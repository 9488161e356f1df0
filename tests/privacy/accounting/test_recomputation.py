import copy
import math

import pytest

from dpsynth.errors import ArtifactError
from dpsynth.privacy import DPSGD, Budget, CountMechanism, GaussianQuery, Ledger, Plan, PoissonBatches, RandomGenerators
from dpsynth.privacy.accounting.recomputation import recompute
from dpsynth.privacy.dpsgd.sampling import FixedSizeBatches
from dpsynth.privacy.mechanisms.discovery import PrivateCategories


def statement(budget, *charges):
    return Ledger(Plan(budget, charges), RandomGenerators()).statement()


def gaussian(noise, neighbours="add_remove", name="g"):
    return GaussianQuery(name=name, neighbours=neighbours, bound=3.0, noise_multiplier=noise)


def sgd(neighbours="add_remove", noise=2.0):
    batches = PoissonBatches(rate=0.05, steps=200) if neighbours == "add_remove" else FixedSizeBatches(1000, 50, 200)
    return DPSGD.sampled("sgd", neighbours, batches, noise=noise, clipping_norm=1.0)


def categories(neighbours="add_remove"):
    return PrivateCategories(name="c", neighbours=neighbours, sigma=9.0, threshold_delta=1e-7)


CASES = {
    "one Gaussian": (None, "add_remove", lambda r: [gaussian(4.0, r)]),
    "two Gaussians": (None, "replace_one", lambda r: [gaussian(9.0, r), gaussian(7.0, r, "h")]),
    "a delta of its own": (None, "add_remove", lambda r: [gaussian(9.0, r), categories(r)]),
    "DP-SGD": (None, "add_remove", lambda r: [sgd(r), gaussian(9.0, r)]),
    "DP-SGD, replaced rows": (None, "replace_one", lambda r: [sgd(r, 4.0)]),
    "persons": (3, "add_remove", lambda r: [gaussian(19.0, r)]),
}


@pytest.mark.parametrize("case", CASES)
def test_statements_are_confirmed(case):
    rows, relation, charges = CASES[case]
    said = statement(Budget(3.0, 1e-5, relation, rows), *charges(relation))
    again = recompute(said)
    assert again.bounds
    if case == "DP-SGD, replaced rows":  # which no other tight accountant knows
        assert set(again.bounds) == {"RDP"}
        assert again.confirmed is None
        return
    assert again.confirmed, again
    if rows is None:
        assert again.epsilon == pytest.approx(again.stated[0], rel=0.02)


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("lie", ["epsilon", "delta", "noise", "rows"])
def test_lies_are_not(case, lie):
    """A tenth less epsilon, a hundredth of delta, noise that was a fifth less, twice the rows of a person."""
    rows, relation, charges = CASES[case]
    said = copy.deepcopy(statement(Budget(3.0, 1e-5, relation, rows), *charges(relation)))
    if lie == "epsilon":
        said["proven"]["epsilon"] *= 0.9
    elif lie == "delta":
        said["proven"]["delta"] /= 100
    elif lie == "rows":
        said["rows_per_person"] = 2 * (rows or 1)
    else:

        def weaken(event):
            for key, value in event.items():
                if key == "noise_multiplier":
                    event[key] = 0.8 * value
                elif isinstance(value, dict):
                    weaken(value)
                elif isinstance(value, list):
                    for each in value:
                        weaken(each)

        for charge in said["charges"]:
            weaken(charge["event"])
    again = recompute(said)
    assert not again.confirmed, again


def test_the_mu_of_gaussian_releases_is_exact():
    said = statement(Budget(3.0, 1e-5), gaussian(4.0), gaussian(5.0, name="h"))
    assert recompute(said).mu == pytest.approx(math.sqrt(1 / 16 + 1 / 25))


def test_integer_noise_counts_as_gaussian():
    class Rows(CountMechanism):
        @property
        def sensitivity(self):
            return 1.0

    said = statement(Budget(3.0, 1e-5), Rows(name="rows", neighbours="add_remove", sigma=5.0))
    assert recompute(said).confirmed


@pytest.mark.parametrize(
    "damage",
    [
        {"proven": {}},
        {"proven": {"epsilon": 1.0, "delta": 2.0}},
        {"charges": [{"event": {"kind": "os.system"}}]},
        {"charges": [{"event": {"kind": "Gaussian", "noise": 1}}]},
        {"neighbours": "friends"},
        {"rows_per_person": 0},
        {"charges": None},
    ],
    ids=str,
)
def test_what_is_no_statement_is_refused(damage):
    said = {**statement(Budget(3.0, 1e-5), gaussian(4.0)), **damage}
    with pytest.raises(ArtifactError, match="privacy statement cannot be read"):
        recompute(said)


def test_deltas_that_leave_nothing_confirm_nothing():
    said = statement(Budget(3.0, 1e-5), gaussian(9.0), categories())
    said["charges"][1]["delta"] = 1e-3
    assert not recompute(said).confirmed


def test_without_a_finite_epsilon_there_is_nothing_to_confirm():
    said = statement(Budget(math.inf, 1e-5), gaussian(0.0))
    assert recompute(said).bounds == {}
