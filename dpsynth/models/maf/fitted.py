"""A fitted flow over a released graphical model: draws rows, and gives densities and base coordinates of rows."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import Any, Self

import numpy as np
import pandas as pd
import torch
from scipy import special

from dpsynth.data.table.codec import Codec
from dpsynth.data.table.domain import Domain
from dpsynth.data.table.table import Table
from dpsynth.errors import ConfigError
from dpsynth.models.contract.fitted import Generators, below
from dpsynth.models.contract.fitted_table import FittedTable
from dpsynth.models.maf.tree_conditionals import TreeConditionals
from dpsynth.models.marginal.fitted_graph import FittedGraph, compressed_conditions, decoded
from dpsynth.networks.conditionals import Layout, Softmax
from dpsynth.networks.flow import ROWS_AT_ONCE, TabularFlow

LEAST_SLOPE = 1e-12  # of an axis, where the released distribution has no rows
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

    def flow(self, graph: FittedGraph, generator: torch.Generator | None = None) -> TabularFlow:
        """A new flow that is the graphical model."""
        domain = graph.domain
        tree = TreeConditionals(graph.model, None if domain.label is None else domain.position(domain.label))
        conditionals = [Softmax(_layout(graph, j)) for j in range(len(tree.sizes))]
        return TabularFlow(conditionals, tree.order, self.hidden, self.layers, self.bumps, generator, prior=tree)


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
        """(rows,) log probability of each row's codes plus log density of its places on the axes, in nats."""
        codes, units = self._encoded(table)
        places, log_slopes = self._places(codes, units)
        with torch.no_grad():
            return self.flow.log_density(self._merged(codes), places).numpy() + log_slopes.sum(1)

    def base(self, table: Table, seed: int = 0) -> np.ndarray:
        """(rows, columns) coordinates of the rows in the flow's base space; N(0, I) where the model is true."""
        codes, units = self._encoded(table)
        merged = self._merged(codes)

        def base(ends: np.ndarray) -> torch.Tensor:
            return self.flow.base(merged, self._places(codes, ends)[0], torch.Generator().manual_seed(seed))

        return base_coordinates(self.graph.codec, codes, units, base, seed)

    def _encoded(self, table: Table) -> tuple[np.ndarray, np.ndarray]:
        """(rows, columns) codes of fine bins, and places on the axis."""
        encoded = self.graph.codec.encode(table.frame)
        assert encoded.units is not None
        return encoded.codes, encoded.units

    def _merged(self, codes: np.ndarray) -> torch.Tensor:
        return torch.from_numpy(self.graph.compression(codes).astype(np.int64))

    def _places(self, codes: np.ndarray, units: np.ndarray) -> tuple[torch.Tensor, np.ndarray]:
        """((rows, columns) float32 places, (rows, columns) log slopes): on an axis where the rows of a cell lie evenly.

        That is how the flow has them. Of no meaning for categories, point masses and missing.
        """
        compression = self.graph.compression
        places, log_slopes = np.full(units.shape, 0.5), np.zeros(units.shape)
        for j, column in enumerate(self.graph.codec.columns):
            if not column.on_axis:
                continue
            widths = compression.fractions[j][: column.value_bins] / _cells(self.graph, j)
            starts = widths.cumsum() - widths
            value = codes[:, j] < column.value_bins
            bins = codes[value, j].astype(np.int64)
            inside = (units[value, j] - column.edges[bins]) / np.diff(column.edges)[bins]
            places[value, j] = starts[bins] + widths[bins] * np.clip(inside, 0.0, 1.0)
            log_slopes[value, j] = np.log(np.maximum(widths / np.diff(column.edges), LEAST_SLOPE))[bins]
        return torch.from_numpy(np.clip(places, 0.0, 1.0)).float(), log_slopes

    def _draw(self, n: int, generators: Generators, where: Mapping[str, Any]) -> pd.DataFrame:
        if not self.trained:
            return self.graph._draw(n, generators, where)
        fixed = compressed_conditions(self.graph.codec, self.graph.compression, where)
        codes, _ = accepted(self.flow, n, generators.torch, {j: (code, 0.5) for j, code in fixed.items()})
        return decoded(self.graph.codec, self.graph.compression, codes.numpy(), generators.numpy)


def base_coordinates(
    codec: Codec, codes: np.ndarray, units: np.ndarray, base: Callable[[np.ndarray], torch.Tensor], seed: int
) -> np.ndarray:
    """(rows, columns) standard normal coordinates, were the model true.

    A lattice value (an integer, a date) is an interval of the axis: its coordinate is drawn evenly from the
    probabilities at both ends, as for categories (randomised probability integral transform).

    Args:
        codec: Of the codes.
        codes: (rows, columns).
        units: (rows, columns) places on the axes.
        base: Coordinates of the rows, were they at these places.
        seed: Of the draws within intervals.
    """
    ends = [column.cell_ends(c, u) for column, c, u in zip(codec.columns, codes.T, units.T, strict=True)]
    low, high = (special.ndtr(base(np.column_stack([pair[side] for pair in ends])).numpy()) for side in (0, 1))
    within = np.random.default_rng(seed).random(low.shape)
    return special.ndtri(low + within * (high - low))


def accepted(
    flow: TabularFlow, n: int, generator: torch.Generator, fixed: Mapping[int, tuple[int, float]]
) -> tuple[torch.Tensor, torch.Tensor]:
    """(codes, units) of n rows that meet the conditions, by drawing until there are enough.

    fixed: by column, the code to keep and the place to set.
    """
    found: list[tuple[torch.Tensor, torch.Tensor]] = []
    have, wanted, tried = 0, n, 0
    for _ in range(MOST_DRAWS):
        codes, units = flow.sample(wanted, generator, fixed)
        found.append((codes, units))
        have, tried = have + len(codes), tried + wanted
        if have >= n:
            return torch.cat([c for c, _ in found])[:n], torch.cat([u for _, u in found])[:n]
        fraction = max(have, 0.5) / max(tried, 1)
        wanted = int(min(max((n - have) / fraction * 1.1, 1024), 4 * ROWS_AT_ONCE))
    raise ConfigError(
        f"where: only {have} of {tried} draws met the conditions, too few for {n} rows; ask for fewer rows or less"
    )
