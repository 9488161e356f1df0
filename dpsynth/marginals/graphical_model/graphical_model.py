"""A distribution over encoded columns, fitted to noisy marginals: what MST, AIM and PrivBayes sample from.

Private-PGM (McKenna, Sheldon, Miklau 2019, arXiv:1901.09136): among the distributions that explain the noisy counts
equally well take the one of largest entropy, which factorises over the measured marginals and is held exactly as tables
over the cliques of a junction tree. Fitting looks at noisy counts only, so it costs no budget.

    model = GraphicalModel.fit(sizes, [Measurement((0, 1), noisy, sigma=20.0), ...])
    model.marginal((0, 2))                                             # counts, whatever was measured
    model.sample(10_000, np.random.default_rng(0), where={3: 1})       # rows given that column 3 is 1
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import torch
from torch import Tensor

from dpsynth.errors import ConfigError
from dpsynth.marginals.graphical_model import calibrated_tree
from dpsynth.marginals.graphical_model.belief_propagation import BeliefPropagation
from dpsynth.marginals.graphical_model.estimation import (
    Measurement,
    MirrorDescent,
    checked,
    descend,
    merged,
    noisy_total,
)
from dpsynth.marginals.graphical_model.junction_tree import Clique, JunctionTree, size_estimate, size_estimates
from dpsynth.marginals.graphical_model.small_tables import SmallTables, propagation

__all__ = ["Clique", "GraphicalModel", "Measurement", "size_estimate", "size_estimates"]

ITERATIONS = 1000
MOST_BYTES = 2**30
DESCENT = ("length", "step", "loss", "risk")  # numbers of a descent that are saved beside its potentials


@dataclass(frozen=True)
class _Labels:
    """Inside, columns are numbered by ascending size: long axes come last, which keeps the inner loops long."""

    inner: tuple[int, ...]  # the inner number of each column

    @classmethod
    def of(cls, sizes: Sequence[int]) -> _Labels:
        order = sorted(range(len(sizes)), key=lambda j: (sizes[j], j))
        return cls(tuple(order.index(j) for j in range(len(sizes))))

    def inward(self, clique: Sequence[int]) -> Clique:
        return tuple(sorted(self.inner[j] for j in clique))

    def outward(self, clique: Sequence[int]) -> Clique:
        return tuple(sorted(self.inner.index(j) for j in clique))

    def axes(self, clique: Sequence[int]) -> list[int]:
        """Where each inner axis stands in a table over `clique`."""
        return sorted(range(len(clique)), key=lambda axis: self.inner[clique[axis]])

    def table_in(self, clique: Sequence[int], values: np.ndarray, device: torch.device | str) -> Tensor:
        return torch.from_numpy(np.array(np.transpose(values, self.axes(clique)), order="C")).to(device)

    def table_out(self, clique: Sequence[int], table: Tensor) -> np.ndarray:
        """The table of the inner clique with the axes of `clique`."""
        return np.transpose(table.cpu().numpy(), np.argsort(self.axes(clique)))


class GraphicalModel:
    """A decomposable distribution over columns of `sizes` codes, times `total` rows. Made by `fit` or `restore`.

    cliques: the maximal cliques of its junction tree, each the ascending positions of its columns.
    """

    def __init__(
        self,
        tree: JunctionTree,
        labels: _Labels,
        total: float,
        inference: BeliefPropagation | SmallTables,
        descent: MirrorDescent,
        zeros: Mapping[Clique, Tensor],
    ) -> None:
        self._tree, self._labels, self._inference, self._descent = tree, labels, inference, descent
        self._zeros = dict(zeros)
        self.total = total
        self.sizes = tuple(tree.sizes[inner] for inner in labels.inner)
        self.cliques = tuple(map(labels.outward, tree.cliques))

    @classmethod
    def fit(
        cls,
        sizes: Sequence[int],
        measurements: Sequence[Measurement],
        total: float | None = None,
        *,
        structural_zeros: Mapping[Clique, np.ndarray] | None = None,
        iterations: int = ITERATIONS,
        warm_start: GraphicalModel | None = None,
        extra_cliques: Sequence[Clique] = (),
        names: Sequence[str] = (),
        device: torch.device | str = "cpu",
        most_bytes: int = MOST_BYTES,
    ) -> Self:
        """The distribution that explains `measurements`, no closer than their noise deserves; see `estimation.py`.

        total: rows; None takes the inverse-variance mean of the noisy totals, at least 1. structural_zeros: for a
        clique the cells that cannot be (True). iterations: most passes of inference. warm_start: an earlier fit to
        start from; cliques that it has not measured start flat. extra_cliques: sets of columns that one clique must
        hold though nobody measured them. names: of the columns, for messages. most_bytes: of the clique tables; the
        work takes about three times as much.

        Raises `ConfigError` for measurements that contradict the sizes, a tree larger than `most_bytes`, or zeros that
        leave nothing.
        """
        sizes = tuple(map(int, sizes))
        zeros = {tuple(clique): np.asarray(mask, dtype=bool) for clique, mask in (structural_zeros or {}).items()}
        for measurement in measurements:
            measurement.check(sizes)
        for clique in [*extra_cliques, *zeros]:
            checked(clique, sizes)
        for clique, mask in zeros.items():
            if mask.shape != tuple(sizes[j] for j in clique):
                raise ConfigError(
                    f"structural zeros of columns {clique} have shape {mask.shape}, not the columns' sizes"
                )
        rows = noisy_total(measurements) if total is None else max(float(total), 1.0)
        labels = _Labels.of(sizes)
        counts = merged(measurements)
        requests = list(counts)
        inner_sizes = sorted(sizes)
        tree = JunctionTree.over(inner_sizes, [labels.inward(c) for c in [*requests, *extra_cliques, *zeros]])
        if tree.bytes > most_bytes:
            raise ConfigError(_too_large(tree, labels, names, most_bytes))
        masks = {labels.inward(c): labels.table_in(c, mask, device) for c, mask in zeros.items()}
        inference = propagation(tree, [labels.inward(c) for c in requests], _forbidden(masks), device)
        start = None if warm_start is None else warm_start._start(requests, counts, device)
        if requests:
            values = [labels.table_in(c, counts[c][0], device) for c in requests]
            weights = [labels.table_in(c, counts[c][1], device) for c in requests]
            descent = descend(inference, values, weights, rows, iterations, start)
        else:
            inference([])
            descent = MirrorDescent([], 0.0, 1.0, 0.0, 0.0, 1)
        return cls(tree, labels, rows, inference, descent, masks)

    @property
    def bytes(self) -> int:
        """Bytes that the clique tables take."""
        return sum(table.numel() * table.element_size() for table in self._inference.beliefs)

    @property
    def loss(self) -> float:
        """Half the sum of squared misfits to the measurements, each in units of its sigma."""
        return self._descent.loss

    @property
    def iterations(self) -> int:
        """Passes of inference that the fit took."""
        return self._descent.iterations

    def marginal(self, clique: Sequence[int]) -> np.ndarray:
        """Expected counts over any columns, float64 with one axis per column in the order asked; sums to `total`."""
        return self.marginals([tuple(clique)])[tuple(clique)]

    def marginals(self, cliques: Sequence[Clique]) -> dict[Clique, np.ndarray]:
        """`marginal` of each of `cliques`; much faster than one by one."""
        inward = {tuple(clique): self._labels.inward(clique) for clique in cliques}
        for clique in inward:
            checked(tuple(sorted(clique)), self.sizes)
        found = calibrated_tree.marginals(self._tree, self._inference.beliefs, list(inward.values()))
        return {clique: self.total * self._labels.table_out(clique, found[inner]) for clique, inner in inward.items()}

    def sample(
        self,
        n: int,
        generator: np.random.Generator,
        *,
        method: calibrated_tree.Method = "round",
        where: Mapping[int, int | Sequence[int]] | None = None,
    ) -> np.ndarray:
        """(n, columns) int64 codes of rows drawn from the distribution, or from the distribution given `where`.

        where: for a column the code, or the codes, that it must have. The condition is exact: impossible codes are
        taken out of the distribution before drawing. method: see `calibrated_tree.py`. Raises `ConfigError` when no row
        can meet it.
        """
        inference = self._given(where) if where else self._inference
        codes = calibrated_tree.draw(self._tree, inference.beliefs, n, generator, method)
        return codes[:, list(self._labels.inner)]

    def _given(self, where: Mapping[int, int | Sequence[int]]) -> BeliefPropagation | SmallTables:
        """Inference for the distribution under conditions."""
        masks = dict(self._zeros)
        for column, allowed in where.items():
            checked((column,), self.sizes)
            codes = np.atleast_1d(np.asarray(allowed, dtype=np.int64))
            if not len(codes) or codes.min() < 0 or codes.max() >= self.sizes[column]:
                raise ConfigError(f"where: column {column} has codes 0 to {self.sizes[column] - 1}, not {allowed}")
            mask = np.ones(self.sizes[column], dtype=bool)
            mask[codes] = False
            inner = self._labels.inward((column,))
            table = self._labels.table_in((column,), mask, self._inference.device)
            masks[inner] = masks[inner] | table if inner in masks else table
        given = propagation(self._tree, self._inference.requests, _forbidden(masks), self._inference.device)
        given(self._descent.potentials)
        return given

    def _start(
        self, requests: Sequence[Clique], counts: Mapping[Clique, tuple[np.ndarray, np.ndarray]], device: Any
    ) -> MirrorDescent:
        """This model's descent as the start of another over `requests`."""
        own = dict(zip(map(self._labels.outward, self._inference.requests), self._descent.potentials, strict=True))
        potentials = [
            own[clique].to(device)
            if clique in own
            else torch.zeros(
                [counts[clique][0].shape[a] for a in self._labels.axes(clique)], dtype=torch.float64, device=device
            )
            for clique in requests
        ]
        d = self._descent
        return MirrorDescent(potentials, d.length, d.step, d.loss, d.risk, 0)

    def state(self) -> tuple[dict[str, Any], dict[str, Tensor]]:
        """What `restore` needs: whole numbers as a JSON-able dict, and tensors. A fit to noisy counts, no data."""
        out, descent = self._labels.outward, self._descent
        config = {
            "sizes": list(self.sizes),
            "tree": [list(clique) for clique in self._tree.cliques],
            "parents": list(self._tree.parents),
            "potentials": [list(out(clique)) for clique in self._inference.requests],
            "zeros": [list(out(clique)) for clique in self._zeros],
            "iterations": descent.iterations,
        }
        numbers = {"total": self.total, **{name: getattr(descent, name) for name in DESCENT}}
        tensors = {f"potential.{i}": table for i, table in enumerate(descent.potentials)}
        tensors |= {f"zeros.{i}": table for i, table in enumerate(self._zeros.values())}
        tensors |= {name: torch.tensor(number, dtype=torch.float64) for name, number in numbers.items()}
        return config, {name: table.detach().cpu().contiguous().clone() for name, table in tensors.items()}

    @classmethod
    def restore(
        cls, config: Mapping[str, Any], tensors: Mapping[str, Tensor], device: torch.device | str = "cpu"
    ) -> Self:
        """The model that `state` described; the same marginals to the last bits, and the same samples."""
        sizes = tuple(config["sizes"])
        labels = _Labels.of(sizes)
        tree = JunctionTree(tuple(sorted(sizes)), tuple(map(tuple, config["tree"])), tuple(config["parents"]))
        requests = [labels.inward(clique) for clique in config["potentials"]]
        potentials = [tensors[f"potential.{i}"].to(device) for i in range(len(requests))]
        zeros = {labels.inward(clique): tensors[f"zeros.{i}"].to(device) for i, clique in enumerate(config["zeros"])}
        inference = propagation(tree, requests, _forbidden(zeros), device)
        inference(potentials)
        numbers = {name: tensors[name].item() for name in DESCENT}
        descent = MirrorDescent(potentials, iterations=config["iterations"], **numbers)
        return cls(tree, labels, tensors["total"].item(), inference, descent, zeros)


def _forbidden(masks: Mapping[Clique, Tensor]) -> dict[Clique, Tensor]:
    """Log potentials of masks: minus infinity where a cell cannot be."""
    return {
        clique: torch.zeros(mask.shape, dtype=torch.float64, device=mask.device).masked_fill_(mask, -torch.inf)
        for clique, mask in masks.items()
    }


def _too_large(tree: JunctionTree, labels: _Labels, names: Sequence[str], most_bytes: int) -> str:
    """The columns of the largest clique, largest first, and what to do."""
    clique = sorted(labels.outward(tree.cliques[0]), key=lambda j: -tree.sizes[labels.inner[j]])
    columns = ", ".join(f"{names[j] if names else j} ({tree.sizes[labels.inner[j]]} codes)" for j in clique)
    return (
        f"the junction tree takes {tree.bytes / 2**20:,.0f} MiB, more than {most_bytes / 2**20:,.0f}: its largest "
        f"clique joins columns {columns}; measure fewer marginals that join them, use fewer bins, or raise the limit"
    )
