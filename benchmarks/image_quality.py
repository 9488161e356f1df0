"""How good are synthetic images? Fits models for several data sets, epsilons and seeds; scores them; prints means.

    python benchmarks/image_quality.py --models merf --data mnist fashion_mnist --root FOLDER [--epsilons 1,10]
        [--seeds 0,1,2] [--samples 60000] [--classifiers cnn lenet dpimagebench] [--epochs 50] [--validate]
        [--grids FOLDER] [--json FILE] [key=value ...]

Scores: accuracy on real images of classifiers trained on the synthetic images and tested once, on the official test
images; uniform labels. cnn, lenet: the CNN of `metrics/image/classifiers.py` and the LeNet, a fixed number of steps,
last weights. dpimagebench: mean of the networks of `reproductions/dpimagebench_classifiers.py`, each at its best epoch
of at most `--epochs` on kept synthetic images (hours). Nothing is selected on the test images. Beside them the Frechet
distance, precision and recall of 5,000 images in the features of the random convolutions of `metrics/image/sample.py`.
With --validate the test images are not read: the model is fitted to the first five sixths of the training images and
evaluated on the rest, which is how defaults are compared. `key=value` sets fields of the recipe (its config in
configs/model). --grids draws ten images of each class of every run below ten real ones. --root: holds a folder for each
data set.
"""

from __future__ import annotations

import argparse
import json
import resource
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from omegaconf import OmegaConf
from rich.console import Console
from rich.table import Table as Shown

import dpsynth
from dpsynth.data import Images, sources
from dpsynth.data.selection import Selection
from dpsynth.figures import image_comparison
from dpsynth.metrics.framework.metric import Reference
from dpsynth.metrics.image.classifiers import ImageClassifier, ImageLeNet
from dpsynth.metrics.image.distances import ImageDistances, ImageSupport
from dpsynth.metrics.image.sample import ImageSample
from dpsynth.models import Synthesizer
from dpsynth.models.contract.registry import build
from dpsynth.privacy import RandomGenerators
from dpsynth.privacy.noise.random import seeded_key
from dpsynth.reproductions.dpimagebench_classifiers import DPImageBenchClassifiers

SHOWN = {
    "image_accuracy": "CNN",
    "image_lenet_accuracy": "LeNet",
    "dpimagebench_accuracy": "DPImageBench",
    "image_frechet": "Frechet",
    "image_precision": "precision",
    "image_recall": "recall",
}
CONFIGS = Path(__file__).resolve().parents[1] / "configs" / "model"


def recipe_of(model: str, overrides: list[str]) -> Synthesizer:
    """The recipe of configs/model/MODEL.yaml with some fields changed."""
    config = OmegaConf.merge(OmegaConf.load(CONFIGS / f"{model}.yaml"), OmegaConf.from_dotlist(overrides))
    return build(OmegaConf.to_container(config), Synthesizer, model)  # type: ignore[arg-type]


def opened(name: str, root: str | None, validate: bool) -> tuple[Images, Images]:
    """(to fit to, to evaluate with)"""
    place = {"root": Path(root) / name} if root and name != "digits" else {}
    source = sources.load(name, Selection(seeded_key(0)), **place)
    if not validate:
        return source.train, source.holdout
    cut = len(source.train) * 5 // 6
    return source.train.head(cut), source.train.take(np.arange(cut, len(source.train)))


def scores(synthetic: Images, real: Images, seed: int, wanted: Any) -> dict[str, float]:
    """By every classifier that is wanted, and of features, from synthetic to real."""
    made = {
        "cnn": ImageClassifier(seed=seed),
        "lenet": ImageLeNet(seed=seed),
        "dpimagebench": DPImageBenchClassifiers(wanted.epochs, seed=seed),
    }
    metrics = [*(made[name] for name in wanted.classifiers), ImageDistances(), ImageSupport()]
    evaluated, reference = ImageSample.of(synthetic), Reference(ImageSample.of(real))
    found = [score for metric in metrics for score in metric.measure(evaluated, reference)]
    return {score.name: float(score.value) for score in found if score.name in SHOWN and score.value is not None}


