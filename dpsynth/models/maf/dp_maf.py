"""DPMAF: the published DP-MAF, a masked autoregressive flow that is trained by DP-SGD alone.

Of the project "SEED: DP-MAF" (Lee, Kim, Jeong and Ro 2022): no marginals are measured, and a number's value is
transformed by an affine map, or by a rational-quadratic spline (Durkan et al. 2019, arXiv:1906.04032), given the
columns before it. `recipe.py` has the method for one's own tables; this one is kept so that the published setting can
be run (`reproduction=dp_maf_original`), with a sound engine.

Guarantee: DP-SGD is the only release (`models/shared/dp_training.py`). Where a value of a lattice stands within its
cell is drawn under the secret key, row by row, so that the gradient of a row depends on that row and on its own draw.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from typing import Any, Literal, Self, get_args

import numpy as np
import pandas as pd
import torch

from dpsynth.data.table.codec import Codec, ColumnCodes, Encoded
from dpsynth.data.table.domain import Domain
from dpsynth.data.table.table import Table
from dpsynth.errors import ConfigError
from dpsynth.models.contract.fitted import Fitted, Generators
from dpsynth.models.contract.fitted_table import FittedTable
from dpsynth.models.contract.option_groups import above_zero, at_least, one_of
from dpsynth.models.contract.preparation import UNKNOWN_ROWS
from dpsynth.models.contract.synthesizer import FitRun, MethodPlan, Synthesizer
from dpsynth.models.maf.fitted import accepted, base_coordinates
from dpsynth.models.shared.dp_training import DPTraining
from dpsynth.networks.conditionals import Affine, Conditional, Layout, Softmax, Spline
from dpsynth.networks.flow import TabularFlow
from dpsynth.privacy.accounting.accounting import Charge
from dpsynth.privacy.accounting.budget import Budget
from dpsynth.privacy.dpsgd.dp_sgd import DPSGD
from dpsynth.privacy.dpsgd.gradients import Mode
from dpsynth.privacy.ledger import Ledger

SGD = "dp-sgd"
SHOWN_ROWS = 1024  # whose loss is shown while training
Transform = Literal["affine", "rq_spline"]


@dataclass(frozen=True)
class FlowShape:
    """What the flow is made of; public, and kept with the model.

    Attributes:
        bins: Most value bins of a number.
        transform: How values lie within a column.
        knots: Of the spline.
        bumps: Smooth features by which later columns see a number.
        order: schema, label_last, label_first, or all column names in the order in which they are drawn.
        hidden: Units of a hidden layer.
        layers: Residual hidden layers behind the first.
    """

    bins: int = 128
    transform: Transform = "affine"
    knots: int = 8
    bumps: int = 16
    order: str | Sequence[str] = "schema"
    hidden: int = 512
    layers: int = 1

    def flow(self, codec: Codec, generator: torch.Generator | None = None) -> TabularFlow:
        """A new flow for the tables of `codec`."""
        conditionals = [self._conditional(column) for column in codec.columns]
        return TabularFlow(conditionals, self.positions(codec.domain), self.hidden, self.layers, self.bumps, generator)

    def positions(self, domain: Domain) -> list[int]:
        """The columns' positions in the table, in the order in which they are drawn."""
        names = list(domain.names)
        if isinstance(self.order, str):
            rest = [name for name in names if name != domain.label]
            label = [] if domain.label is None else [domain.label]
            orders = {"schema": names, "label_last": rest + label, "label_first": label + rest}
            if self.order not in orders:
                raise ConfigError(f"model.order '{self.order}': choose {', '.join(orders)}, or list all columns")
            return [domain.position(name) for name in orders[self.order]]
        if sorted(self.order) != sorted(names):
            raise ConfigError(f"model.order must list every column once: {', '.join(names)}")
        return [domain.position(name) for name in self.order]

    def _conditional(self, column: ColumnCodes) -> Conditional:
        layout = Layout(column.size, torch.as_tensor(np.array(column.edges), dtype=torch.float32), column.on_axis)
        if not column.on_axis:
            return Softmax(layout)
        return Spline(layout, self.knots) if self.transform == "rq_spline" else Affine(layout)


@dataclass(frozen=True, kw_only=True)
class DPMAFPlan(MethodPlan):
    """What is released: the steps of DP-SGD."""

    sgd: DPSGD


