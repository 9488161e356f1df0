"""The evaluation as a whole: which metrics run, on how many rows, against which floors."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
import pandas as pd

from dpsynth.data.domain import Domain
from dpsynth.errors import ConfigError, DataError
from dpsynth.metrics.baselines import draw_rows, uniform_rows
from dpsynth.metrics.binned import check
from dpsynth.metrics.marginals import marginal_scores
from dpsynth.metrics.score import Score
from dpsynth.metrics.utility import LEARNERS, utility_scores
from dpsynth.metrics.wasserstein import wasserstein_scores


@dataclass(frozen=True)
class Settings:
    """What configs/metrics/*.yaml holds.

    bins       equal-width bins of the declared bounds in the marginal comparison
    pairs      number of 2-way marginals, None for all, 0 for none
    triples    number of 3-way marginals, None for all, 0 for none
    learners   models of the utility score: boosting, logistic, or none
    max_rows   limit on the rows of each table, None for no limit
    seed       of the drawn marginals, rows and learners
    """

    bins: int = 32
    pairs: int | None = None
    triples: int | None = 200
    learners: tuple[str, ...] = LEARNERS
    max_rows: int | None = None
    seed: int = 0

    def __post_init__(self) -> None:
        object.__setattr__(self, "learners", tuple(self.learners))
        for name, least in (("bins", 1), ("pairs", 0), ("triples", 0), ("max_rows", 1), ("seed", 0)):
            number = getattr(self, name)
            if number is None and name in ("pairs", "triples", "max_rows"):
                continue
            if not isinstance(number, int) or isinstance(number, bool) or number < least:
                raise ConfigError(f"metrics.{name}: {number!r} is not a whole number of at least {least}")
        for learner in self.learners:
            if learner not in LEARNERS:
                raise ConfigError(f"metrics.learners: {learner!r} is unknown; choose from {', '.join(LEARNERS)}")

    @classmethod
    def from_dict(cls, options: Mapping[str, Any]) -> Settings:
        """Settings from a config group; unknown keys raise ConfigError."""
        known = [item.name for item in fields(cls)]
        for key in options:
            if key not in known:
                raise ConfigError(f"metrics.{key}: unknown key; known are {', '.join(known)}")
        return cls(**options)


def evaluate(
    train: pd.DataFrame,
    holdout: pd.DataFrame | None,
    synthetic: pd.DataFrame,
    domain: Domain,
    settings: Settings | None = None,
) -> list[Score]:
    """All scores of a synthetic table against real holdout rows. Reads private data: the result is private.

    train       real rows the model was fitted to; used only for the floors, never as reference
    holdout     real rows the model has not seen. None when there are none: a random half of `train` then
                stands in and the other half gives the floors, so that no real row is compared with itself;
                a model that copies its training rows profits from that
    synthetic   rows of the model

    As many synthetic as real training rows are compared, min(len(synthetic), len(train), max_rows); a longer
    table is cut to that number, so that sampling noise is alike in the score and in its floor.
    """
    settings = settings or Settings()
    generator = np.random.default_rng(settings.seed)
    train, holdout = (train, holdout) if holdout is not None else _halves(train, generator)
    for frame in (train, holdout, synthetic):
        check(frame, domain)
    limit = settings.max_rows or max(len(train), len(holdout), len(synthetic))
    rows = min(len(synthetic), len(train), limit)
    real = draw_rows(holdout, limit, generator)
    floor = draw_rows(train, rows, generator)
    judged = draw_rows(synthetic, rows, generator)
    uniform = uniform_rows(domain, rows, generator, settings.bins)

    counts = {1: None, 2: settings.pairs, 3: settings.triples}
    counts = {order: count for order, count in counts.items() if count != 0}
    common = {"floor": floor, "baseline": uniform}
    seed = settings.seed
    scores = marginal_scores(real, judged, domain, **common, counts=counts, bins=settings.bins, seed=seed)
    scores += wasserstein_scores(real, judged, domain, **common)
    if settings.learners:
        scores += utility_scores(real, judged, domain, floor=floor, learners=settings.learners, seed=seed)
    return scores


def _halves(frame: pd.DataFrame, generator: np.random.Generator) -> tuple[pd.DataFrame, pd.DataFrame]:
    if len(frame) < 2:
        raise DataError("fewer than two real rows cannot be split into floor and reference; give holdout rows")
    order = generator.permutation(len(frame))
    return frame.iloc[order[len(frame) // 2 :]], frame.iloc[order[: len(frame) // 2]]