def run(model: str, recipe: Synthesizer, data: str, epsilon: float, seed: int, wanted: Any) -> dict[str, Any]:
    """One fit and its score."""
    train, real = opened(data, wanted.root, wanted.validate)
    budget = dpsynth.Budget(epsilon, wanted.delta)
    begun = time.perf_counter()
    fitted = recipe.fit(train, budget, RandomGenerators(seed))
    fit = time.perf_counter() - begun
    begun = time.perf_counter()
    synthetic = fitted.sample(wanted.samples, seed=seed)
    sampling = time.perf_counter() - begun
    if wanted.grids:
        name = f"{data}_{model}_epsilon{epsilon:g}_seed{seed}.png"
        Path(wanted.grids).mkdir(parents=True, exist_ok=True)
        sides = real.pixels, real.labels, synthetic.pixels, synthetic.labels
        names, title = dict(enumerate(synthetic.domain.classes)), f"{model}, epsilon {epsilon:g}"
        image_comparison(*sides, names=names, title=title).savefig(Path(wanted.grids) / name, dpi=100)
    return {
        "model": model,
        "data": data,
        "epsilon": epsilon,
        "seed": seed,
        **scores(synthetic, real, seed, wanted),
        "fit_seconds": fit,
        "sample_seconds": sampling,
        "peak_gigabytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20,
        "proven_epsilon": fitted.statement["proven"]["epsilon"],
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--models", nargs="+", default=["merf"])
    parser.add_argument("--data", nargs="+", default=["mnist"])
    parser.add_argument("--root", help="folder that holds a folder for each data set; default: as data=NAME looks")
    parser.add_argument("--epsilons", default="1")
    parser.add_argument("--seeds", default="0,1,2")
    parser.add_argument("--delta", type=float, default=1e-5)
    parser.add_argument("--samples", type=int, default=60_000)
    parser.add_argument("--threads", type=int, help="processor threads")
    parser.add_argument("--classifiers", nargs="+", choices=("cnn", "lenet", "dpimagebench"), default=["cnn"])
    parser.add_argument("--epochs", type=int, default=50, help="of dpimagebench")
    parser.add_argument("--validate", action="store_true")
    parser.add_argument("--grids")
    parser.add_argument("--json")
    parser.add_argument("overrides", nargs="*")
    wanted = parser.parse_intermixed_args()
    if wanted.threads:
        torch.set_num_threads(wanted.threads)
    recipes = {model: recipe_of(model, wanted.overrides) for model in wanted.models}
    results = []
    for model, recipe in recipes.items():
        for data in wanted.data:
            for epsilon in map(float, wanted.epsilons.split(",")):
                for seed in map(int, wanted.seeds.split(",")):
                    results.append(run(model, recipe, data, epsilon, seed, wanted))
                    print(json.dumps(results[-1]), flush=True)
    show(results, "validation images" if wanted.validate else "test images")
    if wanted.json:
        Path(wanted.json).write_text(json.dumps(results, indent=1) + "\n")


def show(results: list[dict[str, Any]], evaluated: str) -> None:
    """Means (standard deviations) over seeds."""
    found = [name for name in SHOWN if name in results[0]]
    titles = [SHOWN[name] for name in found]
    table = Shown("model", "data", "epsilon", *titles, "fit s", "sample s", "peak GB", title=f"Scores on {evaluated}")
    keys = ("model", "data", "epsilon")
    for group in dict.fromkeys(tuple(row[key] for key in keys) for row in results):
        rows = [row for row in results if tuple(row[key] for key in keys) == group]
        values = [[row[name] for row in rows] for name in found]
        scored = [f"{np.mean(each):.4f} ({np.std(each):.4f})" for each in values]
        means = [f"{np.mean([row[key] for row in rows]):.1f}" for key in ("fit_seconds", "sample_seconds")]
        peak = max(row["peak_gigabytes"] for row in rows)
        table.add_row(*map(str, group), *scored, *means, f"{peak:.1f}")
    Console(width=160).print(table)


if __name__ == "__main__":
    main()
