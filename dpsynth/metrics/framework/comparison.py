"""From bare metrics to readable scores: confidence bands from fresh real samples, baselines, and intervals over draws.

Null band. Real rows, training and holdout together, are split again at random into a fresh sample as large as the
synthetic table and a holdout as large as the real one; the metric of the two is what a perfect synthesizer would
score. Several splits give a mean (the real-data baseline) and a sample standard deviation s, and mean -+ t s sqrt(1 +
1/R) with the Student quantile t of R - 1 degrees is where one more such score falls with 95 % confidence: exact for
normal scores, close for the others (tested by simulation). Splits share rows, as permutation tests do.

Metrics that look at the training rows need three disjoint real sets, so for them everything, the evaluated rows too, is
cut to half of the training rows.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Any, Generic

import numpy as np
import pandas as pd
from scipy import stats
from sklearn.exceptions import ConvergenceWarning
from threadpoolctl import threadpool_limits

from dpsynth.data.table.domain import Domain
from dpsynth.errors import DataError
from dpsynth.metrics.framework.metric import Kind, Metric, Reference, Score, TrainsNetwork
from dpsynth.metrics.framework.sample import Sample

LEVEL = 0.95
BASELINES = ("uniform", "independent")
KINDS = (*BASELINES, "null")
Report = Callable[[int, int, str], None]


@dataclass(frozen=True)
class Counts:
    """How often each metric is computed: null replicates (cheap and costly metrics), draws of costly ones, draws and
    null replicates of those that train a network, threads."""

    replicates: int = 20
    costly_replicates: int = 4
    costly_draws: int = 3
    trainings: int = 1
    threads: int = 2


@dataclass(frozen=True, eq=False)
class Comparison(Generic[Kind]):
    """Synthetic draws against real rows, with the fresh real samples and the baselines to read the scores by.

    Rows are those of tables (`Sample`) or images (`ImageSample`).
    draws: synthetic tables of one model. held_out: whether the model has not seen the holdout.
    """

    real: Kind
    train_rows: int
    draws: tuple[Kind, ...]
    held_out: bool
    seed: int

    @staticmethod
    def of(
        train: pd.DataFrame,
        holdout: pd.DataFrame | None,
        draws: Sequence[pd.DataFrame],
        domain: Domain,
        *,
        bins: int = 32,
        max_rows: int | None = None,
        seed: int = 0,
    ) -> Comparison[Sample]:
        """Of tables; every one is checked before any is evaluated."""
        unseen = None if holdout is None else Sample(holdout, domain, bins)
        evaluated = [Sample(frame, domain, bins) for frame in draws]
        return Comparison.between(Sample(train, domain, bins), unseen, evaluated, max_rows=max_rows, seed=seed)

    @classmethod
    def between(
        cls, train: Kind, holdout: Kind | None, draws: Sequence[Kind], *, max_rows: int | None = None, seed: int = 0
    ) -> Comparison[Kind]:
        """At most max_rows of each side, drawn by `seed`; no more synthetic rows than real training rows, so that
        sampling noise is alike in the score and in its real-data baseline.

        Without a holdout a random half of `train` stands in for it, and the other half for the training rows: no real
        row is compared with itself, but the model has seen them all.
        """
        generator = np.random.default_rng([seed, 0])
        if not draws:
            raise DataError("there is no synthetic table to evaluate; give at least one")
        if holdout is None:
            if len(train) < 2:
                raise DataError(
                    "fewer than two real rows cannot be split into real-data baseline and reference; give holdout rows"
                )
            order = generator.permutation(len(train))
            halves = train.rows(order[len(train) // 2 :]), train.rows(order[: len(train) // 2])
        else:
            halves = train, holdout
        limit = max_rows or max(map(len, halves))
        kept, unseen = (half.rows(generator.permutation(len(half))[:limit]) for half in halves)
        cut = tuple(draw.rows(generator.permutation(len(draw))[: len(kept)]) for draw in draws)
        return cls(type(train).joined([kept, unseen]), len(kept), cut, holdout is not None, seed)

    @property
    def holdout(self) -> Kind:
        return self.real.rows(np.arange(self.train_rows, len(self.real)))

    @property
    def train(self) -> Kind:
        return self.real.rows(np.arange(self.train_rows))

    def baseline(self, name: str) -> Kind:
        """As many rows as a synthetic draw: "uniform" over the domain, or the training rows with every column (of
        images, every pixel) shuffled by itself ("independent": exact one-way marginals without noise, no dependence
        at all)."""
        rows, generator = len(self.draws[0]), np.random.default_rng([self.seed, 1])
        made = self.real.uniform if name == "uniform" else self.train.independent
        return made(rows, generator)

    def scores(self, families: Sequence[Metric], counts: Counts, report: Report | None = None) -> list[Score]:
        """All scores, in the order of the families; `counts.threads` of them are computed at a time.

        report: called with (done, in all, what was last done).
        """
        tasks = [(k, task) for k, family in enumerate(families) for task in self._tasks(family, counts)]
        tasks.sort(key=lambda pair: _place(families[pair[0]]))  # long ones first, so that no thread ends alone
        found: list[dict[str, list[list[Score]]]] = [{} for _ in families]
        with warnings.catch_warnings(), _pool(counts.threads) as pool:
            warnings.simplefilter("ignore", ConvergenceWarning)  # a score of a barely unfinished fit is still a score
            futures = [(k, task.kind, pool.submit(task.run, families[k])) for k, task in tasks]
            try:
                for done, (k, kind, future) in enumerate(futures, start=1):
                    found[k].setdefault(kind, []).append(future.result())
                    if report:
                        report(done, len(futures), type(families[k]).__name__)
            except BaseException:
                pool.shutdown(wait=False, cancel_futures=True)
                raise
        return [score for results in found for score in _combined(results)]

    def _tasks(self, family: Metric, counts: Counts) -> Iterator[_Task]:
        draws, replicates = len(self.draws), counts.replicates
        if isinstance(family, TrainsNetwork):
            draws = replicates = counts.trainings
        elif family.costly:
            draws, replicates = counts.costly_draws, counts.costly_replicates
        rows, train = len(self.draws[0]), None
        if family.needs_train:
            rows = min(rows, max(self.train_rows // 2, 1))
            train = self.train.head(rows) if self.held_out and self.train_rows > 1 else None
        for draw in self.draws[:draws]:
            yield _Task("draw", lambda draw=draw: (draw.head(rows), Reference(self.holdout, train)))
        if family.needs_train and train is None:
            return
        if family.baselines:
            for name in BASELINES:
                yield _Task(name, lambda name=name: (self.baseline(name).head(rows), Reference(self.holdout, train)))
        for k in range(replicates):
            yield _Task("null", lambda k=k: self._fresh(k, rows, train is not None))

    def _fresh(self, k: int, rows: int, three: bool) -> tuple[Kind, Reference[Kind]]:
        """The k-th split of the real rows into a fresh sample of `rows` rows, a holdout, and perhaps training rows."""
        order = np.random.default_rng([self.seed, 2, k]).permutation(len(self.real))
        held = len(self.real) - self.train_rows
        holdout, fresh = self.real.rows(order[:held]), self.real.rows(order[held : held + rows])
        train = self.real.rows(order[held + rows : held + 2 * rows]) if three else None
        return fresh, Reference(holdout, train)


@dataclass(frozen=True)
class _Task:
    """One call of a family; its tables are made when its turn comes."""

    kind: str
    tables: Callable[[], tuple[Any, Reference]]

    def run(self, family: Metric) -> list[Score]:
        evaluated, reference = self.tables()
        compared = {"rows compared": min(len(evaluated), len(reference.holdout))}
        return [replace(score, detail={**score.detail, **compared}) for score in family.measure(evaluated, reference)]


def _place(family: Metric) -> int:
    return 0 if isinstance(family, TrainsNetwork) else 1 if family.costly else 2


def _pool(threads: int) -> ThreadPoolExecutor:
    """Threads of which each computes alone: libraries must not start threads of their own in every one of them."""
    return ThreadPoolExecutor(threads, initializer=threadpool_limits, initargs=(1,))


def interval(
    values: Sequence[float], limits: tuple[float | None, float | None] = (None, None)
) -> tuple[float, float] | tuple[None, None]:
    """Where one more value of the same distribution falls, by Student's t; (None, None) for fewer than two values."""
    count = len(values)
    if count < 2:
        return None, None
    reach = stats.t.ppf((1 + LEVEL) / 2, count - 1) * np.std(values, ddof=1) * np.sqrt(1 + 1 / count)
    least, most = (bound if bound is not None else edge for bound, edge in zip(limits, (-np.inf, np.inf), strict=True))
    low, high = np.clip([np.mean(values) - reach, np.mean(values) + reach], least, most)
    return float(low), float(high)


