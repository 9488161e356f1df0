"""The toy distributions do what they say."""

import numpy as np
import pandas as pd
import pytest

from dpsynth.data import Codec
from dpsynth.data.sources import load
from dpsynth.data.sources.toy import DISTRIBUTIONS, Chain, Gaussian, Mixed

N = 40_000


@pytest.mark.parametrize("distribution", DISTRIBUTIONS)
def test_distributions_are_legal_reproducible_and_encodable(distribution):
    table = DISTRIBUTIONS[distribution]().sample(500, 7)
    assert table.invalid == {}
    assert table.frame.equals(DISTRIBUTIONS[distribution]().sample(500, 7).frame)
    assert not table.frame.equals(DISTRIBUTIONS[distribution]().sample(500, 8).frame)
    codec = Codec(table.domain)
    assert codec.decode(codec.encode(table.frame)).equals(table.frame)
    source = load("toy", distribution=distribution, rows=200, holdout=0.5)
    assert (len(source.train), len(source.holdout)) == (200, 100)


def test_chain_marginals_are_exact():
    chain = Chain()
    frame = chain.sample(N, 1).frame
    for first, second in (("a", "b"), ("a", "d"), ("c", "b")):
        truth = chain.pair(first, second)
        assert truth.sum() == pytest.approx(1)
        assert truth.sum(axis=1) == pytest.approx(chain.marginal(first))
        seen = pd.crosstab(frame[first], frame[second], normalize=True).to_numpy()
        assert np.abs(seen - truth).sum() / 2 < 0.02


def test_gaussian_correlations_are_exact():
    distribution = Gaussian()
    frame = distribution.sample(N, 1).frame
    assert np.abs(frame.rank().corr().to_numpy() - distribution.rank_correlation).max() < 0.02
    assert np.abs(frame.mean() - 50).max() < 1


def test_mixed_fractions():
    distribution = Mixed()
    frame = distribution.sample(N, 1).frame
    by_group = frame.groupby("group")
    assert by_group["amount"].apply(lambda s: (s == 0).mean()).to_numpy() == pytest.approx(distribution.zero, abs=0.02)
    assert by_group["member"].mean().to_numpy() == pytest.approx(distribution.member, abs=0.02)
    assert by_group["age"].mean().to_numpy() == pytest.approx([38, 56], abs=0.3)
    assert frame["joined"].isna().mean() == pytest.approx(distribution.missing_date, abs=0.01)
    assert frame["color"].isna().mean() == pytest.approx(distribution.missing_color, abs=0.01)
    colors = frame.dropna(subset="color").groupby("group")["color"].value_counts(normalize=True).unstack()
    assert np.abs(colors[["red", "green", "blue"]].to_numpy() - np.array(distribution.colors)).max() < 0.02
