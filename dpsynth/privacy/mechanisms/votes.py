"""Votes of teachers on disjoint shards: compressed, summed, released with Gaussian noise, aggregated.

    v_i   = compress(gradient of teacher i at B public queries)     (B, d) numbers, private
    S     = sum_i v_i                                               private, never leaves
    S~    = S + N(0, (z s)^2 I)                                     ONE release a step; s is the sensitivity of S
    u     = aggregate(S~)                                           post-processing, as everything after it

Guarantee. Each step is a Gaussian mechanism with noise multiplier z (`gaussian.py`), a run composes `steps` of them:
exact Gaussian DP with mu = sqrt(steps) / z. Steps, queries, compression and z are public constants.

Sensitivity. A record belongs to one teacher for the whole run (`shards.py`), and teachers share nothing that depends on
data, so neighbours differ in the whole history of exactly ONE teacher, whose vote v becomes v'. With |v|_2 <= b
whatever the teacher saw, S moves by |v - v'| <= 2 b. This holds under replace_one, and under add_remove too: a teacher
that gains or loses a record may vote differently everywhere, so adding is no cheaper than replacing. The bounds b, for
the vote on all B queries together:

    topk_sign        k entries of +-1 a query, 0 elsewhere                          b = sqrt(k B)
    topk_stochastic  the same, with random signs                                    b = sqrt(k B)
    klevel           d entries a query on the levels -K/2, ..., K/2                 b = (K/2) sqrt(d B)
    clip, project    scaled to L2 norm at most C over all queries                   b = C

`project` maps the gradients by a PUBLIC matrix first, by default low-frequency cosines; a map that does not depend on
data leaves the bound as it is, and the released sum is mapped back by the transpose.

One release of the (B, d) sum costs what B releases of one query each do at the same noise per number: B queries of
sensitivity 2 sqrt(k) and standard deviation sigma compose to mu = sqrt(B) 2 sqrt(k) / sigma, which is 1 / z for
s = 2 sqrt(k B) and sigma = z s. The source (DataLens: Wang et al. 2021, arXiv:2103.11109) releases them one by one.

Not offered, because the bound is false or the price too low: see `REFUSED`. Bounds that depend on the data, such as
those of Papernot et al. 2018 (arXiv:1802.08908), are private themselves and never a guarantee here.
"""

# pyright: reportMissingTypeStubs=false, reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal, get_args

import torch
from torch import Tensor

from dpsynth.errors import ConfigError
from dpsynth.privacy.ledger import Ledger
from dpsynth.privacy.mechanisms.shards import Sharding
from dpsynth.privacy.noise.gaussian import GaussianMechanism

Compress = Literal["topk_sign", "topk_stochastic", "klevel", "clip", "project"]
Aggregate = Literal["threshold", "linear", "clip"]
REFUSED = {
    "sketchsgd": "the top k of a summed sketch can change in more than 2 k places when one teacher changes, so the "
    "bound 2 sqrt(k) does not hold; use topk_stochastic",
    "pca": "the published price of its private PCA is half of what is due, and its votes are priced by the data; "
    "use project, whose map is public",
    "signsgd_dept": "its epsilon depends on the data and is released without protection; use topk_sign",
}


@dataclass(frozen=True, kw_only=True)
class Votes(GaussianMechanism):
    """The votes of a run, one release a step.

    Attributes:
        teachers: Number of shards.
        queries: B, public points voted on in a step.
        width: d, numbers a query.
        compress, aggregate: How a vote is bounded, and what is made of the noisy sum.
        k: Entries of a top-k vote.
        levels: K of klevel, even.
        bound: C of clip and project; for topk_stochastic and klevel the largest magnitude told apart, infinity for the
            teacher's own largest.
        threshold: Part of the teachers, for the aggregates threshold and clip.
    """

    teachers: int
    queries: int
    width: int
    compress: Compress = "topk_sign"
    aggregate: Aggregate = "threshold"
    k: int = 200
    levels: int = 4
    bound: float = 1.0
    threshold: float = 0.5

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.compress in REFUSED:
            raise ConfigError(f"model.votes.compress={self.compress}: refused, {REFUSED[self.compress]}")
        for field, value, kinds in (
            ("compress", self.compress, get_args(Compress)),
            ("aggregate", self.aggregate, get_args(Aggregate)),
        ):
            if value not in kinds:
                raise ConfigError(f"model.votes.{field}={value}: choose one of {', '.join(kinds)}")
        for field in ("teachers", "queries", "width", "k"):
            if getattr(self, field) < 1:
                raise ConfigError(f"votes: {field}={getattr(self, field)} must be at least 1")
        if self.levels < 2 or self.levels % 2:
            raise ConfigError(f"model.votes.levels={self.levels}: must be even and at least 2")
        if not self.bound > 0:
            raise ConfigError(f"model.votes.bound={self.bound}: must be above 0")
        if not 0 <= self.threshold <= 1:
            raise ConfigError(f"model.votes.threshold={self.threshold}: must lie between 0 and 1")

    @property
    def sharding(self) -> Sharding:
        """Who belongs to which teacher: the rule that the sensitivity rests on."""
        return Sharding(self.teachers, self.neighbours)

    @property
    def largest(self) -> float:
        """b: the largest L2 norm of one teacher's vote on all queries."""
        if self.compress in ("topk_sign", "topk_stochastic"):
            return math.sqrt(min(self.k, self.width) * self.queries)
        if self.compress == "klevel":
            return self.levels / 2 * math.sqrt(self.width * self.queries)
        return self.bound

    @property
    def sensitivity(self) -> float:
        """L2 distance of the sums of neighbours, under either relation: 2 b."""
        return 2.0 * self.largest

    @property
    def unit(self) -> float:
        """Norm of one query's part of the aggregate when all teachers agree; public, to make directions comparable."""
        if self.aggregate == "threshold":
            return math.sqrt(min(self.k, self.width) if self.compress.startswith("topk") else self.width)
        return self.teachers * self.largest / math.sqrt(self.queries)

    def vote(self, gradients: Tensor, generator: torch.Generator | None = None) -> Tensor:
        """(n, B, d) float votes of n teachers from their gradients of the same shape.

        Not finite counts as zero. generator: of topk_stochastic and klevel; one uniform number for every entry, so that
        no teacher's numbers depend on another's data.
        """
        gradients = torch.nan_to_num(gradients, nan=0.0, posinf=0.0, neginf=0.0)
        if self.compress in ("clip", "project"):
            return _clipped(gradients, self.bound)
        if self.compress == "klevel":
            return _levels(gradients, self.levels, self.bound, generator)
        return _topk(gradients, self.k, self.bound, self.compress == "topk_stochastic", generator)

    def measure(self, t: int, total: Tensor, ledger: Ledger) -> Tensor:
        """The noisy sum of step t; total: (B, d) float64, overwritten.

        Under torch.distributed `total` is the sum over the teachers of this process.
        """
        return ledger.release(self, total, t, partial=True)

    def aggregated(self, noisy: Tensor) -> Tensor:
        """The direction the student receives: signs beyond the threshold, the sum itself, or the sum cut at it."""
        limit = self.threshold * self.teachers * (self.levels / 2 if self.compress == "klevel" else 1.0)
        if self.aggregate == "threshold":
            return noisy.sign() * (noisy.abs() > limit)
        return noisy.clamp(-limit, limit) if self.aggregate == "clip" else noisy


