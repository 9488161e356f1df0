"""Do intervals from synthetic data cover? A logistic regression with known coefficients, fitted again and again.

    python benchmarks/interval_coverage.py --methods napsu,dpvi --epsilons 0.5,1,3 --trials 100

Each trial draws rows of a known distribution (three yes-no columns and an outcome), fits a model of them with noise,
and makes
95 % intervals for the four coefficients:

rubin       m sets, each from a posterior draw of its own, combined by Rubin's rules
one distribution     m sets from the middle of the posterior, combined by the same rules: they forget the privacy noise
as real     one synthetic set from the middle, analysed as if it were the real one
real        the real rows themselves: what the regression's own intervals cover

Columns: how often the interval held the truth, over trials and coefficients, and its mean width.
"""

import argparse
import copy
import json
import time
from collections.abc import Callable

import numpy as np
import pandas as pd
import torch
from scipy import special, stats

import dpsynth
from dpsynth.data import Category, Domain, Table
from dpsynth.inference import combine
from dpsynth.models.contract.fitted_table import FittedPosterior
from dpsynth.models.contract.synthesizer import SynthesisPlan, Synthesizer
from dpsynth.models.dpvi.fitted import FittedMixture
from dpsynth.models.dpvi.recipe import DPVI
from dpsynth.models.marginal.napsu import NAPSU
from dpsynth.privacy import RandomGenerators
from dpsynth.training.device import processor_threads

Ends = tuple[np.ndarray, np.ndarray]
TRUTH = np.array([-0.5, 1.0, -0.7, 0.4])  # level, x1, x2, x3
NAMES = ("x1", "x2", "x3", "y")
RECIPES: dict[str, Callable[[], Synthesizer]] = {
    "napsu": lambda: NAPSU(marginals=[NAMES], draws=50),
    "dpvi": lambda: DPVI(components=5, records_per_draw=1000),
}


def distribution(n: int, seed: int) -> pd.DataFrame:
    """n rows; x2 depends on x1."""
    draw = np.random.default_rng([7, seed])
    x1, x3 = draw.random(n) < 0.5, draw.random(n) < 0.4
    x2 = draw.random(n) < np.where(x1, 0.6, 0.3)
    logit = TRUTH @ np.stack([np.ones(n), x1, x2, x3])
    y = draw.random(n) < special.expit(logit)
    return pd.DataFrame({name: np.where(x, "yes", "no") for name, x in zip(NAMES, (x1, x2, x3, y), strict=True)})


def domain(rows: int) -> Domain:
    return Domain(tuple(Category(name, ("no", "yes"), label=name == "y") for name in NAMES), rows=rows)


def regression(frame: pd.DataFrame) -> tuple[np.ndarray, np.ndarray]:
    """Coefficients and their variances, by Newton steps on the counts; a weak prior keeps separated sets finite."""
    cells = np.zeros(16)
    codes = sum((frame[name] == "yes").to_numpy().astype(int) << k for k, name in enumerate(NAMES))
    np.add.at(cells, codes, 1)
    values = np.arange(16)
    x = np.stack([np.ones(16), values & 1, values >> 1 & 1, values >> 2 & 1], 1)
    y, b = values >> 3 & 1, np.zeros(4)
    for _ in range(25):
        p = special.expit(x @ b)
        precision = (x * (cells * p * (1 - p))[:, None]).T @ x + np.eye(4) * 1e-3
        b = b + np.linalg.solve(precision, x.T @ (cells * (y - p)) - 1e-3 * b)
    return b, np.diag(np.linalg.inv(precision))


def forgetful(fitted: FittedPosterior, rows: int, sets: int, seed: int) -> list[pd.DataFrame]:
    """Sets from the middle of the posterior alone."""
    if isinstance(fitted, FittedMixture):
        fitted = copy.copy(fitted)
        fitted.scale = torch.zeros_like(fitted.scale)
    return [fitted.sample(rows, seed=sets * seed + k).frame for k in range(sets)]


def trial(recipe: Synthesizer, plan: SynthesisPlan, rows: int, sets: int, seed: int) -> dict[str, Ends]:
    """The ends of the intervals of one trial, by the way they were made."""
    table = Table(distribution(rows, seed), domain(rows))
    fitted = recipe.fit(table, plan, RandomGenerators(seed))
    assert isinstance(fitted, FittedPosterior)
    aware = [regression(one.frame) for one in fitted.sets(sets, rows, seed=seed)]
    naive = [regression(frame) for frame in forgetful(fitted, rows, sets, seed)]
    single, real = naive[0], regression(table.frame)
    return {
        "rubin": combine([q for q, _ in aware], [u for _, u in aware]).interval(),
        "one distribution": combine([q for q, _ in naive], [u for _, u in naive]).interval(),
        "as real": normal(*single),
        "real": normal(*real),
    }


def normal(estimate: np.ndarray, variance: np.ndarray) -> Ends:
    half = stats.norm.ppf(0.975) * np.sqrt(variance)
    return estimate - half, estimate + half


def coverage(method: str, epsilon: float, rows: int, trials: int, sets: int) -> dict[str, dict[str, float]]:
    """How often the intervals hold the truth, and their mean width, by the way they were made."""
    recipe = RECIPES[method]()
    plan = recipe.plan(domain(rows), dpsynth.Budget(epsilon, 1e-5))
    found = [trial(recipe, plan, rows, sets, seed) for seed in range(trials)]
    table = {}
    for way in found[0]:
        low, high = (np.array([each[way][end] for each in found]) for end in (0, 1))
        table[way] = {"covered": float(np.mean((low <= TRUTH) & (high >= TRUTH))), "width": float(np.mean(high - low))}
    return table


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--methods", default="napsu,dpvi")
    parser.add_argument("--epsilons", default="0.5,1,3")
    parser.add_argument("--rows", type=int, default=2000)
    parser.add_argument("--trials", type=int, default=100)
    parser.add_argument("--sets", type=int, default=50)
    parser.add_argument("--json")
    wanted = parser.parse_args()
    results = []
    with processor_threads(1):
        for method in wanted.methods.split(","):
            for epsilon in map(float, wanted.epsilons.split(",")):
                begun = time.perf_counter()
                found = coverage(method, epsilon, wanted.rows, wanted.trials, wanted.sets)
                seconds = time.perf_counter() - begun
                results.append({"method": method, "epsilon": epsilon, "seconds": seconds, **found})
                parts = [f"{way} {one['covered']:.3f} (width {one['width']:.2f})" for way, one in found.items()]
                print(f"{method} epsilon {epsilon:g}: {', '.join(parts)}; {seconds:.0f} s", flush=True)
    if wanted.json:
        with open(wanted.json, "w") as file:
            json.dump(results, file, indent=1)


if __name__ == "__main__":
    main()