@dataclass(frozen=True)
class DPMAF(Synthesizer):
    """The recipe. The fields of `FlowShape` are those of the flow, the others those of DP-SGD (`DPTrainingOptions`)."""

    bins: int = 128
    transform: Transform = "affine"
    knots: int = 8
    bumps: int = 16
    order: str | Sequence[str] = "schema"
    hidden: int = 512
    layers: int = 1
    steps: int = 500
    batch_size: int = 256
    learning_rate: float = 8e-3
    decay: float = 1.0
    clipping_norm: float = 1.0
    averaging: float = 0.0
    gradients: Mode = "fused"
    microbatch_size: int | None = None

    def __post_init__(self) -> None:
        at_least(self, 1, "bins", "knots", "bumps", "hidden", "steps", "batch_size", "microbatch_size", where="model.")
        at_least(self, 0, "layers", "decay", "averaging", where="model.")
        above_zero(self, "learning_rate", "clipping_norm", where="model.")
        one_of(self, get_args(Transform), "transform", where="model.")

    @property
    def shape(self) -> FlowShape:
        return FlowShape(**{field.name: getattr(self, field.name) for field in fields(FlowShape)})

    @property
    def _training(self) -> DPTraining:
        return DPTraining.of(self, SGD, SHOWN_ROWS)

    def _plan(self, domain: Domain, budget: Budget, before: Sequence[Charge]) -> DPMAFPlan:
        self.shape.positions(domain)  # refuses an order that does not fit
        sizes = Codec(domain, self.bins).sizes
        weights = 2 * sum(sizes) * self.hidden + self.layers * self.hidden**2
        batch = self.microbatch_size or 2 * self.batch_size
        rows = len(sizes) * 21 * (domain.rows or UNKNOWN_ROWS)
        memory = 32 * weights + 24 * batch * (2 * sum(sizes) + 4 * self.hidden) + rows
        return DPMAFPlan(sgd=self._training.planned(domain.rows, budget, before), memory_bytes=memory)

    def _fit(self, table: Table, rows: int, plan: MethodPlan, ledger: Ledger, run: FitRun) -> Fitted:
        assert isinstance(plan, DPMAFPlan)
        codec = Codec(table.domain, self.bins)
        encoded = codec.encode(table.frame)
        flow = self.shape.flow(codec, run.randomness.model("initial weights"))
        data = (_codes(encoded.codes), self._positions(codec, encoded, ledger))
        self._training.train(flow, data, rows, plan.sgd, ledger, run)
        return FittedDPMAF(codec, self.shape, flow)

    def _positions(self, codec: Codec, encoded: Encoded, ledger: Ledger) -> torch.Tensor:
        """Units as float32, spread evenly over each lattice value's own cell so that densities stay bounded."""
        units = encoded.units
        assert units is not None
        cells = np.array([np.nan if c.cells is None else c.cells for c in codec.columns])
        uniform = ledger.uniforms("positions within cells", *units.shape)
        jitter = np.where(np.isnan(cells), 0.0, (uniform - 0.5) / np.nan_to_num(cells, nan=1.0))
        return torch.from_numpy(np.clip(units + jitter, 0.0, 1.0)).float()


class FittedDPMAF(FittedTable):
    """A flow and the public shape it was built from: draws rows exactly, under conditions too, and gives densities."""

    def __init__(
        self, codec: Codec, shape: FlowShape, flow: TabularFlow, statement: Mapping[str, Any] | None = None
    ) -> None:
        super().__init__(codec.domain, statement)
        self.codec, self.shape, self.flow = codec, shape, flow.to("cpu").eval()

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
        shape = FlowShape(**config)
        codec = Codec(domain, shape.bins)
        flow = shape.flow(codec)
        flow.load_state_dict(dict(tensors))
        return cls(codec, shape, flow, statement)

    def log_density(self, table: Table) -> np.ndarray:
        """(rows,) log probability of each row's discrete part plus log density of its positions, in nats."""
        codes, units = self._encoded(table)
        with torch.no_grad():
            return self.flow.log_density(_codes(codes), torch.from_numpy(units).float()).numpy()

    def base(self, table: Table, seed: int = 0) -> np.ndarray:
        """(rows, columns) coordinates of the rows in the flow's base space; N(0, I) where the model is true."""
        codes, units = self._encoded(table)

        def base(ends: np.ndarray) -> torch.Tensor:
            return self.flow.base(_codes(codes), torch.from_numpy(ends).float(), torch.Generator().manual_seed(seed))

        return base_coordinates(self.codec, codes, units, base, seed)

    def _encoded(self, table: Table) -> tuple[np.ndarray, np.ndarray]:
        """(rows, columns) codes, and places on the axes."""
        encoded = self.codec.encode(table.frame)
        assert encoded.units is not None
        return encoded.codes, encoded.units

    def _draw(self, n: int, generators: Generators, where: Mapping[str, Any]) -> pd.DataFrame:
        fixed = {self.domain.position(name): self.codec.encode_value(name, value) for name, value in where.items()}
        codes, units = accepted(self.flow, n, generators.torch, fixed)
        return self.codec.decode(
            Encoded(codes.numpy().astype(self.codec.dtype), units.double().numpy()), generators.numpy
        )


def _codes(codes: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(codes.astype(np.int64))
