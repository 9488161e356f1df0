"""How far are synthetic images from real ones, in the features of a named network?

Frechet distance (Heusel et al. 2017, arXiv 1706.08500): |m - m'|^2 + tr(C + C' - 2 (C C')^(1/2)) for the means and
covariances of features. It falls with the number of images, so both sides have a fixed number, and it is stated.
Kernel distance (Binkowski et al. 2018, arXiv 1801.01401): the unbiased squared MMD with the kernel (x.y / d + 1)^3.
Neither is the published FID or KID unless the network is Inception: the names say which network.
Precision, recall, density and coverage are those of `support.py` on features, the two-sample test that of
`propensity.py`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from dpsynth.metrics.framework.metric import Reference, Score
from dpsynth.metrics.framework.sample import Sample
from dpsynth.metrics.image.sample import ImageSample, image_sample, title
from dpsynth.metrics.table.propensity import cross_fitted_areas
from dpsynth.metrics.table.support import Support

NOT_IMAGES = "the table does not hold images"


def frechet_distance(a: np.ndarray, b: np.ndarray) -> float:
    """Frechet distance of two samples of features, (n, d) and (m, d) float64."""
    gap = a.mean(axis=0) - b.mean(axis=0)
    one, two = (np.atleast_2d(np.cov(x, rowvar=False)) for x in (a, b))
    # tr (C C')^(1/2) = sum of the roots of the eigenvalues of C^(1/2) C' C^(1/2), which is symmetric
    values, vectors = np.linalg.eigh(one)
    root = (vectors * np.sqrt(np.maximum(values, 0.0))) @ vectors.T
    cross = np.sqrt(np.maximum(np.linalg.eigvalsh(root @ two @ root), 0.0)).sum()
    return float(max(gap @ gap + np.trace(one) + np.trace(two) - 2 * cross, 0.0))


def kernel_distance(a: np.ndarray, b: np.ndarray) -> float:
    """Unbiased squared MMD of two samples of features with a cubic kernel; near 0, even below, for one distribution."""
    width = a.shape[1]

    def kernel(x: np.ndarray, y: np.ndarray) -> np.ndarray:
        return (x @ y.T / width + 1) ** 3

    within = [(k.sum() - np.trace(k)) / (len(k) * (len(k) - 1)) for k in (kernel(a, a), kernel(b, b))]
    return float(sum(within) - 2 * kernel(a, b).mean())


@dataclass(frozen=True)
class _OnFeatures:
    """What the families below share. rows: no more images of each side are looked at."""

    network: str = "random_conv"
    rows: int = 5000
    needs_train: ClassVar[bool] = False
    costly: ClassVar[bool] = True
    baselines: ClassVar[bool] = True

    def _sides(self, evaluated: Sample | ImageSample, reference: Reference) -> tuple[np.ndarray, np.ndarray] | None:
        """Features of the evaluated and of the real images; None for other tables."""
        one, two = (image_sample(rows.head(self.rows)) for rows in (evaluated, reference.holdout))
        return None if one is None or two is None else (one.features(self.network), two.features(self.network))

    def _facts(self, one: np.ndarray, two: np.ndarray) -> dict[str, object]:
        return {"network": self.network, "images": len(one), "real_images": len(two)}


@dataclass(frozen=True)
class ImageDistances(_OnFeatures):
    """Scores "image_frechet" and "image_kernel"."""

    def measure(self, evaluated: Sample | ImageSample, reference: Reference) -> list[Score]:
        network = title(self.network)
        meanings = {
            "image_frechet": f"Frechet distance of image features, network: {network} (0 equal)",
            "image_kernel": f"kernel distance (squared MMD) of image features, network: {network} (0 equal)",
        }
        sides = self._sides(evaluated, reference)
        if sides is None or min(map(len, sides)) < 2:
            reason = NOT_IMAGES if sides is None else "fewer than two images"
            return [Score.absent(name, "lower", reason, meaning, "images") for name, meaning in meanings.items()]
        values = {"image_frechet": frechet_distance(*sides), "image_kernel": kernel_distance(*sides)}
        facts = self._facts(*sides)
        return [
            Score(name, values[name], "lower", "images", meaning, limits=(None, None), detail=facts)
            for name, meaning in meanings.items()
        ]


@dataclass(frozen=True)
class ImageSupport(_OnFeatures):
    """Scores "image_precision", "image_recall", "image_density", "image_coverage" of equally many images of both."""

    k: int = 5

    def measure(self, evaluated: Sample | ImageSample, reference: Reference) -> list[Score]:
        meanings = {
            "precision": f"fraction of synthetic images among the {self.k} nearest of some real one (0 to 1)",
            "recall": f"fraction of real images among the {self.k} nearest of some synthetic one (0 to 1)",
            "density": "real neighbourhoods a synthetic image lies in, over k (0 to k; 1 like real, above: crowded)",
            "coverage": f"fraction of real images with a synthetic one among their {self.k} nearest (0 to 1)",
        }
        meanings = {name: f"{text}, network: {title(self.network)}" for name, text in meanings.items()}
        sides = self._sides(evaluated, reference)
        rows = 0 if sides is None else min(map(len, sides))
        if sides is None or rows <= self.k:
            reason = NOT_IMAGES if sides is None else f"fewer than {self.k + 1} images"
            return [Score.absent(f"image_{name}", "higher", reason, text, "images") for name, text in meanings.items()]
        support = Support(sides[1][:rows], sides[0][:rows], self.k)
        facts = {"network": self.network, "k": self.k, "images": rows}
        return [
            Score(
                f"image_{name}",
                getattr(support, name),
                "higher",
                "images",
                text,
                limits=(0.0, None if name == "density" else 1.0),
                detail=facts,
            )
            for name, text in meanings.items()
        ]


@dataclass(frozen=True)
class ImageTwoSample(_OnFeatures):
    """Score "image_c2st_auc": the area under the ROC curve of gradient boosting on features, cross-fitted."""

    folds: int = 3
    iterations: int = 50
    seed: int = 0

    def measure(self, evaluated: Sample | ImageSample, reference: Reference) -> list[Score]:
        name = "image_c2st_auc"
        meaning = (
            f"how well gradient boosting on image features, network: {title(self.network)}, tells synthetic from real "
            "images, area under the ROC curve (.5 not at all, 1 always; somewhat below .5 is chance)"
        )
        sides = self._sides(evaluated, reference)
        if sides is None or min(map(len, sides)) < 10 * self.folds:
            reason = NOT_IMAGES if sides is None else f"fewer than {10 * self.folds} images to cross-fit on"
            return [Score.absent(name, "lower", reason, meaning, "images")]
        inputs, first = np.concatenate(sides), len(sides[0])
        folds = np.concatenate([np.arange(len(side)) for side in sides]) % self.folds
        categorical = np.zeros(inputs.shape[1], dtype=bool)
        labels = np.arange(len(inputs)) < first
        areas = cross_fitted_areas(inputs, labels, folds, categorical, iterations=self.iterations, seed=self.seed)
        facts = {**self._facts(*sides), "folds": areas.tolist()}
        return [Score(name, float(areas.mean()), "lower", "images", meaning, limits=(0.0, 1.0), detail=facts)]
