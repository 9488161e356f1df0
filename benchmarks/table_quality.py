"""What the quality benchmarks of tables share: fit recipes for several epsilons and seeds, score their samples, print.

Scores: AUC of HistGradientBoosting trained on synthetic rows (raw values, the declared label) and tested on real ones;
mean total variation of all 1- and 2-way and of 200 seeded 3-way marginals, numbers in 32 equal-width bins of the
declared bounds. The first row is what the real training rows score. With --validate the test split is not read: a fifth
of the training rows stands in for it, which is how defaults are compared.
"""

import argparse
import json
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict
from typing import Any

import numpy as np
import pandas as pd
import yaml
from rich.console import Console
from rich.table import Table as Shown

import dpsynth
from dpsynth.data import Table, sources
from dpsynth.data.selection import Selection
from dpsynth.evaluation.suite import Settings, evaluate
from dpsynth.models import Synthesizer
from dpsynth.privacy import RandomGenerators
from dpsynth.privacy.noise.random import seeded_key

SCORES = ("tv_1way", "tv_2way", "tv_3way", "boosting_auc", "boosting_r2")
Method = Callable[[Table, dpsynth.Budget, int], tuple[pd.DataFrame, float]]  # -> synthetic rows, seconds of the fit


def arguments(description: str | None) -> argparse.ArgumentParser:
    """The options that all quality benchmarks have."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--epsilons", default="1")
    parser.add_argument("--seeds", default="0,1,2")
    parser.add_argument("--delta", type=float, default=1e-5)
    parser.add_argument("--data", default="adult")
    parser.add_argument("--path")
    parser.add_argument("--json")
    parser.add_argument("--validate", action="store_true")
    parser.add_argument("overrides", nargs="*")
    return parser


def changes(words: list[str]) -> dict[str, Any]:
    """Options of a recipe from `key=value` words, for `replace`; a key of a group is written `group.key`."""
    made: dict[str, Any] = {}
    for word in words:
        path, value = word.split("=", 1)
        *groups, key = path.split(".")
        inside = made
        for group in groups:
            inside = inside.setdefault(group, {})
        inside[key] = yaml.safe_load(value)
    return made


def fitting(recipe: Synthesizer) -> Method:
    """A recipe as a method: fitted with secure noise, as many rows drawn as there were."""

    def fit(train: Table, budget: dpsynth.Budget, seed: int) -> tuple[pd.DataFrame, float]:
        begun = time.perf_counter()
        fitted = recipe.fit(train, budget, RandomGenerators(seed))
        seconds = time.perf_counter() - begun
        return fitted.sample(len(train), seed=seed).frame, seconds

    return fit


def compare(methods: Mapping[str, Method], wanted: argparse.Namespace) -> list[dict[str, Any]]:
    """One row for each method, epsilon and seed, printed as they come; the first is the real training rows."""
    source = sources.load(wanted.data, Selection(seeded_key(0)), **({"path": wanted.path} if wanted.path else {}))
    train, holdout = source.train, source.holdout
    if wanted.validate:
        train, holdout = train.split(0.2, seeded_key(0))
    assert holdout is not None
    few = {"replicates": 2, "costly_replicates": 2}  # the first row shows what real rows score
    settings = Settings(families=("marginals", "utility"), learners=("boosting",), **few)

    def scores(synthetic: pd.DataFrame) -> dict[str, float]:
        found = evaluate(train.frame, holdout.frame, synthetic, train.domain, settings)
        return {score.name: score.value for score in found if score.name in SCORES and score.value is not None}

    results = [{"method": "real rows", "epsilon": "", "seed": 0, "seconds": 0.0, **scores(train.frame)}]
    for epsilon in map(float, wanted.epsilons.split(",")):
        budget = dpsynth.Budget(epsilon, wanted.delta)
        for name, method in methods.items():
            for seed in map(int, wanted.seeds.split(",")):
                synthetic, seconds = method(train, budget, seed)
                row = {"method": name, "epsilon": epsilon, "seed": seed, "seconds": seconds}
                results.append(row | scores(synthetic))
                print(json.dumps(results[-1]), flush=True)
    return results


def show(results: list[dict[str, Any]], title: str) -> None:
    """Means (standard deviations) over seeds."""
    names = [name for name in SCORES if name in results[0]]
    table = Shown("method", "epsilon", *names, "seconds", title=title)
    for method, epsilon in dict.fromkeys((row["method"], row["epsilon"]) for row in results):
        rows = [row for row in results if (row["method"], row["epsilon"]) == (method, epsilon)]
        cells = [[row[name] for row in rows] for name in names]
        shown = [f"{np.mean(values):.4f} ({np.std(values):.4f})" for values in cells]
        table.add_row(method, str(epsilon), *shown, f"{np.mean([row['seconds'] for row in rows]):.1f}")
    Console(width=140).print(table)


def write(path: str | None, recipes: Mapping[str, Synthesizer], results: list[dict[str, Any]]) -> None:
    """All rows and the fields of the recipes as JSON, if a path was given."""
    if path:
        with open(path, "w") as file:
            json.dump({"recipes": {name: asdict(r) for name, r in recipes.items()}, "results": results}, file, indent=1)
