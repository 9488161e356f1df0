"""How does a population of images evolve? Fits Private Evolution once and draws every iteration.

    python benchmarks/evolution_pictures.py --out FOLDER [--data mnist] [--root FOLDER] [--epsilon 1] [--seed 0]
        [key=value ...]

Writes FOLDER/DATA_iteration_1.png, ..., and FOLDER/DATA_evolution.png with all of them: candidates from all over the
population, from most votes (left) to fewest. They are released, so the pictures may be shared like the model.
`key=value` sets fields of the recipe. How good the images are says `benchmarks/image_quality.py --models pe`.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from image_quality import opened, recipe_of

import dpsynth
from dpsynth.figures import evolution_grid, population_grid, save
from dpsynth.models.pe.fitted import EvolvedImages
from dpsynth.privacy import RandomGenerators


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", required=True)
    parser.add_argument("--data", default="mnist")
    parser.add_argument("--root", help="folder that holds a folder for each data set; default: as data=NAME looks")
    parser.add_argument("--epsilon", type=float, default=1.0)
    parser.add_argument("--delta", type=float, default=1e-5)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("overrides", nargs="*")
    wanted = parser.parse_intermixed_args()
    train, _ = opened(wanted.data, wanted.root, validate=False)
    budget = dpsynth.Budget(wanted.epsilon, wanted.delta)
    fitted = recipe_of("pe", wanted.overrides).fit(train, budget, RandomGenerators(wanted.seed))
    assert isinstance(fitted, EvolvedImages)
    history, classes, out = fitted.history, fitted.domain.classes, Path(wanted.out)
    for step in range(len(history)):
        save(population_grid(history, step, classes), out / f"{wanted.data}_iteration_{step + 1}", ("png",), 100)
    save(evolution_grid(history, classes), out / f"{wanted.data}_evolution", ("png",), 100)
    print(fitted.statement["guarantee"], fitted.provenance, sep="\n")


if __name__ == "__main__":
    main()
