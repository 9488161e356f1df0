"""How good is maf on Adult? Trains it for several epsilons and seeds, and scores it against the official test split.

    python benchmarks/maf_quality.py --epsilons 0.3,1,3,10 --seeds 0,1,2 [--json FILE] [--data adult] [key=value ...]

Scores: AUC of HistGradientBoosting trained on synthetic rows (raw values, label income) and tested on real ones; mean
total variation of all 1- and 2-way and of 200 seeded 3-way marginals, numbers in 32 equal-width bins of the declared
bounds. The first row is what the real training split scores. `key=value` sets fields of the recipe. With --validate the
test split is not read: a fifth of the training rows stands in for it, which is how defaults are compared.
"""

import argparse
import json
import time
from dataclasses import fields

import numpy as np
import yaml
from rich.console import Console
from rich.table import Table

import dpsynth
from dpsynth.data import sources
from dpsynth.metrics import Settings, evaluate
from dpsynth.models.maf import MAF
from dpsynth.privacy import Streams

SHOWN = ("tv_1way", "tv_2way", "tv_3way", "boosting_auc", "boosting_r2")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--epsilons", default="1")
    parser.add_argument("--seeds", default="0,1,2")
    parser.add_argument("--delta", type=float, default=1e-5)
    parser.add_argument("--data", default="adult")
    parser.add_argument("--path")
    parser.add_argument("--json")
    parser.add_argument("--validate", action="store_true")
    parser.add_argument("overrides", nargs="*")
    wanted = parser.parse_args()
    changes = {key: yaml.safe_load(value) for key, value in (word.split("=", 1) for word in wanted.overrides)}
    recipe = MAF(**changes)
    source = sources.load(wanted.data, **({"path": wanted.path} if wanted.path else {}))
    train, holdout = source.train, source.holdout
    if wanted.validate:
        train, holdout = train.split(0.2, seed=0)
    assert holdout is not None
    settings = Settings(learners=("boosting",))

    def scores(synthetic):
        found = evaluate(train.frame, holdout.frame, synthetic, train.domain, settings)
        return {score.name: score.value for score in found if score.name in SHOWN and score.value is not None}

    results = [{"epsilon": "real", "seed": 0, "seconds": 0.0, **scores(train.frame)}]
    for epsilon in map(float, wanted.epsilons.split(",")):
        budget = dpsynth.Budget(epsilon, wanted.delta)
        for seed in map(int, wanted.seeds.split(",")):
            begun = time.perf_counter()
            fitted = recipe.fit(train, budget, Streams(seed, infinite=not budget.private))
            seconds = time.perf_counter() - begun
            row = {"epsilon": epsilon, "seed": seed, "seconds": seconds}
            results.append(row | scores(fitted.sample(len(train), seed=seed).frame))
            print(json.dumps(results[-1]), flush=True)
    names = [name for name in SHOWN if name in results[0]]
    table = Table(
        "epsilon", *names, "seconds", title=f"maf on {wanted.data}, delta {wanted.delta:g}, mean (sd) over seeds"
    )
    for epsilon in dict.fromkeys(row["epsilon"] for row in results):
        rows = [row for row in results if row["epsilon"] == epsilon]
        cells = [[row[name] for row in rows] for name in names]
        shown = [f"{np.mean(values):.4f} ({np.std(values):.4f})" for values in cells]
        table.add_row(str(epsilon), *shown, f"{np.mean([row['seconds'] for row in rows]):.1f}")
    Console(width=120).print(table)
    if wanted.json:
        recipe_fields = {field.name: getattr(recipe, field.name) for field in fields(recipe)}
        with open(wanted.json, "w") as file:
            json.dump({"recipe": recipe_fields, "results": results}, file, indent=1)


if __name__ == "__main__":
    main()
