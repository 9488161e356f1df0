"""Some pair of neighbours moves the query of every mechanism by as much as it declares, under both relations."""

import math

import numpy as np
import pytest
import torch
from torch import nn

from dpsynth.privacy import (
    DPSGD,
    Budget,
    ExponentialMechanism,
    GaussianQuery,
    Ledger,
    NoisyMarginals,
    Plan,
    RandomGenerators,
)
from dpsynth.privacy.dpsgd.clipping import SUM_SLACK
from dpsynth.privacy.dpsgd.gradients import clipped_gradients
from dpsynth.privacy.mechanisms.class_statistics import ClassHistograms, ClassScatter
from dpsynth.privacy.mechanisms.discovery import PrivateBounds, PrivateCategories, RowCount
from dpsynth.privacy.mechanisms.marginals import association, association_sensitivity, exact_counts
from dpsynth.privacy.mechanisms.mean_embedding import MeanEmbedding
from dpsynth.privacy.mechanisms.nearest_votes import NearestVotes, Points
from dpsynth.privacy.mechanisms.votes import Votes
from dpsynth.privacy.replay import Recorder

from .mechanism_cases import all_mechanisms, declared_cases

RELATIONS = ("add_remove", "replace_one")
TWO = [(0,), (1,)]


class Slope(nn.Module):
    """(rows, 2) -> losses (rows,) whose gradients are the rows."""

    def __init__(self):
        super().__init__()
        self.linear = nn.Linear(2, 1, bias=False).double()

    def forward(self, x):
        return self.linear(x).squeeze(1)


def gradients(mechanism, rows, ledger):
    engine = clipped_gradients("fused", Slope(), mechanism.clipping_norm)
    mechanism.gradient(0, engine, (torch.tensor(rows, dtype=torch.float64).reshape(-1, 2),), ledger, 1.0)


def marginals(mechanism, rows, ledger):
    codes = np.array(rows, dtype=np.int64).reshape(-1, 2)
    tables = exact_counts(codes, TWO, (3, 3))
    mechanism.measure(tables, ledger)


def points(rows):
    return Points(np.array([[row[0]] for row in rows], dtype=np.float32).reshape(-1, 1),
                  np.array([row[1] for row in rows], dtype=np.int64))  # fmt: skip


def features(rows, width):
    values = torch.tensor([row[:width] for row in rows], dtype=torch.float32).reshape(-1, width)
    return [(values, torch.tensor([row[-1] for row in rows], dtype=torch.int64))]


def images(rows):
    values = np.array([np.full((1, 2, 2), row[0]) for row in rows], dtype=np.uint8).reshape(-1, 1, 2, 2)
    return values, np.array([row[1] for row in rows], dtype=np.int64)


CANDIDATES = points([(-1, 0), (-0.9, 0), (0.9, 0), (1, 0), (0, 1), (0.1, 1)])
# Fields, how a mechanism asks, and two rows: the first comes or goes, or the second takes its place.
CASES = {
    NoisyMarginals: ({"marginals": 2, "sigma": 1.0}, marginals, (0, 1), (2, 2)),
    RowCount: ({"sigma": 1.0}, lambda m, rows, ledger: m.measure(len(rows), ledger), 0, None),
    PrivateBounds: (
        {"sigma": 1.0, "edges": (0.0, 1.0, 2.0)}, lambda m, rows, ledger: m.measure(np.array(rows), ledger), 0.5, 1.5,
    ),
    PrivateCategories: (
        {"sigma": 1.0, "threshold_delta": 1e-3}, lambda m, rows, ledger: m.measure(rows, ledger), "a", "b",
    ),
    ClassHistograms: (
        {"noise_multiplier": 1.0, "bins": 4}, lambda m, rows, ledger: m.measure(*images(rows), 2, ledger), (0, 0),
        (255, 1),
    ),
    ClassScatter: (
        {"noise_multiplier": 1.0, "classes": 2, "width": 2, "radius": 0.5},
        lambda m, rows, ledger: m.measure(features(rows, 2), ledger), (3.0, 4.0, 0), (5.0, 0.0, 1),
    ),
    MeanEmbedding: (
        {"noise_multiplier": 1.0, "count_weight": 0.1},
        lambda m, rows, ledger: m.measure(features(rows, 2), 2, 2, ledger), (3.0, 4.0, 0), (-3.0, -4.0, 0),
    ),
    NearestVotes: (
        {"noise_multiplier": 1.0, "nearest": 2},
        lambda m, rows, ledger: m.measure(points(rows), CANDIDATES, ledger, 0), (-1, 0), (0, 1),
    ),
    Votes: (
        {"noise_multiplier": 1.0, "teachers": 1, "queries": 2, "width": 3, "k": 2},
        lambda m, rows, ledger: m.measure(
            0, m.vote(torch.tensor(rows, dtype=torch.float64).reshape(-1, 2, 3)).sum(0), ledger
        ),
        [[9.0, -9, 0], [9, 9, 1]], [[-9.0, 9, 0], [-9, -9, 1]],
    ),
    DPSGD: ({"noise_multiplier": 1.0, "clipping_norm": 0.3}, gradients, (3.0, 4.0), (-3.0, -4.0)),
    **declared_cases(),
}  # fmt: skip
STATED = {GaussianQuery, ExponentialMechanism}  # whose sensitivity is a field
ALWAYS_REPLACED = {Votes}  # a teacher whose shard changes votes otherwise, whatever the relation


