"""The public shape of a tabular flow: all that is needed to build one for a domain, and to build it again."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch

from dpsynth.data.codec import Codec
from dpsynth.data.column_codes import ColumnCodes
from dpsynth.data.domain import Domain
from dpsynth.errors import ConfigError
from dpsynth.networks.conditionals import Affine, Conditional, Layout, Softmax, Spline
from dpsynth.networks.flow import TabularFlow

Transform = Literal["piecewise_linear", "rq_spline", "affine"]


@dataclass(frozen=True)
class Shape:
    """What the network is made of; public, and kept with the model.

    bins: most value bins of a quantity. transform: how values lie within a column. knots: of the spline.
    bumps: smooth features by which later columns see a quantity.
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
