"""The classifiers by which DPImageBench evaluates images: three large networks, each at the epoch of best validation.

The protocol for grey and other small images of DPImageBench (Gong et al. 2025, arXiv 2503.14681) without a sensitive
validation set. Every twelfth synthetic image is kept for validation (5,000 of 60,000 there); ResNet, WideResNet and
ResNeXt learn from the others for 50 epochs with Adam: learning rate .01, a fifth of it after every 20 epochs, batches
of 256, pixels in [-1, 1]. Weights are averaged with decay .9999, faster at the start. After every epoch the averaged
weights classify the kept synthetic images; those of the best epoch, the later one of equals, classify the real ones,
once. The score is the mean of the three accuracies, which are its parts.

That takes GPU hours, so the number of epochs and the networks can be limited, which the score's detail states; the
learning rate then falls after the same fractions of the training. Figures from few epochs lie below the full ones.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from dpsynth.metrics.framework.metric import Reference, Score, TrainsNetwork
from dpsynth.metrics.framework.sample import Sample
from dpsynth.metrics.image.classifiers import LearningTask
from dpsynth.metrics.image.evaluation_networks import resnet, resnext, wide_resnet
from dpsynth.metrics.image.sample import ImageSample

NETWORKS: dict[str, Callable[..., nn.Module]] = {"resnet": resnet, "wrn": wide_resnet, "resnext": resnext}
EPOCHS = 50  # of the published protocol
KEPT = 12  # one in so many synthetic images is kept for validation
BATCH = 256
LEARNING_RATE, DROP, DROP_AFTER = 0.01, 0.2, 0.4  # the rate, what it is multiplied by, after which part of the epochs
DECAY = 0.9999  # of the average of the weights
AT_ONCE = 500  # images that are classified together


@dataclass(frozen=True)
class DPImageBenchClassifiers(TrainsNetwork):
    """Score "dpimagebench_accuracy".

    epochs: at most so many passes over the evaluated images. networks: names of `NETWORKS`.
    """

    epochs: int = EPOCHS
    networks: tuple[str, ...] = tuple(NETWORKS)
    seed: int = 0
    needs_train: ClassVar[bool] = False
    costly: ClassVar[bool] = True
    baselines: ClassVar[bool] = False

    def measure(self, evaluated: Sample | ImageSample, reference: Reference) -> list[Score]:
        name = "dpimagebench_accuracy"
        meaning = (
            "mean accuracy on real images of DPImageBench's classifiers, each at its best epoch on kept synthetic "
            "images (1 all right)"
        )
        task = LearningTask.of(evaluated, reference)
        if not isinstance(task, str) and len(task.images) < KEPT:
            task = f"fewer than {KEPT} synthetic images, of which one is kept for validation"
        if isinstance(task, str):
            return [Score.absent(name, "higher", task, meaning, "images")]
        named = {network: self.classified(network, task) for network in self.networks}
        accuracies = {network: float((each == task.truth).mean()) for network, each in named.items()}
        facts = {"epochs": min(self.epochs, EPOCHS), "published_epochs": EPOCHS}
        score = task.score(name, meaning, task.truth, facts)
        return [replace(score, value=float(np.mean(list(accuracies.values()))), parts=accuracies)]

    def classified(self, network: str, task: LearningTask) -> np.ndarray:
        """Classes of the tested images, int64 (n,), named by one network."""
        generator = torch.Generator().manual_seed(self.seed)
        model = NETWORKS[network](task.images.shape[1:], task.classes, generator)
        order = torch.randperm(len(task.images), generator=generator)
        kept, learnt = order[: len(order) // KEPT], order[len(order) // KEPT :]
        images, labels = torch.from_numpy(task.images), torch.from_numpy(task.labels)
        averaged, best = copy.deepcopy(model), -1.0
        chosen = averaged
        epochs, steps = min(self.epochs, EPOCHS), 0
        optimizer = torch.optim.Adam(model.parameters(), LEARNING_RATE)
        for epoch in range(epochs):
            optimizer.param_groups[0]["lr"] = LEARNING_RATE * DROP ** int(epoch / epochs / DROP_AFTER + 1e-9)
            model.train()
            for rows in learnt[torch.randperm(len(learnt), generator=generator)].split(BATCH):
                if len(rows) < 2:
                    continue  # batch normalisation needs two images
                with torch.enable_grad():
                    optimizer.zero_grad()
                    functional.cross_entropy(model(images[rows] * 2 - 1), labels[rows]).backward()
                    optimizer.step()
                steps += 1
                _average(averaged, model, min(DECAY, (1 + steps) / (10 + steps)))
            right = float((_named(averaged, images[kept]) == labels[kept]).double().mean()) if len(kept) else 0.0
            if right >= best:
                best, chosen = right, copy.deepcopy(averaged)
        return _named(chosen, torch.from_numpy(task.tested)).numpy()


@torch.no_grad()
def _average(averaged: nn.Module, model: nn.Module, decay: float) -> None:
    """Move the averaged weights towards those of `model`; the statistics of normalisation are its own."""
    for mean, weight in zip(averaged.parameters(), model.parameters(), strict=True):
        mean.lerp_(weight, 1 - decay)
    for mine, statistic in zip(averaged.buffers(), model.buffers(), strict=True):
        mine.copy_(statistic)


@torch.no_grad()
def _named(model: nn.Module, images: Tensor) -> Tensor:
    """The likeliest class of every image, int64 (n,)."""
    model.eval()
    return torch.cat([model(part * 2 - 1).argmax(dim=1) for part in images.split(AT_ONCE)])
