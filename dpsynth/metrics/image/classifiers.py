"""What can be learnt from synthetic images: classifiers trained on them, and tested on real ones once.

The standard measure of private image synthesis. A small convolutional network is trained for a fixed number of steps
and tested with its last weights; nothing is selected on real images. Networks differ in what they forgive, up to the
order of two methods, so a second one, a LeNet with dropout, may be trained beside it (and the three large ones of
`reproductions/dpimagebench_classifiers.py`). Logistic regression on the pixels is a classifier that knows nothing of
neighbourhoods.

Images whose labels do not depend on their pixels teach nothing, so both baselines, noise and shuffled pixels, score as
the best constant answer: the fraction of the commonest class among the real images. No classifier is trained for them.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import torch
from sklearn.linear_model import LogisticRegression
from torch import nn
from torch.nn import functional

from dpsynth.metrics.framework.comparison import BASELINES
from dpsynth.metrics.framework.metric import Reference, Score, TrainsNetwork
from dpsynth.metrics.framework.sample import Sample
from dpsynth.metrics.image.distances import NOT_IMAGES
from dpsynth.metrics.image.evaluation_networks import lenet, small_cnn
from dpsynth.metrics.image.sample import ImageSample, image_sample

LOGISTIC_ROWS = 10_000  # images that logistic regression learns from


@dataclass(frozen=True)
class LearningTask:
    """Images to learn from, (n, channels, height, width) float32 in [0, 1], their classes, int64 (n,), and the same of
    the real images of the test."""

    images: np.ndarray
    labels: np.ndarray
    tested: np.ndarray
    truth: np.ndarray
    classes: int

    @classmethod
    def of(cls, evaluated: Sample | ImageSample, reference: Reference, rows: int | None = None) -> LearningTask | str:
        """The task, from at most `rows` evaluated images; or why there is none."""
        sides = [image_sample(side) for side in (evaluated, reference.holdout)]
        if any(side is None for side in sides):
            return NOT_IMAGES
        if any(side is not None and side.labels is None for side in sides):
            return "the images have no label"
        kept, real = (side and side.labelled() for side in sides)
        if kept is None or real is None:
            return "no image has a label"
        kept = kept.head(rows or len(kept))
        assert kept.labels is not None
        assert real.labels is not None
        return cls(kept.units, kept.labels, real.units, real.labels, len(real.domain.classes))

    def score(self, name: str, meaning: str, named: np.ndarray, facts: dict[str, Any]) -> Score:
        """The accuracy of the classes `named`, int64 (n,), of the real images, beside the best constant answer."""
        chance = float(np.bincount(self.truth).max() / len(self.truth))
        return Score(
            name,
            float((named == self.truth).mean()),
            "higher",
            "images",
            meaning,
            baselines=dict.fromkeys(BASELINES, chance),
            limits=(0.0, 1.0),
            detail={**facts, "images": len(self.labels), "tested": len(self.truth)},
        )


@dataclass(frozen=True)
class ImageClassifier(TrainsNetwork):
    """Score "image_accuracy": accuracy on real images of a small CNN trained on the evaluated ones.

    steps, batch: of training, fixed whatever the table; the last weights are tested. AdamW; the learning rate rises for
    three tenths of the steps, and falls to zero.
    """

    steps: int = 600
    batch: int = 128
    learning_rate: float = 2e-3
    seed: int = 0
    needs_train: ClassVar[bool] = False
    costly: ClassVar[bool] = True
    baselines: ClassVar[bool] = False
    name: ClassVar[str] = "image_accuracy"
    network: ClassVar[str] = "CNN, 3 convolutions"

    def measure(self, evaluated: Sample | ImageSample, reference: Reference) -> list[Score]:
        kind = self.network.split(",")[0]
        meaning = f"accuracy on real images of a {kind} trained on synthetic ones (1 all right)"
        task = LearningTask.of(evaluated, reference)
        if isinstance(task, str):
            return [Score.absent(self.name, "higher", task, meaning, "images")]
        model = self.train(task.images, task.labels, task.classes)
        facts = {"network": self.network, "steps": self.steps}
        return [task.score(self.name, meaning, classify(model, task.tested), facts)]

    def train(self, images: np.ndarray, labels: np.ndarray, classes: int) -> nn.Module:
        """The network after the last step, from (n, channels, height, width) images and (n,) int64 labels."""
        generator = torch.Generator().manual_seed(self.seed)
        model = small_cnn(images.shape[1:], classes, generator)
        optimizer = torch.optim.AdamW(model.parameters(), self.learning_rate, weight_decay=1e-2)
        schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, self.learning_rate, self.steps)
        return self._trained(model, images, labels, generator, optimizer, schedule.step)

    def _trained(
        self,
        model: nn.Module,
        images: np.ndarray,
        labels: np.ndarray,
        generator: torch.Generator,
        optimizer: torch.optim.Optimizer,
        after: Callable[[], None] = lambda: None,
    ) -> nn.Module:
        """`model` after the last step. after: called after every step of the optimizer."""
        inputs, targets = torch.from_numpy(images), torch.from_numpy(labels)
        with torch.enable_grad():
            for _ in range(self.steps):
                rows = torch.randint(len(inputs), (self.batch,), generator=generator)
                optimizer.zero_grad()
                functional.cross_entropy(model(inputs[rows]), targets[rows]).backward()
                optimizer.step()
                after()
        return model.eval()


@dataclass(frozen=True)
class ImageLeNet(ImageClassifier):
    """Score "image_lenet_accuracy": the same of a LeNet with dropout, by Adam at a fixed learning rate."""

    steps: int = 1200
    learning_rate: float = 1e-3
    name: ClassVar[str] = "image_lenet_accuracy"
    network: ClassVar[str] = "LeNet, 2 convolutions and dropout"

    def train(self, images: np.ndarray, labels: np.ndarray, classes: int) -> nn.Module:
        generator = torch.Generator().manual_seed(self.seed)
        model = lenet(images.shape[1:], classes, generator)
        optimizer = torch.optim.Adam(model.parameters(), self.learning_rate)
        return self._trained(model, images, labels, generator, optimizer)


@dataclass(frozen=True)
class ImageLogistic:
    """Score "image_logistic": accuracy on real images of logistic regression on the pixels of at most `rows` images."""

    rows: int = LOGISTIC_ROWS
    penalty: float = 0.01  # on the squared weights, beside the mean loss of an image
    iterations: int = 100
    needs_train: ClassVar[bool] = False
    costly: ClassVar[bool] = True
    baselines: ClassVar[bool] = False

    def measure(self, evaluated: Sample | ImageSample, reference: Reference) -> list[Score]:
        name = "image_logistic"
        meaning = "accuracy on real images of logistic regression on the pixels of synthetic ones (1 all right)"
        task = LearningTask.of(evaluated, reference, self.rows)
        if isinstance(task, str):
            return [Score.absent(name, "higher", task, meaning, "images")]
        inputs, tested = (part.reshape(len(part), -1).astype(np.float64) for part in (task.images, task.tested))
        if len(np.unique(task.labels)) < 2:
            named = np.full(len(tested), task.labels[0])
        else:
            model = LogisticRegression(C=1 / (self.penalty * len(inputs)), max_iter=self.iterations)
            named = model.fit(inputs, task.labels).predict(tested)
        return [task.score(name, meaning, named, {"penalty": self.penalty})]


def classify(model: nn.Module, images: np.ndarray) -> np.ndarray:
    """The likeliest class of every image, int64 (n,)."""
    with torch.no_grad():
        return torch.cat([model(part).argmax(dim=1) for part in torch.from_numpy(images).split(1024)]).numpy()
