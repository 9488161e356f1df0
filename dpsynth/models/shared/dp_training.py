"""DP-SGD on a network: how it is planned, charged and carried out, the same for rows of tables and for images.

Guarantee: `privacy/dpsgd/dp_sgd.py` clips, adds the noise and derives the sensitivity for both neighbour relations;
nothing else here reads the rows, but for a loss that is shown in private logs. Steps, rate, learning rates, clipping
norm and noise are public: they follow from the recipe, the declared number of rows and the budget, never from the data.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any

import torch
from torch import Tensor, nn

from dpsynth.errors import ConfigError
from dpsynth.models.contract.option_groups import OptionGroup, above_zero, at_least
from dpsynth.models.contract.preparation import UNKNOWN_ROWS
from dpsynth.models.contract.synthesizer import FitRun
from dpsynth.privacy.accounting.accounting import Charge
from dpsynth.privacy.accounting.budget import Budget
from dpsynth.privacy.accounting.calibration import calibrate
from dpsynth.privacy.dpsgd.dp_sgd import DPSGD
from dpsynth.privacy.dpsgd.gradients import Mode, clipped_gradients
from dpsynth.privacy.dpsgd.sampling import FixedSizeBatches, PoissonBatches
from dpsynth.privacy.ledger import Ledger
from dpsynth.training import Public, resolve_device, train
from dpsynth.training.loop import ExponentialAverage
from dpsynth.training.progress import Figure

WARM_UP = 20  # steps until the learning rate is reached


@dataclass(frozen=True)
class DPTrainingOptions(OptionGroup):
    """DP-SGD with Adam.

    Attributes:
        steps: Public, never fewer, never more; None, where a recipe allows it, is the recipe's own number.
        batch_size: Expected rows a step; the rate is this over the declared number of rows. None, where a recipe allows
            it, follows from that number.
        learning_rate: Of Adam.
        decay: Last part of the steps, over which the learning rate falls to zero.
        clipping_norm: Of a row's gradient.
        averaging: Decay of the average of the weights along the path; 0 takes the last weights.
        gradients: Engine for clipped sums: same numbers, other speed.
        microbatch_size: Rows handled at a time; bounds memory, never changes the result.
    """

    steps: int | None = None
    batch_size: int | None = 512
    learning_rate: float = 3e-3
    decay: float = 1.0
    clipping_norm: float = 1.0
    averaging: float = 0.0
    gradients: Mode = "fused"
    microbatch_size: int | None = None

    def __post_init__(self) -> None:
        at_least(self, 1, "steps", "batch_size", "microbatch_size")
        at_least(self, 0, "decay", "averaging")
        above_zero(self, "learning_rate", "clipping_norm")


@dataclass(frozen=True)
class DPTraining:
    """The public recipe of a descent: the options of `DPTrainingOptions`, with their meaning.

    name: of the charge and of the releases. shown: rows whose loss is shown while training.
    """

    name: str
    shown: int
    steps: int
    batch_size: int
    learning_rate: float
    decay: float
    clipping_norm: float
    averaging: float
    gradients: Mode
    microbatch_size: int | None

    @classmethod
    def of(cls, recipe: Any, name: str, shown: int) -> DPTraining:
        """The descent that the fields of a recipe describe, which have the same names."""
        own = {field.name: getattr(recipe, field.name) for field in fields(cls) if field.name not in ("name", "shown")}
        return cls(name, shown, **own)

    def planned(self, rows: int | None, budget: Budget, before: Sequence[Charge]) -> DPSGD:
        """The steps, with the noise at which they take all that `before` leaves of the budget.

        rows: the declared number. Raises `BudgetError` where nothing is left.
        """
        batches = self.batches(rows, budget)
        clipping_norm = self.clipping_norm if budget.private else math.inf

        def steps(noise: float) -> DPSGD:
            return DPSGD.sampled(self.name, budget.neighbours, batches, noise, clipping_norm)

        return steps(calibrate(lambda z: (*before, steps(z)), budget))

    def batches(self, rows: int | None, budget: Budget) -> PoissonBatches | FixedSizeBatches:
        """Public: rate from the declared number of rows; a fixed batch size where the number itself is public."""
        if budget.neighbours == "replace_one":
            if rows is None:
                raise ConfigError("neighbours=replace_one makes the number of rows public: declare `rows: N`")
            return FixedSizeBatches(rows, min(self.batch_size, rows), self.steps)
        return PoissonBatches(min(1.0, self.batch_size / (rows or UNKNOWN_ROWS)), self.steps)

    def train(
        self, network: nn.Module, data: Sequence[Tensor], rows: int, sgd: DPSGD, ledger: Ledger, run: FitRun
    ) -> None:
        """Train `network` in place, on the device of the run.

        data: the private rows, as the network takes them; it answers with their losses (n,). rows: public number.
        sgd: what `planned` returned.
        """
        assert sgd.sampling is not None, "planned with batches"
        expected = sgd.sampling.expected(rows)
        device = resolve_device(run.settings.device)
        network.to(device)
        data = tuple(each.to(device) for each in data)
        engine = clipped_gradients(self.gradients, network, sgd.clipping_norm, self.microbatch_size)
        average = ExponentialAverage(network, self.averaging) if self.averaging else None
        noise = sgd.deviation * math.sqrt(engine.coordinates.size)
        shown: dict[str, Tensor] = {}

        def step(t: int) -> dict[str, Figure]:
            sgd.step(t, engine, data, ledger, expected)
            if t % run.settings.log_every == 0:  # not private: for the private log only
                with torch.no_grad():
                    shown["loss"] = network(*(x[: self.shown] for x in data)).mean()
            return {
                **shown,
                "gradient_norm": engine.norms.median() if len(engine.norms) else 0.0,
                "noise_to_signal": Public(noise / (expected * sgd.clipping_norm) if noise else 0.0),
            }

        train(
            network,
            step,
            torch.optim.Adam(network.parameters(), lr=self.learning_rate),
            lambda t: min(1.0, (t + 1) / WARM_UP, (self.steps - t) / max(1.0, self.decay * self.steps)),
            self.steps,
            average,
            settings=run.settings,
            more={"ledger": ledger},
            checkpoint=run.checkpoint,
            progress=run.progress,
            title="DP-SGD",
        )
        if average is not None:
            average.apply()
