"""What every engine for clipped gradients shares: the contract, the clip factors, micro-batches, refused
layers.

The quantity is  G = sum over rows i of m_i * g_i * min(1, C / ||g_i||_2),  with g_i the gradient of row i's
own loss over all trainable parameters together, C the clipping norm and m_i in {0, 1} an optional mask.
Adding or removing one row changes G by at most C in L2 norm, replacing one by at most 2 C (Abadi et al. 2016,
arXiv:1607.00133). This needs that g_i depends on row i alone, so layers that mix rows are refused.
"""

# The annotations of torch have holes.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from dpsynth.errors import ConfigError
from dpsynth.privacy.coordinates import Coordinates

# Norms are summed in floating point. Enlarging them by far more than their rounding error, and by far less
# than anyone could notice, keeps every clipped row inside the ball of radius C.
SLACK = 2.0**-18


class ClippedGradients(ABC):
    """Computes sums of per-row clipped gradients of `module(*batch) -> (rows,)` losses.

    clipping_norm: C > 0; infinity clips nothing (but still drops non-finite rows).
    microbatch_size: rows handled at a time; bounds memory and leaves the result as it is, up to rounding.

    After a call, `norms` holds the unclipped norms (rows,) of that call. They are private, for diagnostics
    only. Raises ConfigError for modules this engine cannot treat exactly.
    """

    def __init__(self, module: nn.Module, clipping_norm: float, microbatch_size: int | None = None) -> None:
        if not clipping_norm > 0:
            raise ConfigError(f"clipping norm {clipping_norm} must be a positive number; use .inf for no clipping")
        if microbatch_size is not None and microbatch_size < 1:
            raise ConfigError(f"microbatch_size {microbatch_size} must be at least 1, or null for whole batches")
        refuse_mixing_layers(module)
        self.module = module
        self.clipping_norm = float(clipping_norm)
        self.microbatch_size = microbatch_size
        self.parameters: list[nn.Parameter] = [p for p in module.parameters() if p.requires_grad]
        self.coordinates = Coordinates(module)
        self.norms = torch.zeros(0)

    def clipped_sum(self, *batch: Tensor, mask: Tensor | None = None) -> list[Tensor]:
        """The clipped sum over the rows of `batch`, one tensor per trainable parameter in
        `module.parameters()` order.

        batch: tensors of equal first length (rows, ...), as the module takes them; zero rows give zeros.
        mask: (rows,); rows where it is zero add exactly nothing.
        A row whose gradient is not finite also adds nothing, for NaN would pass through any clip factor.
        """
        return self.coordinates.unpack(self.clipped_vector(*batch, mask=mask))

    def clipped_vector(self, *batch: Tensor, mask: Tensor | None = None) -> Tensor:
        """The same sum as one vector over `self.coordinates`, without the entries that masks hide."""
        rows = len(batch[0])
        size = self.microbatch_size or max(rows, 1)
        total: Tensor | None = None
        norms: list[Tensor] = []
        for start in range(0, rows, size):
            chunk = slice(start, start + size)
            counted = None if mask is None else mask[chunk] != 0
            sums, chunk_norms = self._chunk(tuple(x[chunk] for x in batch), counted)
            addend = self.coordinates.pack(sums)
            total = addend if total is None else total.add_(addend)
            norms.append(chunk_norms.detach())
        self.norms = torch.cat(norms) if norms else self.norms.new_zeros(0)
        return self.coordinates.zeros() if total is None else total

    @abstractmethod
    def _chunk(self, batch: tuple[Tensor, ...], mask: Tensor | None) -> tuple[Sequence[Tensor], Tensor]:
        """The clipped sums of one micro-batch of at least one row, by parameter, and the norms (rows,).

        `mask` is boolean. Entries of the sums that a masked layer hides are not read.
        """

    def _factors(self, norms: Tensor, mask: Tensor | None) -> Tensor:
        """What each row is multiplied by: min(1, C / norm), and zero where masked or not finite. (rows,)"""
        factors = (self.clipping_norm / (norms * (1 + SLACK))).clamp(max=1)
        counted = torch.isfinite(norms)
        return torch.where(counted if mask is None else counted & mask, factors, torch.zeros_like(factors))

    def _clip_formed(
        self, gradients: Sequence[Tensor | None], like: Tensor, mask: Tensor | None
    ) -> tuple[list[Tensor], Tensor]:
        """Clip and sum per-row gradients (rows, *shape) that were formed; None is a parameter out of use.

        `like` (rows, ...) tells the number of rows when no parameter was in use.
        """
        formed = [g for g in gradients if g is not None]
        norms = torch.zeros(len(like), device=like.device)
        if formed:
            norms = torch.stack([g.flatten(1).square().sum(1) for g in formed]).sum(0).sqrt()
        factors = self._factors(norms, mask)
        finite = torch.isfinite(norms)
        if not bool(finite.all()):  # zero times NaN is NaN, so these rows have to leave
            factors = factors[finite]
            gradients = [None if g is None else g[finite] for g in gradients]
        sums = [
            torch.zeros_like(p) if g is None else torch.tensordot(factors, g, dims=1)
            for p, g in zip(self.parameters, gradients, strict=True)
        ]
        return sums, norms


def refuse_mixing_layers(module: nn.Module) -> None:
    """Raise ConfigError if a layer reads or remembers statistics of the batch (batch norm, running averages),
    or rewrites its weights from the rows it sees (embeddings with `max_norm`).

    Only layers known by type are found here; `rows_interact` in `isolation.py` tests any module by numbers.
    """
    for name, layer in module.named_modules():
        kind = f"layer '{name or 'module'}' ({type(layer).__name__})"
        if isinstance(layer, nn.modules.batchnorm._NormBase):  # pyright: ignore[reportPrivateUsage]
            batch_free = isinstance(layer, nn.modules.instancenorm._InstanceNorm)  # pyright: ignore[reportPrivateUsage]
            if not batch_free or layer.track_running_stats:
                raise ConfigError(f"{kind} mixes the rows of a batch, which DP-SGD forbids; use GroupNorm or LayerNorm")
        if isinstance(layer, nn.Embedding | nn.EmbeddingBag) and layer.max_norm is not None:
            raise ConfigError(f"{kind} rescales its weights from the rows it sees; leave out max_norm")
        if isinstance(layer, nn.Embedding | nn.EmbeddingBag) and layer.scale_grad_by_freq:
            raise ConfigError(f"{kind} divides gradients by counts in the batch; leave out scale_grad_by_freq")