def asked(kind, relation, rows):
    """The mechanism, and its exact query of some rows."""
    fields, ask, *_ = CASES[kind]
    name = {} if kind is RowCount else {"name": "one"}
    mechanism = kind(neighbours=relation, **name, **fields)
    recorder = Recorder(0)
    ledger = Ledger(Plan(Budget(1e4, 0.5, relation), (mechanism,)), RandomGenerators(0, privacy=recorder))
    ask(mechanism, rows, ledger)
    [release] = recorder.releases
    return mechanism, release.query


def moved(one, other, norm):
    if isinstance(one, dict):
        change = np.array([one.get(key, 0) - other.get(key, 0) for key in {*one, *other}], dtype=np.float64)
    else:
        change = np.asarray(one, dtype=np.float64).ravel() - np.asarray(other, dtype=np.float64).ravel()
    return float(np.abs(change).sum()) if norm == "l1" else float(np.linalg.norm(change))


def test_every_mechanism_is_moved():
    """A new one declares LARGEST_MOVE in its own test: see tests/privacy/mechanism_cases.py."""
    assert all_mechanisms() - STATED <= set(CASES)


@pytest.mark.parametrize("relation", RELATIONS)
@pytest.mark.parametrize("kind", CASES, ids=lambda kind: kind.__name__)
def test_the_largest_move_is_the_sensitivity(kind, relation):
    row, other = CASES[kind][2:]
    if relation == "replace_one" and other is None:
        assert kind is RowCount
        assert RowCount.planned(Budget(1.0, 1e-5, relation), 0.1) is None
        return
    second = [other] if relation == "replace_one" or kind in ALWAYS_REPLACED else []
    mechanism, query = asked(kind, relation, [row])
    _, changed = asked(kind, relation, second)
    slack = 1 + SUM_SLACK if kind is DPSGD else 1.0
    largest = moved(query, changed, mechanism.norm) * slack
    assert mechanism.sensitivity >= largest * (1 - 1e-4)
    assert mechanism.sensitivity == pytest.approx(largest, rel=1e-3)
    assert 0 < largest < math.inf


def test_a_replaced_row_moves_an_association_further_than_an_added_one_can():
    """A row that stood alone takes a place where the others never stand."""
    before = np.array([[0, 251, 40], [0, 35, 0], [1, 0, 0]])
    after = before + np.array([[0, 0, 0], [0, 0, 1], [-1, 0, 0]])
    change = abs(association(before) - association(after))
    assert 2.7 < change <= association_sensitivity("replace_one", int(before.sum()))


@pytest.mark.parametrize("size", [1e-42, 1e-30, 1.0, 1e30, 3.4e38])
@pytest.mark.parametrize("bound", [1e-6, 0.5, 1e3])
def test_votes_of_any_size_keep_their_bound(size, bound):
    votes = Votes(name="v", neighbours="add_remove", noise_multiplier=1.0, teachers=1, queries=2, width=3,
                  compress="clip", bound=bound)  # fmt: skip
    gradients = torch.tensor([[[1.0, -0.7, 0.3], [0.1, 0.9, -1.0]]]) * size
    clipped = votes.vote(gradients).double().norm().item()
    assert min(bound, gradients.double().norm().item()) * 0.999 <= clipped + 1e-44
    assert clipped <= bound
