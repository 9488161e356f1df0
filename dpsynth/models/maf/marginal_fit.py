"""Bringing a fitted flow to agree with noisy marginals: post-processing, no privacy cost of its own.

DP-SGD learns what many columns say together but drifts in the plain counts, because the noise in the weights adds up
along the chain of conditionals. Noisy one- and two-way counts are the opposite: sharp where the cells are few, blind
to everything else. So a fraction of the budget is spent on counts, and the flow, after DP-SGD, minimises

    KL(flow after DP-SGD || flow)  +  1/n sum over cells (n p_cell - y_cell)^2 / (2 sigma^2)

the first term per row of the flow's own samples, the second the Gaussian log likelihood of the counts, so that each
source weighs what it knows: with few rows or much noise the counts hardly move the flow. p_cell is the mean over
samples x of 1[x_i = a] p(x_j = b | x before j), which has a gradient and little variance. The idea of fitting a network
to noisy marginals is that of GEM (Liu, Vietri, Wu 2021, arXiv:2106.07153) and of prior work on graphical models; the
pull towards the DP-SGD solution is ours.
"""

from __future__ import annotations

import copy
import itertools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from dpsynth.data.table.codec import Codec
from dpsynth.networks.flow import TabularFlow
from dpsynth.training import Public

MOST_CELLS = 1_000_000  # of all two-way marginals together
MOST_CODES = 64  # a column with more coarse codes than this stands in no pair


@dataclass(frozen=True)
class Coarsening:
    """Public: which codes are counted as one in two-way marginals, and which pairs are counted.

    maps[j]: (sizes[j],) coarse code of each code. sizes: coarse codes per column.
    """

    maps: tuple[np.ndarray, ...]
    pairs: tuple[tuple[int, int], ...]

    @classmethod
    def of(cls, codec: Codec, groups: int, label: int | None) -> Coarsening:
        """Neighbouring value bins of a numeric column in at most `groups` groups; categories, point masses, missing as
        they are.

        Pairs with the label come first, then columns that stand near each other, as many as the cells allow.
        """
        maps = tuple(_groups(column.size, column.value_bins, groups, column.on_axis) for column in codec.columns)
        sizes = [int(m.max()) + 1 for m in maps]
        fit = [j for j, size in enumerate(sizes) if size <= MOST_CODES]
        ranked = sorted(itertools.combinations(fit, 2), key=lambda p: (label not in p, p[1] - p[0]))
        cells = np.cumsum([sizes[i] * sizes[j] for i, j in ranked])
        return cls(maps, tuple(ranked[: int(np.searchsorted(cells, MOST_CELLS, side="right"))]))

    @property
    def sizes(self) -> tuple[int, ...]:
        return tuple(int(m.max()) + 1 for m in self.maps)

    def __call__(self, codes: np.ndarray) -> np.ndarray:
        """Coarse codes (rows, D) of codes (rows, D)."""
        return np.stack([m[codes[:, j]] for j, m in enumerate(self.maps)], axis=1)


