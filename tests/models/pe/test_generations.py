"""The loop: one vote an iteration, look-ahead that moves points only, and an API that never meets a private row."""

import numpy as np
import pytest

from dpsynth.models.pe.api import Batch, Provenance
from dpsynth.models.pe.generations import Evolution, Timetable


class Dots:
    """Points on a line; remembers everything it was handed."""

    modality = "image"
    provenance = Provenance("simulator", "dots")
    portable = True

    def __init__(self):
        self.seen = []

    def random(self, labels, generator):
        return Batch(labels, {"place": generator.uniform(-1, 1, len(labels))})

    def variation(self, batch, degree, generator):
        self.seen.append((batch, degree))
        moved = batch.genes["place"] + degree * generator.uniform(-1, 1, len(batch))
        return Batch(batch.labels, {"place": np.clip(moved, -1, 1)})


def embedding(batch):
    return batch.genes["place"][:, None].astype(np.float32)


TRUTH = np.array([[0.7], [-0.4]])  # where the rows of both labels are


def exact(points, labels, step):
    """100 rows of each label at one place, without noise."""
    votes = np.zeros(len(points))
    for label in (0, 1):
        members = np.flatnonzero(labels == label)
        votes[members[np.argmin(abs(points[members] - TRUTH[label]))]] = 100
    return votes


PHASES = {
    "sample": [{"iterations": 6, "selection": "sample"}],
    "rank": [{"iterations": 6, "selection": "rank", "variations": 2, "keep": True}],
    "composite": [{"iterations": 3}, {"iterations": 3, "selection": "rank", "variations": 3, "keep": True}],
}


def evolution(phases, lookahead=0, api=None):
    timetable = Timetable.of(phases, {"first": 0.3, "last": 0.01})
    return Evolution(api or Dots(), embedding, timetable, np.array([10, 20]), lookahead=lookahead)


@pytest.mark.parametrize("phases", PHASES.values(), ids=PHASES)
def test_without_noise_a_known_truth_is_found(phases):
    population, vote_histograms = evolution(phases).run(exact, np.random.default_rng(0))
    assert len(vote_histograms) == 6
    for label in (0, 1):
        members = population.members.labels == label
        mean = np.average(population.members.genes["place"][members], weights=population.weights[members])
        assert mean == pytest.approx(TRUTH[label, 0], abs=0.03)


@pytest.mark.parametrize("lookahead", [0, 3])
def test_there_is_one_vote_an_iteration_whatever_the_lookahead(lookahead):
    calls = []

    def vote(points, labels, step):
        calls.append((step, len(points)))
        return exact(points, labels, step)

    evolution(PHASES["composite"], lookahead).run(vote, np.random.default_rng(0))
    assert [step for step, _ in calls] == list(range(6))
    assert [size for _, size in calls] == [30, 30, 30, 30, 120, 120]


def test_the_api_sees_only_what_it_made_itself():
    """Every individual handed to it is one that it returned before: released, and from no private row."""
    api, made = Dots(), []
    random, variation = api.random, api.variation
    api.random = lambda *given: made.append(random(*given)) or made[-1]
    api.variation = lambda *given: made.append(variation(*given)) or made[-1]
    evolution(PHASES["composite"], 2, api).run(exact, np.random.default_rng(0))
    known = np.concatenate([batch.genes["place"] for batch in made])
    assert api.seen
    for batch, degree in api.seen:
        assert np.isin(batch.genes["place"], known).all()
        assert 0.01 <= degree <= 0.3


def test_the_watcher_sees_candidates_in_the_order_of_their_votes():
    seen = []
    evolution(PHASES["sample"]).run(exact, np.random.default_rng(0), lambda step, batch: seen.append(batch))
    first = {int(batch.labels[k]): batch.genes["place"][k] for batch in seen[-1:] for k in (0, 1)}
    assert first[0] == pytest.approx(0.7, abs=0.1)
    assert first[1] == pytest.approx(-0.4, abs=0.1)


def test_pure_noise_leaves_a_population_nonetheless():
    def noise(points, labels, step):
        return -np.ones(len(points)) - np.arange(len(points))

    population, _ = evolution(PHASES["sample"]).run(noise, np.random.default_rng(0))
    assert set(population.members.labels) == {0, 1}
    assert np.isfinite(population.weights).all()


def test_draws_follow_the_weights_and_strange_labels_get_somebody():
    population, _ = evolution(PHASES["rank"]).run(exact, np.random.default_rng(0))
    drawn = population.draw(np.array([1, 0, 1, 5]), np.random.default_rng(0))
    assert list(drawn.labels) == [1, 0, 1, 5]
    assert len(drawn.genes["place"]) == 4


def test_enlarging_fractions_the_weight_of_a_member_among_its_variations():
    population, _ = evolution(PHASES["rank"]).run(exact, np.random.default_rng(0))
    larger = population.enlarged(Dots(), 3, 0.01, np.random.default_rng(0))
    assert len(larger.members) == 4 * len(population.members)
    for label in (0, 1):
        assert larger.weights[larger.members.labels == label].sum() == pytest.approx(1)