def cosine_basis(height: int, width: int, channels: int, frequencies: int) -> Tensor:
    """Low-frequency two-dimensional cosines (DCT-II) as orthonormal rows, float32 (channels f^2, channels h w).

    frequencies: f along each axis, at most height and width. The map is public: it depends on the shape alone.
    """
    if not 1 <= frequencies <= min(height, width):
        raise ConfigError(f"model.votes.frequencies={frequencies}: must lie between 1 and {min(height, width)}")

    def waves(size: int) -> Tensor:
        place = torch.arange(size, dtype=torch.float64) + 0.5
        rows = torch.cos(math.pi / size * torch.arange(frequencies, dtype=torch.float64)[:, None] * place)
        rows *= math.sqrt(2.0 / size)
        rows[0] /= math.sqrt(2.0)
        return rows

    plane = torch.kron(waves(height).contiguous(), waves(width).contiguous())
    return torch.block_diag(*[plane] * channels).float()


def rdp_2017(steps: int, queries: int, k: int, sigma: float, delta: float) -> float:
    """The epsilon that DataLens reports: Renyi DP at orders 1.1, 2, ..., 199 and the conversion of Mironov 2017.

    steps x queries releases at 2 k a / sigma^2 each; eps = min_a RDP(a) + log(1/delta) / (a - 1). A figure for
    comparison with published ones, never the guarantee, which is smaller.
    """
    orders = [1.1, *range(2, 200)]
    return min(steps * queries * 2 * k * a / sigma**2 + math.log(1 / delta) / (a - 1) for a in orders)


def _clipped(gradients: Tensor, bound: float) -> Tensor:
    if math.isinf(bound):
        return gradients
    wide = gradients.flatten(1).double()
    norms = wide.norm(dim=1)
    # Products are made in float64, where the scale of a huge gradient is no subnormal number. Their rounding to float32
    # may add 2^-24; a scale that much smaller keeps the bound exactly.
    scale = (bound / norms.clamp_min(1e-30)).clamp_max(1.0) * (1.0 - 2.0**-22)
    return wide.mul_(scale[:, None]).to(gradients.dtype).view_as(gradients)


def _topk(g: Tensor, k: int, bound: float, stochastic: bool, generator: torch.Generator | None) -> Tensor:
    """+-1 on the k largest magnitudes of each query, 0 elsewhere; a gradient of zero votes nothing."""
    k = min(k, g.shape[2])
    size, index = g.abs().topk(k, dim=2)
    kept = g.gather(2, index)
    signs = kept.sign()
    if stochastic:
        scale = size[..., :1].clamp_max(bound).clamp_min(1e-30)
        coins = torch.rand(kept.shape, generator=generator, dtype=torch.float32)
        signs = torch.where(coins < 0.5 + kept / (2 * scale), 1.0, -1.0) * (size > 0)
    return torch.zeros_like(g).scatter_(2, index, signs.to(g.dtype))


def _levels(g: Tensor, levels: int, bound: float, generator: torch.Generator | None) -> Tensor:
    """Unbiased rounding to whole numbers in [-K/2, K/2], where K/2 stands for the largest magnitude of the query."""
    scale = g.abs().amax(dim=2, keepdim=True).clamp_max(bound).clamp_min(1e-30)
    half = levels / 2
    place = (g / scale).clamp(-1.0, 1.0) * half
    below = place.floor()
    coins = torch.rand(g.shape, generator=generator, dtype=torch.float32)
    return (below + (coins < place - below).to(g.dtype)).clamp(-half, half)
