"""An exponential average of the weights along the path of training: post-processing, and so free of charge."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn


class ExponentialAverage:
    """average <- d average + (1 - d) weights after every step, with d = min(decay, (t + 1) / (t + 10)).

    The ramp keeps the first, untrained weights from staying in the average of a short run.
    """

    def __init__(self, module: nn.Module, decay: float) -> None:
        self.module, self.decay = module, decay
        self._average = [parameter.detach().clone() for parameter in module.parameters()]

    @torch.no_grad()
    def update(self, step: int) -> None:
        """Take in the weights after optimizer step `step`, counted from 0."""
        decay = min(self.decay, (step + 1) / (step + 10))
        for average, parameter in zip(self._average, self.module.parameters(), strict=True):
            average.lerp_(parameter, 1 - decay)

    @torch.no_grad()
    def apply(self) -> None:
        """Give the module the averaged weights; for the end of training."""
        for average, parameter in zip(self._average, self.module.parameters(), strict=True):
            parameter.copy_(average)

    def state_dict(self) -> dict[str, Any]:
        return {str(k): average for k, average in enumerate(self._average)}

    def load_state_dict(self, state_dict: dict[str, Tensor]) -> None:
        for k, average in enumerate(self._average):
            average.copy_(state_dict[str(k)])
