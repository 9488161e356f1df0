"""A fitted flow over a released graphical model: draws rows, and gives densities and base coordinates of rows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Self

import numpy as np
import pandas as pd
import torch
from scipy import special

from dpsynth.data.table.domain import Domain
from dpsynth.data.table.table import Table
from dpsynth.errors import ConfigError
from dpsynth.models.contract.fitted import Generators, below
from dpsynth.models.contract.fitted_table import FittedTable
from dpsynth.models.maf.tree_conditionals import TreeConditionals
from dpsynth.models.marginal.fitted_graph import FittedGraph, compressed_conditions, decoded
from dpsynth.networks.conditionals import Layout, Softmax
from dpsynth.networks.flow import ROWS_AT_ONCE, TabularFlow

MOST_DRAWS = 50  # rounds of rejection before a condition counts as too rare


@dataclass(frozen=True)
class Shape:
    """What the network is made of; public, and kept with the model.

    hidden, layers: units of a hidden layer, residual hidden layers behind the first. bumps: smooth features by which
    later columns see a numeric column.
    """

    hidden: int = 96
    layers: int = 1
    bumps: int = 16

    def flow(
        self, graph: FittedGraph, label_weight: float = 1.0, generator: torch.Generator | None = None
    ) -> TabularFlow:
        """A new flow that is the graphical model. label_weight: of the label's term in the training loss."""
        domain = graph.domain
        label = None if domain.label is None else domain.position(domain.label)
        tree = TreeConditionals(graph.model, label)
        conditionals = [Softmax(_layout(graph, j)) for j in range(len(tree.sizes))]
        weights = [label_weight if j == label else 1.0 for j in range(len(tree.sizes))]
        return TabularFlow(
            conditionals, tree.order, self.hidden, self.layers, weights, self.bumps, generator, prior=tree
        )


def _cells(graph: FittedGraph, j: int) -> int:
    """How many merged codes of column j are cells of its axis; they come first. 0 for categories."""
    column = graph.codec.columns[j]
    return int(graph.compression.maps[j][: column.value_bins].max()) + 1 if column.on_axis else 0


def _layout(graph: FittedGraph, j: int) -> Layout:
    """Cells of an axis are of one width: within, a value stands where the released distribution of the cell has it."""
    size, cells = graph.model.sizes[j], _cells(graph, j)
    return Layout(size, torch.linspace(0.0, 1.0, (cells or size) + 1), bool(cells))


