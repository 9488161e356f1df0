"""Quality of synthetic images: Frechet and kernel distance of features, and a classifier from synthetic to real.

Frechet distance (Heusel et al. 2017, arXiv 1706.08500): |m - m'|^2 + tr(C + C' - 2 (C C')^(1/2)) for the means and
covariances of features. It falls with the number of images, so both sides have a fixed number, and it is stated.
Kernel distance (Binkowski et al. 2018, arXiv 1801.01401): the unbiased squared MMD with the kernel (x.y / d + 1)^3.
Neither is the published FID or KID unless the network is Inception: the names say which network.

Classifier: a small convolutional network is trained on the judged images for a fixed number of steps and tested on real
ones once, at the last step; nothing is selected on real images.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch
from torch import nn
from torch.nn import functional
from torch.nn.utils import skip_init

from dpsynth.metrics.family import Reference
from dpsynth.metrics.image_features import features, image_shape, images_of, labels_of
from dpsynth.metrics.sample import Sample
from dpsynth.metrics.score import Score

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
    """Unbiased squared MMD of two samples of features with a cubic kernel; near 0, even below, for one law."""
    width = a.shape[1]

    def kernel(x: np.ndarray, y: np.ndarray) -> np.ndarray:
        return (x @ y.T / width + 1) ** 3

    within = [(k.sum() - np.trace(k)) / (len(k) * (len(k) - 1)) for k in (kernel(a, a), kernel(b, b))]
    return float(sum(within) - 2 * kernel(a, b).mean())


@dataclass(frozen=True)
class ImageDistances:
    """Scores "image_frechet", "image_kernel" and the support scores in feature space, on at most `rows` images."""

    network: str = "random_conv"
    rows: int = 5000
    needs_train: ClassVar[bool] = False
    costly: ClassVar[bool] = True
    baselines: ClassVar[bool] = True

    def measure(self, judged: Sample, reference: Reference) -> list[Score]:
        named = "random convolutions" if self.network == "random_conv" else "Inception"
        meanings = {
            "image_frechet": f"Frechet distance of image features, network: {named} (0 equal)",
            "image_kernel": f"kernel distance (squared MMD) of image features, network: {named} (0 equal)",
        }
        real = reference.holdout
        if image_shape(judged.domain) is None or min(len(judged), len(real)) < 2:
            reason = NOT_IMAGES if image_shape(judged.domain) is None else "fewer than two images"
            return [Score.absent(name, "lower", reason, meaning, "images") for name, meaning in meanings.items()]
        one, two = (features(images_of(sample.head(self.rows)), self.network) for sample in (judged, real))
        values = {"image_frechet": frechet_distance(one, two), "image_kernel": kernel_distance(one, two)}
        facts = {"network": self.network, "images": len(one), "real_images": len(two)}
        return [
            Score(name, values[name], "lower", "images", meaning, limits=(None, None), detail=facts)
            for name, meaning in meanings.items()
        ]


@dataclass(frozen=True)
class ImageClassifier:
    """Score "image_accuracy": accuracy on real images of a small CNN trained on the judged ones.

    steps, batch: of training, fixed whatever the table; the last weights are tested.
    """

    steps: int = 600
    batch: int = 128
    learning_rate: float = 2e-3
    seed: int = 0
    needs_train: ClassVar[bool] = False
    costly: ClassVar[bool] = True
    baselines: ClassVar[bool] = True

    def measure(self, judged: Sample, reference: Reference) -> list[Score]:
        name, meaning = "image_accuracy", "accuracy on real images of a CNN trained on synthetic ones (1 all right)"
        shape, labels, truth = image_shape(judged.domain), labels_of(judged), labels_of(reference.holdout)
        if shape is None or labels is None or truth is None:
            reason = NOT_IMAGES if shape is None else "the images have no label"
            return [Score.absent(name, "higher", reason, meaning, "images")]
        kept, tested = np.flatnonzero(labels >= 0), np.flatnonzero(truth >= 0)
        if not len(kept) or not len(tested):
            return [Score.absent(name, "higher", "no image has a label", meaning, "images")]
        label = judged.domain[str(judged.domain.label)]
        classes = len(label.values)  # type: ignore[attr-defined]
        model = self.train(images_of(judged)[kept], labels[kept], classes)
        right = classify(model, images_of(reference.holdout)[tested]) == truth[tested]
        facts = {"network": "CNN, 3 convolutions", "steps": self.steps, "images": len(kept), "tested": len(tested)}
        return [Score(name, float(right.mean()), "higher", "images", meaning, limits=(0.0, 1.0), detail=facts)]

    def train(self, images: np.ndarray, labels: np.ndarray, classes: int) -> nn.Module:
        """The network after the last step, from (n, channels, height, width) images and (n,) int64 labels."""
        generator = torch.Generator().manual_seed(self.seed)
        model = _network(images.shape[1], classes, generator)
        optimizer = torch.optim.AdamW(model.parameters(), self.learning_rate, weight_decay=1e-2)
        schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, self.learning_rate, self.steps)
        inputs, targets = torch.from_numpy(images), torch.from_numpy(labels)
        with torch.enable_grad():
            for _ in range(self.steps):
                rows = torch.randint(len(inputs), (self.batch,), generator=generator)
                optimizer.zero_grad()
                functional.cross_entropy(model(inputs[rows]), targets[rows]).backward()
                optimizer.step()
                schedule.step()
        return model.eval()


def classify(model: nn.Module, images: np.ndarray) -> np.ndarray:
    """The likeliest class of every image, int64 (n,)."""
    with torch.no_grad():
        return torch.cat([model(part).argmax(dim=1) for part in torch.from_numpy(images).split(1024)]).numpy()


def _network(channels: int, classes: int, generator: torch.Generator) -> nn.Sequential:
    layers: list[nn.Module] = []
    for width, stride in ((32, 1), (64, 2), (64, 2)):
        layers += [skip_init(nn.Conv2d, channels, width, 3, stride, 1), nn.GroupNorm(8, width), nn.ReLU()]
        channels = width
    model = nn.Sequential(*layers, nn.AdaptiveAvgPool2d(3), nn.Flatten(), skip_init(nn.Linear, channels * 9, classes))
    for layer in model:  # own generator, so that nothing global is drawn from or reset
        if isinstance(layer, nn.Conv2d | nn.Linear):
            weight, bias = layer.parameters()
            nn.init.kaiming_uniform_(weight, nonlinearity="relu", generator=generator)
            nn.init.zeros_(bias)
    return model
