"""DP-SGD: noisy sums of clipped per-row gradients (Abadi et al. 2016, arXiv:1607.00133).

    S_t = sum over rows i of batch t of g_i min(1, C / ||g_i||)          private, never leaves; float64
    u_t = (S_t + N(0, (z s)^2 I)) / divisor                              released; s is the sensitivity of S_t
    any optimizer, averaging or schedule that sees only the u_t          post-processing

Guarantee. Every term of S_t has L2 norm at most C and depends on its row alone (`clipping.py`).
Add/remove (Poisson batches): one row more or less is one term more or less, and S_t moves by at most s = C.
Replace-one (Poisson, or fixed size without replacement): the changed row stands in the same batches, its term
u becomes v, |u - v| <= |u| + |v|, so S_t moves by at most s = 2 C. Either way one step is a Gaussian
mechanism of noise multiplier z on a random sample, and the run composes `steps` of them: the event that the
batches state. S_t is a sum of floats, so s is taken larger by the factor 1 + `SUM_SLACK`, which `clipping.py` derives
and prices. Number of steps, rate, divisor and z are public constants; an empty batch is a step like any
other, with noise alone.
"""

# pyright: reportMissingTypeStubs=false

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from dp_accounting import DpEvent
from torch import Tensor
from torch import distributed as dist

from dpsynth.errors import ConfigError
from dpsynth.privacy.budget import Neighbours
from dpsynth.privacy.clipping import SUM_SLACK
from dpsynth.privacy.gaussian import gaussian
from dpsynth.privacy.gradients import ClippedGradients
from dpsynth.privacy.processes import together
from dpsynth.privacy.random import PrivacyStream
from dpsynth.privacy.sampling import FixedSizeBatches, PoissonBatches


@dataclass(frozen=True)
class DPSGD:
    """The public recipe of a run.

    batches: which rows each step sees, and how many steps there are.
    clipping_norm: C, in units of the loss's gradient; infinity together with noise_multiplier 0 means no
    privacy.
    noise_multiplier: z, noise standard deviation in units of the sensitivity.
    divisor: public number of rows the sum is divided by, usually the expected batch size. Never the realised
    one.
    neighbours: the relation of the budget that pays for the run; batches of fixed size need replace_one.
    name: of the releases, in ledger and replay.
    """

    batches: PoissonBatches | FixedSizeBatches
    clipping_norm: float
    noise_multiplier: float
    divisor: float
    neighbours: Neighbours = "add_remove"
    name: str = "dp_sgd"

    def __post_init__(self) -> None:
        if not self.clipping_norm > 0:
            raise ConfigError(f"clipping norm {self.clipping_norm} must be positive")
        if not 0 < self.divisor < float("inf"):
            raise ConfigError(f"divisor {self.divisor} must be a positive number, such as the expected batch size")
        if isinstance(self.batches, FixedSizeBatches) and self.neighbours != "replace_one":
            raise ConfigError("batches of fixed size go with privacy.neighbours=replace_one only; use Poisson batches")

    @property
    def sensitivity(self) -> float:
        """L2 distance between the clipped sums of neighbours: C when a row is added, 2 C when replaced; with slack."""
        return self.clipping_norm * (2.0 if self.neighbours == "replace_one" else 1.0) * (1 + SUM_SLACK)

    def event(self) -> DpEvent:
        """What the whole run costs: all steps, subsampled as the batches are."""
        return self.batches.event(self.noise_multiplier)

    def step(self, t: int, engine: ClippedGradients, data: Sequence[Tensor], stream: PrivacyStream) -> None:
        """Make step t and write `u_t` into the parameters' `.grad`; the optimizer's step is the caller's."""
        engine.coordinates.set_gradients(self.gradient(t, engine, data, stream))

    def gradient(self, t: int, engine: ClippedGradients, data: Sequence[Tensor], stream: PrivacyStream) -> Tensor:
        """Make step t: draw the batch, clip and sum, release the noisy sum once. `u_t` over
        `engine.coordinates`.

        data: tensors (rows, ...) resident on the network's device, as the network takes them.
        Under `torch.distributed` every process holds all rows and must make the same calls: rank 0 draws
        batch and noise, the others take their share of the batch and receive the released sum.

        The fastest loop hands the optimizer one vector:

            weights = engine.coordinates.weights()
            optimizer = Adam([weights])
            for t in range(steps):
                weights.grad = recipe.gradient(t, engine, data, stream)
                optimizer.step()
                engine.coordinates.write(weights)
        """
        if engine.clipping_norm != self.clipping_norm:
            raise ConfigError(
                f"the engine's clip norm {engine.clipping_norm:g} is not the recipe's {self.clipping_norm:g}"
            )
        rows = self._rows(t, data[0], stream)
        exact = engine.clipped_vector(*(x.index_select(0, rows) for x in data))
        return engine.coordinates.native(self._release(t, exact, stream).div_(self.divisor))

    def _rows(self, t: int, like: Tensor, stream: PrivacyStream) -> Tensor:
        """The rows of batch t that this process handles: int64, on the device of `like`."""
        if not together():
            return torch.as_tensor(self.batches.indices(stream, t, len(like))).to(like.device)
        rank, world = dist.get_rank(), dist.get_world_size()
        size = torch.zeros(1, dtype=torch.int64, device=like.device)
        rows = size
        if rank == 0:
            rows = torch.as_tensor(self.batches.indices(stream, t, len(like))).to(like.device)
            size = size + len(rows)
        dist.broadcast(size, 0)
        if rank != 0:
            rows = torch.zeros(int(size), dtype=torch.int64, device=like.device)
        dist.broadcast(rows, 0)
        return rows[rank::world]

    def _release(self, t: int, exact: Tensor, stream: PrivacyStream) -> Tensor:
        """The noisy sum over all processes; noise is drawn once, by rank 0, after the sum is complete."""
        if together():
            dist.reduce(exact, 0)
            if dist.get_rank() != 0:
                dist.broadcast(exact, 0)  # overwritten with what rank 0 released
                return exact
        released = gaussian(
            stream,
            self.name,
            exact,
            sensitivity=self.sensitivity,
            noise_multiplier=self.noise_multiplier,
            step=t,
            inplace=True,
        )
        if together():
            dist.broadcast(released, 0)
        return released
