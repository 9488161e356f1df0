"""The three scores of the DP-MAF project, computed as its code computes them, to set its published table beside ours.

They are kept for comparison only. Common preparation: numeric columns alone, without incomplete rows, as many
synthetic rows as real ones at most, and each side scaled by its own mean and standard deviation. Numbers that a
reader should know when meeting them:

- "seed_sra" compares columns, not models: the R^2 of a linear regression of each column on the others, of the real
  table on itself and of the synthetic table on itself. Ties count as agreement, so a table whose columns are all
  multiples of one another scores 1.
- "seed_wasserstein" is the permutation null without the distance it belongs to: 100 + 100 rows are pooled and split
  at random, and the distance between the random parts is reported. Real rows against real rows score the same.
  `pyemd.emd_samples(bins=10)` flattens all columns into one histogram of 10 equal bins between the smallest and the
  largest pooled value; the distance of two such histograms is the bin width times the area between their cumulative
  shares, the closed form used here. The pool is the same for all splits, so are its bins.
- "seed_pmse" is fitted (L2, C = 1) to a fraction f = 67 % of the rows, scored on all, and divided by k (1 - c)^2 c / N
  with k the number of columns. Fitted to all rows it would be 0 for any two tables: after each side is scaled by its
  own mean nothing is left for a logistic model of main effects to see. What is reported is the chance difference of
  means inside the 67 %: about (1 - f) / (f (1 - c)), 1 at equal sizes, whatever the two distributions are, a little
  more for the fraction of synthetic rows among them, with a standard deviation of about sqrt(2 / k). With both sides
  scaled alike, two real halves score about 3: 2 for a fresh sample in place of Snoke's null, times 1.5 for the 67 %.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.model_selection import train_test_split
from sklearn.preprocessing import StandardScaler

from dpsynth.data.columns import Integer, Number
from dpsynth.metrics.framework.metric import Better, Reference, Score
from dpsynth.metrics.framework.sample import Sample

SPLIT = 42  # of the 67/33 splits, as in the original
LEAST = 20  # rows below which a third of them says nothing

MEANINGS: dict[str, tuple[Better, str]] = {
    "seed_sra": (
        "higher",
        "original SRA: fraction of column pairs that linear R^2 ranks alike in both tables, ties as agreement (0 to 1; "
        "collinear columns score 1)",
    ),
    "seed_wasserstein": (
        "lower",
        "original Wasserstein ratio: distance between random halves of the pooled rows, so real rows score the same "
        "(it never compares synthetic with real)",
    ),
    "seed_pmse": (
        "lower",
        "original pMSE ratio: logistic pMSE after scaling each side by its own mean, over Snoke's mean (about 1 for "
        "any two tables: what is left is the chance of the 67 % that are fitted)",
    ),
}


def scaled(values: np.ndarray) -> np.ndarray:
    """Columns by their own mean and standard deviation, (n, k) float64; constant columns become 0."""
    return np.asarray(StandardScaler().fit_transform(values))


def column_fits(values: np.ndarray) -> np.ndarray:
    """R^2 of each column from all others by linear regression, fitted to 67 % and tested on 33 %, (k,) float64."""
    training, testing = map(np.asarray, train_test_split(values, test_size=0.33, random_state=SPLIT))
    return np.array(
        [
            LinearRegression()
            .fit(np.delete(training, j, axis=1), training[:, j])
            .score(np.delete(testing, j, axis=1), testing[:, j])
            for j in range(values.shape[1])
        ]
    )


def ranking_agreement(real: np.ndarray, synthetic: np.ndarray) -> float:
    """Fraction of pairs i != j with (R_i - R_j)(S_i - S_j) >= 0, of scores (k,) with k >= 2."""
    i, j = np.triu_indices(len(real), k=1)
    return float(((real[i] - real[j]) * (synthetic[i] - synthetic[j]) >= 0).mean())


def histogram_distance(first: np.ndarray, second: np.ndarray, bins: int = 10) -> float:
    """Earth mover's distance of the normalised histograms of all values of two arrays, between bin centres."""
    pooled = np.concatenate([first.ravel(), second.ravel()])
    edges = np.histogram_bin_edges(pooled, bins)
    fractions = [np.histogram(values, edges)[0] / values.size for values in (first, second)]
    return float(np.abs(np.cumsum(fractions[0] - fractions[1])).sum() * (edges[1] - edges[0]))