def _combined(results: Mapping[str, list[list[Score]]]) -> list[Score]:
    """One score for each name, from all calls of a family."""
    return [
        _with_context(
            [call[i] for call in results["draw"]], {kind: [call[i] for call in results.get(kind, [])] for kind in KINDS}
        )
        for i in range(len(results["draw"][0]))
    ]


def _with_context(draws: Sequence[Score], others: Mapping[str, Sequence[Score]]) -> Score:
    values = _values(draws)
    if not values:
        return draws[0]
    present = next(score for score in draws if score.value is not None)
    null = _values(others["null"])
    low, high = interval(values, present.limits)
    real_baseline_low, real_baseline_high = interval(null, present.limits)
    parts = [score.parts for score in draws if score.value is not None]
    real_baselines = [score.parts for score in others["null"] if score.value is not None]
    return replace(
        present,
        value=float(np.mean(values)),
        low=low,
        high=high,
        real_baseline=float(np.mean(null)) if null else None,
        real_baseline_low=real_baseline_low,
        real_baseline_high=real_baseline_high,
        baselines={
            **present.baselines,
            **{name: float(np.mean(_values(others[name]))) for name in BASELINES if _values(others[name])},
        },
        parts=_mean_parts(parts),
        part_real_baselines=_mean_parts(real_baselines),
        detail={**present.detail, "draws": len(values), "null_samples": len(null)},
    )


def _values(scores: Sequence[Score]) -> list[float]:
    return [score.value for score in scores if score.value is not None]


def _mean_parts(parts: Sequence[Mapping[str, float]]) -> dict[str, float]:
    """Mean of each part over the calls that have it."""
    names = dict.fromkeys(name for each in parts for name in each)
    return {name: float(np.mean([each[name] for each in parts if name in each])) for name in names}
