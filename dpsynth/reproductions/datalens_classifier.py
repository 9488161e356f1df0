"""The classifier by which DataLens evaluates its images, under a clean protocol.

Network and optimizer of the DataLens project (Wang et al., arXiv 2103.11109; its evaluation programs): convolution 3x3
to 32, maximum over 2x2, dropout .2, convolution 3x3 to 64, dropout .25, 64 units, softmax; plain SGD, learning rate
2e-3, batches of 512, 600 epochs for grey images; 1e-4, 256 and 250 for coloured ones.

The published figures are the best epoch on the real test images. Here the weights of the last epoch are tested, once,
and there are only as many epochs as `epochs` allows: with few of them, figures lie below what the full number gives.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch
from torch import nn
from torch.nn import functional
from torch.nn.utils import skip_init

from dpsynth.metrics.framework.metric import Reference, Score, TrainsNetwork
from dpsynth.metrics.framework.sample import Sample
from dpsynth.metrics.image.classifiers import LearningTask, classify
from dpsynth.metrics.image.evaluation_networks import Dropout
from dpsynth.metrics.image.sample import ImageSample

SMALLEST = 8  # pixels of a side that two unpadded convolutions and the pooling leave something of


@dataclass(frozen=True)
class Published:
    """Learning rate, batch size and epochs that the project used."""

    rate: float
    batch: int
    epochs: int


GREY, COLOURED = Published(2e-3, 512, 600), Published(1e-4, 256, 250)


@dataclass(frozen=True)
class DatalensClassifier(TrainsNetwork):
    """Score "datalens_accuracy". epochs: at most so many passes over the evaluated images."""

    epochs: int = 10
    seed: int = 0
    needs_train: ClassVar[bool] = False
    costly: ClassVar[bool] = True
    baselines: ClassVar[bool] = False

    def measure(self, evaluated: Sample | ImageSample, reference: Reference) -> list[Score]:
        name = "datalens_accuracy"
        meaning = (
            "accuracy on real images of the DataLens classifier trained on synthetic ones, last epoch, tested once "
            "(1 all right); the published figures are the best epoch on the test set"
        )
        task = LearningTask.of(evaluated, reference)
        if not isinstance(task, str) and min(task.images.shape[2:]) < SMALLEST:
            task = f"the images are smaller than {SMALLEST} x {SMALLEST}"
        if isinstance(task, str):
            return [Score.absent(name, "higher", task, meaning, "images")]
        used = GREY if task.images.shape[1] == 1 else COLOURED
        epochs = min(self.epochs, used.epochs)
        model = self._train(task, used, epochs)
        facts = {"epochs": epochs, "published_epochs": used.epochs, "published": "best epoch on the test set"}
        return [task.score(name, meaning, classify(model, task.tested), facts)]

    def _train(self, task: LearningTask, used: Published, epochs: int) -> nn.Module:
        generator = torch.Generator().manual_seed(self.seed)
        model = _network(task.images.shape[1:], task.classes, generator)
        optimizer = torch.optim.SGD(model.parameters(), used.rate)
        inputs, targets = torch.from_numpy(task.images), torch.from_numpy(task.labels)
        with torch.enable_grad():
            for _ in range(epochs):
                for rows in torch.randperm(len(inputs), generator=generator).split(used.batch):
                    optimizer.zero_grad()
                    functional.cross_entropy(model(inputs[rows]), targets[rows]).backward()
                    optimizer.step()
        return model.eval()


def _network(shape: Sequence[int], classes: int, generator: torch.Generator) -> nn.Sequential:
    channels, height, width = shape
    left = [((side - 2) // 2 - 2) for side in (height, width)]
    model = nn.Sequential(
        skip_init(nn.Conv2d, channels, 32, 3),
        nn.ReLU(),
        nn.MaxPool2d(2),
        Dropout(0.2, generator),
        skip_init(nn.Conv2d, 32, 64, 3),
        nn.ReLU(),
        Dropout(0.25, generator),
        nn.Flatten(),
        skip_init(nn.Linear, 64 * int(np.prod(left)), 64),
        nn.ReLU(),
        skip_init(nn.Linear, 64, classes),
    )
    for layer in model:
        if isinstance(layer, nn.Conv2d | nn.Linear):
            weight, bias = layer.parameters()
            nn.init.xavier_uniform_(weight, generator=generator)
            nn.init.zeros_(bias)
    return model