def random_split_distance(
    real: np.ndarray,
    synthetic: np.ndarray,
    *,
    rows: int = 100,
    relabellings: int = 100,
    repeats: int = 50,
    bins: int = 10,
    seed: int = 0,
) -> float:
    """Mean `histogram_distance` of random splits of `rows` + `rows` pooled rows of tables (n, k) and (m, k)."""
    generator = np.random.default_rng(seed)
    rows = min(rows, len(real), len(synthetic))
    total = 0.0
    for _ in range(repeats):
        pool = np.concatenate([table[generator.permutation(len(table))[:rows]] for table in (real, synthetic)])
        edges = np.histogram_bin_edges(pool, bins)
        cells = np.clip(np.searchsorted(edges, pool, side="right") - 1, 0, bins - 1)
        counts = (cells[:, :, None] == np.arange(bins)).sum(axis=1)  # values of each pooled row in each bin
        orders = generator.permuted(np.tile(np.arange(2 * rows), (relabellings, 1)), axis=1)
        part = counts[orders[:, :rows]].sum(axis=1)
        gaps = np.cumsum(2 * part - counts.sum(axis=0), axis=1) / (rows * pool.shape[1])
        total += np.abs(gaps).sum(axis=1).mean() * (edges[1] - edges[0])
    return float(total / repeats)


def pmse_ratio(real: np.ndarray, synthetic: np.ndarray) -> float:
    """pMSE of a penalised logistic fit to 67 % of the rows, over k (1 - c)^2 c / N; tables (n, k) and (m, k)."""
    inputs = np.concatenate([real, synthetic])
    labels = np.arange(len(inputs)) >= len(real)
    training, _, guessed, _ = train_test_split(inputs, labels, test_size=0.33, random_state=SPLIT)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        chances = LogisticRegression(max_iter=500).fit(training, guessed).predict_proba(inputs)[:, 1]
    fraction = len(synthetic) / len(inputs)
    expected = inputs.shape[1] * (1.0 - fraction) ** 2 * fraction / len(inputs)
    return float(np.mean((chances - fraction) ** 2) / expected)


@dataclass(frozen=True)
class SeedCompat:
    """Scores "seed_sra", "seed_wasserstein", "seed_pmse"."""

    seed: int = 0
    needs_train: ClassVar[bool] = False
    costly: ClassVar[bool] = False
    baselines: ClassVar[bool] = True

    def measure(self, evaluated: Sample, reference: Reference) -> list[Score]:
        numeric = [isinstance(column, (Integer, Number)) for column in evaluated.domain.columns]
        names = [name for name, kept in zip(evaluated.domain.names, numeric, strict=True) if kept]
        # on the declared range: any scale does, for each side is scaled by itself
        tables = [sample.units[:, numeric] for sample in (reference.holdout, evaluated)]
        real, synthetic = (table[~np.isnan(table).any(axis=1)] for table in tables)
        synthetic = synthetic[: len(real)]
        reason = None
        if len(names) < 2:
            reason = f"the table has {len(names)} numeric column(s), fewer than 2"
        elif min(len(real), len(synthetic)) < LEAST:
            reason = f"fewer than {LEAST} rows without a missing number"
        if reason:
            return [
                Score.absent(name, better, reason, meaning, "seed_compat")
                for name, (better, meaning) in MEANINGS.items()
            ]
        real, synthetic = scaled(real), scaled(synthetic)
        found = (
            ranking_agreement(column_fits(real), column_fits(synthetic)),
            random_split_distance(real, synthetic, seed=self.seed),
            pmse_ratio(real, synthetic),
        )
        facts = {"columns": names, "rows": len(synthetic), "holdout_rows": len(real)}
        return [
            Score(name, value, better, "seed_compat", meaning, detail=facts)
            for (name, (better, meaning)), value in zip(MEANINGS.items(), found, strict=True)
        ]