class MarginalFit:
    """The loss above for one flow, with its own supply of samples.

    ones: (sizes[j],) noisy counts of every column, or none. twos: noisy counts of `coarsening.pairs`, or none.
    sigma_one, sigma_two: their noise. samples: rows per step. refresh: steps between new samples of the flow.
    """

    def __init__(
        self,
        flow: TabularFlow,
        coarsening: Coarsening,
        ones: Sequence[np.ndarray],
        sigma_one: float,
        twos: Sequence[np.ndarray],
        sigma_two: float,
        generator: torch.Generator,
        samples: int = 2048,
        refresh: int = 10,
    ) -> None:
        self.flow, self.reference = flow, copy.deepcopy(flow).requires_grad_(False)
        self.rows = total_rows([*ones, *twos], [sigma_one] * len(ones) + [sigma_two] * len(twos))
        self.generator, self.samples, self.refresh = generator, samples, refresh
        device = flow.device
        self._ones = [_tensor(y, device) for y in ones]
        self._precisions = 1 / max(sigma_one, 1.0) ** 2, 1 / max(sigma_two, 1.0) ** 2
        self._paired = sorted({j for pair in coarsening.pairs for j in pair})
        self._maps = {j: torch.as_tensor(coarsening.maps[j], device=device) for j in self._paired}
        ends = dict(zip(self._paired, np.cumsum([coarsening.sizes[j] for j in self._paired]).tolist(), strict=True))
        blocks = {j: slice(end - coarsening.sizes[j], end) for j, end in ends.items()}
        total, place = max(ends.values(), default=0), {column: k for k, column in enumerate(flow.order)}
        self._twos = torch.zeros(total, total, device=device)
        self._measured = torch.zeros(total, total, device=device)
        for (i, j), y in zip(coarsening.pairs, twos, strict=True):
            if place[i] > place[j]:  # the flow knows the later column's probabilities given the earlier one's value
                i, j, y = j, i, y.T
            self._twos[blocks[i], blocks[j]] = _tensor(y, device)
            self._measured[blocks[i], blocks[j]] = 1.0
        self._codes = torch.zeros(0)

    def step(self, t: int) -> dict[str, Public]:
        """Leave the gradient of the loss in `.grad`; new samples are drawn every `refresh` steps."""
        if t % self.refresh == 0 or not len(self._codes):
            self._codes, _ = self.flow.sample(2 * self.samples, self.generator)
        picked = torch.randint(len(self._codes), (self.samples,), generator=self.generator)
        codes = self._codes[picked.to(self._codes.device)]
        for parameter in self.flow.parameters():
            parameter.grad = None
        misfit, drift = self._terms(codes)
        (misfit + drift).backward()
        return {"misfit": Public(misfit.detach()), "drift": Public(drift.detach())}

    def state_dict(self) -> dict[str, Tensor]:
        """The samples in use: what a resumed fit needs besides the flow and the generator."""
        return {"codes": self._codes}

    def load_state_dict(self, state_dict: dict[str, Tensor]) -> None:
        self._codes = state_dict["codes"].to(self.flow.device)

    def _terms(self, codes: Tensor) -> tuple[Tensor, Tensor]:
        predicted = self.flow.probabilities(codes)
        with torch.no_grad():
            reference = self.reference.probabilities(codes)
        drift = torch.stack(
            [F.kl_div((p + 1e-9).log(), r, reduction="batchmean") for p, r in zip(predicted, reference, strict=True)]
        ).sum()
        one_precision, two_precision = self._precisions
        misfit = torch.zeros((), device=codes.device)
        for p, y in zip(predicted, self._ones, strict=False):
            misfit = misfit + one_precision * (p.mean(0) * self.rows - y).square().sum()
        if self._paired:
            coarse = torch.cat([_coarse(predicted[j], m) for j, m in self._maps.items()], 1)
            given = torch.cat([_one_hot(m[codes[:, j]], m, coarse.dtype) for j, m in self._maps.items()], 1)
            joint = given.T @ coarse * (self.rows / len(codes))
            misfit = misfit + two_precision * ((joint - self._twos) * self._measured).square().sum()
        return misfit / (2 * self.rows), drift


def total_rows(counts: Sequence[np.ndarray], sigmas: Sequence[float]) -> float:
    """The number of rows that noisy marginals speak of: the mean of their totals, each by its own precision."""
    precisions = np.array([1 / (y.size * sigma**2) for y, sigma in zip(counts, sigmas, strict=True)])
    totals = np.array([float(y.sum()) for y in counts])
    return max(1.0, float(totals @ precisions / precisions.sum()))


def _groups(size: int, value_bins: int, groups: int, on_axis: bool) -> np.ndarray:
    if not on_axis or value_bins <= groups:
        return np.arange(size)
    values = np.arange(value_bins) * groups // value_bins
    return np.concatenate([values, np.arange(groups, groups + size - value_bins)])


def _coarse(probabilities: Tensor, mapping: Tensor) -> Tensor:
    """(rows, codes) -> (rows, coarse codes) by adding up."""
    if int(mapping.max()) + 1 == probabilities.shape[1]:
        return probabilities
    return probabilities @ _one_hot(mapping, mapping, probabilities.dtype)


def _one_hot(codes: Tensor, mapping: Tensor, dtype: torch.dtype) -> Tensor:
    return F.one_hot(codes, int(mapping.max()) + 1).to(dtype)


def _tensor(y: np.ndarray, device: torch.device) -> Tensor:
    return torch.as_tensor(np.ascontiguousarray(y), dtype=torch.float32, device=device)
