"""A fitted flow and its public shape: rows drawn exactly, under conditions too, densities and base coordinates of rows.

The public shape of a tabular flow: all that is needed to build one for a domain, and to build it again.

A fitted flow: draws rows exactly, under conditions too, and gives densities and base coordinates of rows.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal, Self

import numpy as np
import pandas as pd
import torch
from scipy import special

from dpsynth.data.table.codec import Codec, ColumnCodes, Encoded
from dpsynth.data.table.domain import Domain
from dpsynth.data.table.table import Table
from dpsynth.errors import ConfigError
from dpsynth.models.contract.fitted import Generators
from dpsynth.models.contract.fitted_table import FittedTable
from dpsynth.networks.conditionals import Affine, Conditional, Layout, Softmax, Spline
from dpsynth.networks.flow import ROWS_AT_ONCE, TabularFlow

Transform = Literal["piecewise_linear", "rq_spline", "affine"]


@dataclass(frozen=True)
class PlainShape:
    """What the network is made of; public, and kept with the model.

    bins: most value bins of a numeric column. transform: how values lie within a column. knots: of the spline.
    bumps: smooth features by which later columns see a numeric column.
    order: label_last, label_first, schema, or the column names in the order they are drawn.
    hidden, layers: units of a hidden layer, residual hidden layers behind the first.
    """

    bins: int = 128
    transform: Transform = "piecewise_linear"
    knots: int = 8
    bumps: int = 16
    order: str | Sequence[str] = "label_last"
    hidden: int = 128
    layers: int = 1

    def positions(self, domain: Domain) -> list[int]:
        """The columns' positions in the table, in the order they are drawn."""
        names = list(domain.names)
        if isinstance(self.order, str):
            rest = [name for name in names if name != domain.label]
            label = [domain.label] if domain.label is not None else []
            orders = {"label_last": rest + label, "label_first": label + rest, "schema": names}
            if self.order not in orders:
                raise ConfigError(f"model.order '{self.order}': choose {', '.join(orders)}, or list all columns")
            names = orders[self.order]
        elif sorted(self.order) != sorted(names):
            raise ConfigError(f"model.order must list every column once: {', '.join(names)}")
        else:
            names = list(self.order)
        return [domain.position(name) for name in names]

    def flow(self, codec: Codec, weights: Sequence[float] | None, generator: torch.Generator | None) -> TabularFlow:
        """A new flow for the tables of `codec`."""
        conditionals = [self._conditional(column) for column in codec.columns]
        order = self.positions(codec.domain)
        return TabularFlow(conditionals, order, self.hidden, self.layers, weights, self.bumps, generator)

    def _conditional(self, column: ColumnCodes) -> Conditional:
        edges = torch.as_tensor(np.array(column.edges), dtype=torch.float32)
        layout = Layout(column.size, edges, column.on_axis)
        if not column.on_axis or self.transform == "piecewise_linear":
            return Softmax(layout)
        return Spline(layout, self.knots) if self.transform == "rq_spline" else Affine(layout)


# -------------------- Fitted flow -----------------------------------------------------------

MOST_DRAWS = 50  # rounds of rejection before a condition counts as too rare


class FittedPlainFlow(FittedTable):
    """A flow and the public shape it was built from."""

    def __init__(
        self, domain: Domain, shape: PlainShape, flow: TabularFlow, statement: Mapping[str, Any] | None = None
    ) -> None:
        super().__init__(domain, statement)
        self.shape, self.flow = shape, flow.to("cpu").eval()
        self.codec = Codec(domain, shape.bins)

    def config(self) -> dict[str, Any]:
        return asdict(self.shape)

    def tensors(self) -> dict[str, torch.Tensor]:
        return dict(self.flow.state_dict())

    @classmethod
    def restore(
        cls,
        config: Mapping[str, Any],
        tensors: Mapping[str, torch.Tensor],
        domain: Domain,
        statement: Mapping[str, Any],
    ) -> Self:
        shape = PlainShape(**config)
        flow = shape.flow(Codec(domain, shape.bins), None, None)
        flow.load_state_dict(dict(tensors))
        return cls(domain, shape, flow, statement)

    def log_density(self, table: Table) -> np.ndarray:
        """(rows,) log probability of each row's discrete part plus log density of its positions, in nats."""
        codes, units = self._encoded(table)
        with torch.no_grad():
            return self.flow.log_density(codes, units).numpy()

    def base(self, table: Table, seed: int = 0) -> np.ndarray:
        """(rows, columns) coordinates of the rows in the flow's base space; N(0, I) where the model is true.

        A lattice value (an integer, a date) is an interval of the axis: its coordinate is drawn evenly from the
        probabilities at both ends, as for categories (randomised probability integral transform).
        """
        encoded = self.codec.encode(table.frame)
        assert encoded.units is not None
        codes, rows = torch.from_numpy(encoded.codes.astype(np.int64)), (encoded.codes.T, encoded.units.T)
        ends = [column.cell_ends(c, u) for column, c, u in zip(self.codec.columns, *rows, strict=True)]
        levels: list[np.ndarray] = []
        for side in (0, 1):
            units = torch.from_numpy(np.column_stack([pair[side] for pair in ends])).float()
            levels.append(special.ndtr(self.flow.base(codes, units, torch.Generator().manual_seed(seed)).numpy()))
        below, above = levels
        within = np.random.default_rng(seed).random(below.shape)
        return special.ndtri(below + within * (above - below))

    def _encoded(self, table: Table) -> tuple[torch.Tensor, torch.Tensor]:
        encoded = self.codec.encode(table.frame)
        assert encoded.units is not None
        return torch.from_numpy(encoded.codes.astype(np.int64)), torch.from_numpy(encoded.units).float()

    def _draw(self, n: int, generators: Generators, where: Mapping[str, Any]) -> pd.DataFrame:
        fixed = {self.domain.position(name): self.codec.encode_value(name, value) for name, value in where.items()}
        codes, units = self._accepted(n, generators.torch, fixed)
        positions = None if self.shape.transform == "piecewise_linear" else units.double().numpy()
        return self.codec.decode(Encoded(codes.numpy().astype(self.codec.dtype), positions), generators.numpy)

    def _accepted(
        self, n: int, generator: torch.Generator, fixed: Mapping[int, tuple[int, float]]
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """n rows that meet the conditions, by drawing until there are enough."""
        found: list[tuple[torch.Tensor, torch.Tensor]] = []
        have, wanted, tried = 0, n, 0
        for _ in range(MOST_DRAWS):
            codes, units = self.flow.sample(wanted, generator, fixed)
            found.append((codes, units))
            have, tried = have + len(codes), tried + wanted
            if have >= n:
                return torch.cat([c for c, _ in found])[:n], torch.cat([u for _, u in found])[:n]
            accepted = max(have, 0.5) / max(tried, 1)
            wanted = int(min(max((n - have) / accepted * 1.1, 1024), 4 * ROWS_AT_ONCE))
        raise ConfigError(
            f"where: only {have} of {tried} draws met the conditions, too few for {n} rows; ask for fewer rows or less"
        )