class FittedFlow(FittedTable):
    """The graphical model, and a flow that corrects it if a network was trained.

    trained: False where nothing was spent on DP-SGD; the flow then is the graphical model.
    """

    def __init__(
        self,
        graph: FittedGraph,
        shape: Shape,
        flow: TabularFlow,
        trained: bool,
        statement: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(graph.domain, statement)
        self.graph, self.shape, self.flow, self.trained = graph, shape, flow.to("cpu").eval(), trained

    def config(self) -> dict[str, Any]:
        return {"graph": self.graph.config(), "shape": asdict(self.shape), "trained": self.trained}

    def tensors(self) -> dict[str, torch.Tensor]:
        graph = {f"graph.{name}": tensor for name, tensor in self.graph.tensors().items()}
        flow = self.flow.state_dict() if self.trained else {}
        return graph | {f"flow.{name}": tensor for name, tensor in flow.items()}

    @classmethod
    def restore(
        cls,
        config: Mapping[str, Any],
        tensors: Mapping[str, torch.Tensor],
        domain: Domain,
        statement: Mapping[str, Any],
    ) -> Self:
        graph = FittedGraph.restore(config["graph"], below("graph.", tensors), domain, statement)
        shape = Shape(**config["shape"])
        flow = shape.flow(graph)
        if config["trained"]:
            flow.load_state_dict(below("flow.", tensors))
        return cls(graph, shape, flow, config["trained"], statement)

    def log_density(self, table: Table) -> np.ndarray:
        """(rows,) log probability of each row's merged codes plus log density of its places within cells, in nats.

        Places are on an axis on which the released distribution within every cell is even.
        """
        codes, units = self._encoded(table)
        with torch.no_grad():
            return self.flow.log_density(codes, units).numpy()

    def base(self, table: Table, seed: int = 0) -> np.ndarray:
        """(rows, columns) coordinates of the rows in the flow's base space; N(0, I) where the model is true.

        A lattice value (an integer, a date) is an interval of the axis: its coordinate is drawn evenly from the
        probabilities at both ends, as for categories (randomised probability integral transform).
        """
        encoded = self.graph.codec.encode(table.frame)
        assert encoded.units is not None
        merged = torch.from_numpy(self.graph.compression(encoded.codes).astype(np.int64))
        rows = (self.graph.codec.columns, encoded.codes.T, encoded.units.T)
        ends = [column.cell_ends(c, u) for column, c, u in zip(*rows, strict=True)]
        levels: list[np.ndarray] = []
        for side in (0, 1):
            places = self._places(encoded.codes, np.column_stack([pair[side] for pair in ends]))
            base = self.flow.base(merged, places, torch.Generator().manual_seed(seed))
            levels.append(special.ndtr(base.numpy()))
        low, high = levels
        within = np.random.default_rng(seed).random(low.shape)
        return special.ndtri(low + within * (high - low))

    def _encoded(self, table: Table) -> tuple[torch.Tensor, torch.Tensor]:
        """Merged codes and places."""
        encoded = self.graph.codec.encode(table.frame)
        assert encoded.units is not None
        codes = torch.from_numpy(self.graph.compression(encoded.codes).astype(np.int64))
        return codes, self._places(encoded.codes, encoded.units)

    def _places(self, codes: np.ndarray, units: np.ndarray) -> torch.Tensor:
        """(rows, columns) float32: where a value stands on the axis of its column's cells; of no meaning elsewhere."""
        places = np.full(units.shape, 0.5)
        for j, column in enumerate(self.graph.codec.columns):
            cells = _cells(self.graph, j)
            if not cells:
                continue
            m, parts = (each[j][: column.value_bins] for each in (self.graph.compression.maps, self._fractions))
            before = parts.cumsum() - parts
            before -= before[np.searchsorted(m, m)]  # within the cell
            bins = np.minimum(codes[:, j].astype(np.int64), column.value_bins - 1)
            width = np.diff(column.edges)[bins]
            inside = np.clip((units[:, j] - column.edges[bins]) / width, 0.0, 1.0)
            places[:, j] = (m[bins] + np.clip(before[bins] + parts[bins] * inside, 0.0, 1.0)) / cells
        return torch.from_numpy(places).float()

    @property
    def _fractions(self) -> tuple[np.ndarray, ...]:
        return self.graph.compression.fractions

    def _draw(self, n: int, generators: Generators, where: Mapping[str, Any]) -> pd.DataFrame:
        if not self.trained:
            return self.graph._draw(n, generators, where)
        fixed = compressed_conditions(self.graph.codec, self.graph.compression, where)
        codes = self._accepted(n, generators.torch, {j: (code, 0.5) for j, code in fixed.items()})
        return decoded(self.graph.codec, self.graph.compression, codes.numpy(), generators.numpy)

    def _accepted(self, n: int, generator: torch.Generator, fixed: Mapping[int, tuple[int, float]]) -> torch.Tensor:
        """Merged codes of n rows that meet the conditions, by drawing until there are enough."""
        found: list[torch.Tensor] = []
        have, wanted, tried = 0, n, 0
        for _ in range(MOST_DRAWS):
            codes, _ = self.flow.sample(wanted, generator, fixed)
            found.append(codes)
            have, tried = have + len(codes), tried + wanted
            if have >= n:
                return torch.cat(found)[:n]
            accepted = max(have, 0.5) / max(tried, 1)
            wanted = int(min(max((n - have) / accepted * 1.1, 1024), 4 * ROWS_AT_ONCE))
        raise ConfigError(
            f"where: only {have} of {tried} draws met the conditions, too few for {n} rows; ask for fewer rows or less"
        )
