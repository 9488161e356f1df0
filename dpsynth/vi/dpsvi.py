"""DPSVI: stochastic variational inference with differential privacy for the user's own probabilistic model.

    def log_likelihood(p, x, y):                     # one row: x (4,), y ()
        logit = x @ p["slope"] + p["level"]
        return y * logit - torch.nn.functional.softplus(logit)

    def log_prior(p):
        return -0.5 * (p["slope"].square().sum() + p["level"].square()) / 4

    vi = DPSVI(log_likelihood, log_prior, shapes={"slope": (4,), "level": ()})
    posterior = vi.fit((x, y), vi.plan(rows=10_000, budget=Budget(1, 1e-6)))
    posterior.mean["slope"], posterior.sample(100)["slope"]

Each step draws phi from the guide and takes the noised sum of clipped per-row gradients of log p(row | phi), once; both
variational gradients follow from it (`guide.py`).  Prior and entropy know no data, so they are neither clipped nor
noised.  The sum is divided by the public sampling rate, which makes it an estimate for all rows without a number of
rows.  After Jaelkoe, Dikmen and Honkela 2017 (arXiv:1610.08749) and Jaelkoe et al. 2022 (arXiv:2210.15961).

Guarantee: that of DP-SGD (`privacy/dpsgd/dp_sgd.py`), dim(phi) coordinates.  Neighbours: add_remove with Poisson
batches and
sensitivity C, or replace_one with batches of fixed size and sensitivity 2 C.  Steps, rate and noise are public; nothing
else of the fit looks at a row.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Any, Literal

import torch
from torch import Tensor

from dpsynth.errors import ConfigError
from dpsynth.privacy.accounting.budget import Budget
from dpsynth.privacy.accounting.calibration import calibrate
from dpsynth.privacy.dpsgd.dp_sgd import DPSGD
from dpsynth.privacy.dpsgd.gradients import clipped_gradients
from dpsynth.privacy.dpsgd.sampling import FixedSizeBatches, PoissonBatches
from dpsynth.privacy.ledger import Ledger, Plan
from dpsynth.privacy.noise.random import RandomGenerators
from dpsynth.training import Checkpoint, Listener, TrainerSettings, train
from dpsynth.vi.guide import FullRank, MeanField, Trace
from dpsynth.vi.posterior import Posterior, RowLikelihood, Shapes, floating, unpack

SGD = "variational inference"
MOST_FULL = 2000  # numbers of a guide of full rank
_OPTIMIZERS: dict[str, Callable[[Any, float], torch.optim.Optimizer]] = {
    "adam": lambda parameters, rate: torch.optim.Adam(parameters, lr=rate),
    "sgd": lambda parameters, rate: torch.optim.SGD(parameters, lr=rate, momentum=0.9),
    "rmsprop": lambda parameters, rate: torch.optim.RMSprop(parameters, lr=rate),
}


@dataclass(frozen=True, kw_only=True)
class DPSVIPlan(Plan):
    """sgd: the steps. rows: the public number of rows that they were planned for."""

    sgd: DPSGD
    rows: int

    @property
    def rate(self) -> float:
        """The sampling rate of a step."""
        assert self.sgd.sampling is not None, "planned with batches"
        return self.sgd.sampling.rate

    @property
    def settings(self) -> Mapping[str, Any]:
        return {"rows": self.rows, "rate": self.rate, "steps": self.sgd.releases}


@dataclass(frozen=True)
class DPSVI:
    """The recipe; every field is public.

    log_likelihood: (unknowns by name, *row) -> log p(row | unknowns), a scalar in torch operations. log_prior: unknowns
    -> log p(unknowns); None when log_likelihood is each row's fraction of the log joint, whose sum over the rows holds
    the prior once; the prior is then clipped and noised with the rest, so give it by itself if you can.
    shapes: of the unknowns, all real; map bounded ones to the whole line yourself (softplus, softmax).
    start: values to begin with, by name, by default 0. jitter: standard deviation of a random start around them, which
    components that are alike need to part. scale: the guide's first standard deviation.
    guide: mean_field, independent normals; or full_rank, normals that depend on each other, for at most 2,000 numbers.
    Both follow from the same noisy gradients, so the choice costs no budget; where there is much noise, mean_field has
    fewer numbers to learn from it.
    steps, batch_size (expected), learning_rate: of the descent. optimizer: adam, sgd with a momentum of .9, or rmsprop;
    post-processing, as gradients are noisy before it sees them. decay: last part of the steps over which the learning
    rate falls to a tenth. tail: last part of the steps that the result averages.
    clipping_norm: C, of one row's gradient; it does not depend on the number of rows. gradients: functorch, or loop for
    functions that torch.vmap cannot run. microbatch_size: rows at a time; memory only.
    """

    log_likelihood: Callable[..., Tensor]
    log_prior: Callable[[dict[str, Tensor]], Tensor] | None
    shapes: Shapes
    start: Mapping[str, Tensor | float] = field(default_factory=dict)
    jitter: float = 0.0
    scale: float = 0.1
    guide: Literal["mean_field", "full_rank"] = "mean_field"
    steps: int = 1000
    batch_size: int = 500
    learning_rate: float = 0.02
    optimizer: Literal["adam", "sgd", "rmsprop"] = "adam"
    decay: float = 0.5
    tail: float = 0.3
    clipping_norm: float = 1.0
    gradients: Literal["functorch", "loop"] = "functorch"
    microbatch_size: int | None = None

    def __post_init__(self) -> None:
        if not self.shapes:
            raise ConfigError("shapes: name at least one unknown and its shape, such as {'slope': (4,)}")
        if unknown := [name for name in self.start if name not in self.shapes]:
            raise ConfigError(
                f"start: no unknown is called {', '.join(unknown)}; shapes names {', '.join(self.shapes)}"
            )
        for name in ("steps", "batch_size"):
            if getattr(self, name) < 1:
                raise ConfigError(f"{name}={getattr(self, name)}: must be at least 1")
        for name in ("learning_rate", "clipping_norm", "scale"):
            if not getattr(self, name) > 0:
                raise ConfigError(f"{name}={getattr(self, name)}: must be above 0")
        for name in ("decay", "tail"):
            if not 0 < getattr(self, name) <= 1:
                raise ConfigError(f"{name}={getattr(self, name)}: must lie in (0, 1]")
        for name, known in (
            ("gradients", ("functorch", "loop")),
            ("guide", ("mean_field", "full_rank")),
            ("optimizer", tuple(_OPTIMIZERS)),
        ):
            if getattr(self, name) not in known:
                raise ConfigError(f"{name}='{getattr(self, name)}': choose {' or '.join(known)}")
        if self.guide == "full_rank" and self._size > MOST_FULL:
            raise ConfigError(
                f"guide='full_rank': of {self._size:,} numbers it would have {self._size**2:,} of its own, from which "
                f"noise cannot be told; choose mean_field above {MOST_FULL:,}"
            )

    def plan(self, rows: int, budget: Budget) -> DPSVIPlan:
        """All that a fit will release and what it costs; needs no data.

        rows: a public rough number of rows, which sets the sampling rate; under replace_one the exact, public one.
        """
        noise = calibrate(lambda z: [self._sgd(rows, budget, z)], budget)
        sgd = self._sgd(rows, budget, noise)
        size = self._size
        full = 8 * 6 * size**2 if self.guide == "full_rank" else 0  # the triangle, its gradient, moments and sum
        memory = full + 8 * size * (min(self.microbatch_size or self.batch_size, 2 * self.batch_size) + 400)
        return DPSVIPlan(budget=budget, charges=(sgd,), memory_bytes=memory, sgd=sgd, rows=rows)

    def fit(
        self,
        data: Tensor | Sequence[Tensor],
        plan: DPSVIPlan,
        randomness: RandomGenerators | None = None,
        *,
        progress: Listener | None = None,
        checkpoint: Checkpoint | None = None,
        settings: TrainerSettings | None = None,
    ) -> Posterior:
        """The posterior given `data`, private tensors (rows, ...) of one first length, as log_likelihood takes them.

        randomness: random generators, by default seed 0 with secure privacy noise. checkpoint: keeps the state of a
        long fit and goes on from it.
        """
        rows = floating([data] if isinstance(data, Tensor) else list(data), torch.float64)
        randomness, settings = randomness or RandomGenerators(), settings or TrainerSettings()
        if checkpoint is not None:
            randomness = checkpoint.begin(randomness, {**self._numbers, **plan.to_dict()}, _hash(rows))
        ledger, sgd = Ledger(plan, randomness), plan.sgd
        clip, rate = sgd.clipping_norm, plan.rate

        kind = FullRank if self.guide == "full_rank" else MeanField
        guide = kind(self._first(randomness.model("start")), self.scale)
        likelihood = RowLikelihood(self.log_likelihood, self.shapes, guide.mean)
        engine = clipped_gradients(self.gradients, likelihood, clip, self.microbatch_size)
        draws, trace = randomness.model("guide draws"), Trace(guide, self.steps, self.tail)

        def step(t: int) -> dict[str, float | Tensor]:
            phi, standard = guide.draw(draws)
            engine.coordinates.write(phi)
            h = -sgd.gradient(t, engine, rows, ledger, rate) + self._prior_gradient(phi)
            guide.align(h, standard)
            return {
                "gradient_norm": engine.norms.median() if len(engine.norms) else 0.0,
                "spread": guide.log_scale.detach().mean(),
            }

        train(
            guide,
            step,
            _OPTIMIZERS[self.optimizer](guide.parameters(), self.learning_rate),
            lambda t: max(0.1, min(1.0, (self.steps - t) / (self.decay * self.steps))),
            self.steps,
            trace,
            settings=settings,
            generators={"guide draws": draws},
            more={"ledger": ledger},
            checkpoint=checkpoint,
            progress=progress,
            title=SGD,
        )
        return Posterior(dict(self.shapes), trace.means, trace.last, ledger.statement(), trace.lower)

    @property
    def _size(self) -> int:
        return sum(map(math.prod, self.shapes.values()))

    @property
    def _numbers(self) -> dict[str, Any]:
        """What tells this recipe from another, but for its functions, which have no lasting name."""
        known = {each.name: getattr(self, each.name) for each in fields(self)}
        return {name: repr(value) for name, value in known.items() if not callable(value)}

    def _sgd(self, rows: int, budget: Budget, noise: float) -> DPSGD:
        clip = self.clipping_norm if budget.private else math.inf
        return DPSGD.sampled(SGD, budget.neighbours, self._batches(rows, budget), noise, clip)

    def _batches(self, rows: int, budget: Budget) -> PoissonBatches | FixedSizeBatches:
        """Poisson batches for add_remove, batches of fixed size for replace_one: the pairs that have a proof."""
        if budget.neighbours == "replace_one":
            return FixedSizeBatches(rows, min(self.batch_size, rows), self.steps)
        return PoissonBatches(min(1.0, self.batch_size / rows), self.steps)

    def _first(self, generator: torch.Generator) -> Tensor:
        """Where the means begin, (size,)."""
        parts = [
            torch.as_tensor(self.start.get(name, 0.0), dtype=torch.float64).expand(shape).reshape(-1)
            for name, shape in self.shapes.items()
        ]
        first = torch.cat(parts)
        return first + self.jitter * torch.randn(first.shape, generator=generator, dtype=torch.float64)

    def _prior_gradient(self, phi: Tensor) -> Tensor:
        """Gradient of the log prior, (size,): free of data."""
        if self.log_prior is None:
            return torch.zeros_like(phi)
        log_prior = self.log_prior

        def prior(vector: Tensor) -> Tensor:
            return log_prior(unpack(vector, self.shapes)).reshape(())

        gradient: Any = torch.func.grad(prior)(phi)
        return gradient


def _hash(data: Sequence[Tensor]) -> str:
    digest = hashlib.sha256()
    for x in data:
        digest.update(repr(tuple(x.shape)).encode() + x.contiguous().cpu().numpy().tobytes())
    return digest.hexdigest()
