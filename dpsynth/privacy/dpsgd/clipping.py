"""What every engine for clipped gradients shares: the coordinates, the contract, the clip factors, micro-batches.

Coordinates are the entries of a network's trainable parameters that can have a gradient, as one vector. A masked
weight's masked entries have gradient zero whatever the data, by public structure. They need no noise, and drawing none
for them halves the noise of an autoregressive network.

The query is  G = sum over rows i of m_i * g_i * min(1, C / ||g_i||_2),  with g_i the gradient of row i's
own loss over all trainable parameters together, C the clipping norm and m_i in {0, 1} an optional mask.
Adding or removing one row changes G by at most C in L2 norm, replacing one by at most 2 C (Abadi et al. 2016,
arXiv:1607.00133). This needs that g_i depends on row i alone, so layers that mix rows are refused.

Rounding. That is so of the real number G, and what is noised is the float S that the engine computes. A row that comes
or goes moves other rows to other places in other partial sums, so that the rounding errors of all of them change: with
one float32 sum over 60,000 rows, neighbours were measured at a distance of 2.5 C. So rows are summed in micro-batches
of at most m = `ROWS_AT_ONCE`, and these sums are added in float64; a batch of more than `FLOAT32_ROWS` rows is summed
in float64 from the start. S is a float64 vector. Let u be 2^-24 for float32 and 2^-53 for float64, gamma_k =
k u / (1 - k u). Entry by entry, a float sum of k products in any order is off by at most gamma_k times the sum of their
magnitudes (Higham 2002, Accuracy and Stability of Numerical Algorithms, sections 3.1 and 4.2), hence in norm by at most
gamma_k times the sum of the norms of the terms. For n rows of norm at most C, in layers that act once on a row:

    float64 networks    |S - G| <= n gamma_n C: neighbours differ by at most C (1 + 2 n gamma_n), which is below
                        C (1 + 2^-11) up to n = 2^20. Proven.
    float32 networks    |S - G| <= n (gamma_m + gamma'_n) C, with gamma' that of float64. Proven, and pessimistic: for
                        n = m = 1024 it allows neighbours C (1 + 2^-3). Where rounding errors are independent and of
                        mean zero, gamma_m may be replaced by a few sqrt(m) u (Higham and Mary 2019, SIAM J. Sci.
                        Comput. 41(5), A2815); that is an argument, not a proof, and rows that repeat make the errors
                        of all micro-batches alike. The worst found among such batches was 1.6 n u C from neighbour to
                        neighbour: C (1 + 2^-10) for the n <= `FLOAT32_ROWS` rows that are summed so.
    float32 networks, more rows    products and sums are made in float64 from float32 numbers: the first bound again.

Where a layer acts at T places of a row, k counts places, and the norms are those of each place's term. The gradient of
a row may also differ in its last bits with its place in a micro-batch, which these bounds leave out.

`SUM_SLACK` enlarges the sensitivity to C (1 + SUM_SLACK). It covers the sums of float64 networks as proven, and those
of float32 networks as measured. The rest, that is the difference between argument and proof in float32 and the last
bits of single gradients, is of severity *Theoretical*: no attack on it is known.
"""

# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from functools import reduce

import torch
from torch import Tensor, nn

from dpsynth.errors import ConfigError
from dpsynth.networks.masked import MaskedLinear

# The annotations of torch have holes.


class Coordinates:
    """Packs tensors shaped like the trainable parameters into one vector of `size` entries, and back."""

    def __init__(self, module: nn.Module) -> None:
        masks = {id(m.weight): m.mask for m in module.modules() if type(m) is MaskedLinear}
        self._parameters: list[nn.Parameter] = [p for p in module.parameters() if p.requires_grad]
        self._indices: list[Tensor | None] = [
            masks[id(p)].flatten().nonzero().squeeze(1) if id(p) in masks else None for p in self._parameters
        ]
        self._sizes = [
            p.numel() if index is None else index.numel()
            for p, index in zip(self._parameters, self._indices, strict=True)
        ]
        self.size = sum(self._sizes)

    def pack(self, tensors: Sequence[Tensor]) -> Tensor:
        """Tensors in parameter order -> a new vector (size,). Masked entries are not read."""
        pieces = [
            t.reshape(-1) if index is None else t.reshape(-1).index_select(0, index)
            for t, index in zip(tensors, self._indices, strict=True)
        ]
        return torch.cat(pieces) if pieces else torch.zeros(0)

    def native(self, vector: Tensor) -> Tensor:
        """(size,) of any precision -> the same in the dtype and on the device of the parameters."""
        if not self._parameters:
            return vector.float()
        dtype = reduce(torch.promote_types, (p.dtype for p in self._parameters))
        return vector.to(self._parameters[0].device, dtype)

    def zeros(self) -> Tensor:
        """The vector of nothing (size,), where and as the parameters are."""
        return self.pack([torch.zeros_like(p, requires_grad=False) for p in self._parameters])

    def unpack(self, vector: Tensor) -> list[Tensor]:
        """(size,) -> tensors in parameter order and shape, with zeros at the masked entries."""
        tensors: list[Tensor] = []
        pieces = vector.split(self._sizes) if self._sizes else ()
        for p, index, piece in zip(self._parameters, self._indices, pieces, strict=True):
            piece = piece.to(p.dtype)
            if index is not None:
                piece = torch.zeros(p.numel(), dtype=p.dtype, device=p.device).scatter_(0, index, piece)
            tensors.append(piece.view(p.shape))
        return tensors

    def set_gradients(self, vector: Tensor) -> None:
        """Write (size,) into the parameters' `.grad`."""
        for p, gradient in zip(self._parameters, self.unpack(vector), strict=True):
            p.grad = gradient

    def weights(self) -> nn.Parameter:
        """A copy of the parameters as one vector (size,), for an optimizer to work on; `write` puts it back.

        One vector without masked entries takes an optimizer half the time of many tensors with them.
        """
        return nn.Parameter(self.pack([p.detach() for p in self._parameters]))

    def write(self, vector: Tensor) -> None:
        """Write (size,) into the parameters themselves, in place; masked entries stay as they are."""
        pieces = vector.detach().split(self._sizes) if self._sizes else ()
        with torch.no_grad():
            for p, index, piece in zip(self._parameters, self._indices, pieces, strict=True):
                if index is None:
                    p.copy_(piece.view(p.shape))
                else:
                    p.view(-1).scatter_(0, index, piece.to(p.dtype))


# -------------------- Clipping --------------------------------------------------------------

# The annotations of torch have holes.


# Norms are summed in floating point. Enlarging them by far more than their rounding error, and by far less
# than anyone could notice, keeps every clipped row inside the ball of radius C.
SLACK = 2.0**-18

ROWS_AT_ONCE = 1024  # m: the most rows over which a sum is made in less than float64
FLOAT32_ROWS = 8192  # the most rows of a batch whose micro-batches are summed in less than float64
SUM_SLACK = 2.0**-9  # by which the sensitivity of a computed sum exceeds that of the real one; derived above


class ClippedGradients(ABC):
    """Computes sums of per-row clipped gradients of `module(*batch) -> (rows,)` losses.

    clipping_norm: C > 0; infinity clips nothing (but still drops non-finite rows).
    microbatch_size: rows handled at a time; bounds memory and leaves the result as it is, up to rounding. At most
    `ROWS_AT_ONCE` unless all parameters are float64.

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
        self._precise = False  # whether the sums of the present batch are made in float64

    def clipped_sum(self, *batch: Tensor, mask: Tensor | None = None) -> list[Tensor]:
        """The clipped sum over the rows of `batch`, one tensor per trainable parameter in
        `module.parameters()` order.

        batch: tensors of equal first length (rows, ...), as the module takes them; zero rows give zeros.
        mask: (rows,); rows where it is zero add exactly nothing.
        A row whose gradient is not finite also adds nothing, for NaN would pass through any clip factor.
        """
        return self.coordinates.unpack(self.clipped_vector(*batch, mask=mask))

    def clipped_vector(self, *batch: Tensor, mask: Tensor | None = None) -> Tensor:
        """The same sum as one float64 vector over `self.coordinates`, without the entries that masks hide."""
        rows, size = len(batch[0]), self._rows_at_once()
        self._precise = rows > FLOAT32_ROWS and batch[0].device.type != "mps"
        total: Tensor | None = None
        norms: list[Tensor] = []
        for start in range(0, rows, size):
            chunk = slice(start, start + size)
            counted = None if mask is None else mask[chunk] != 0
            sums, chunk_norms = self._chunk(tuple(x[chunk] for x in batch), counted)
            addend = self.coordinates.pack(sums)
            total = _wide(addend) if total is None else total.add_(addend.to(total.device))
            norms.append(chunk_norms.detach())
        self.norms = torch.cat(norms) if norms else self.norms.new_zeros(0)
        return _wide(self.coordinates.zeros()) if total is None else total

    def _rows_at_once(self) -> int:
        """Rows of a micro-batch; sums in less than float64 are over at most `ROWS_AT_ONCE` rows."""
        if all(p.dtype == torch.float64 for p in self.parameters):
            return self.microbatch_size or 2**62
        return min(self.microbatch_size or ROWS_AT_ONCE, ROWS_AT_ONCE)

    @abstractmethod
    def _chunk(self, batch: tuple[Tensor, ...], mask: Tensor | None) -> tuple[Sequence[Tensor], Tensor]:
        """The clipped sums of one micro-batch of at least one row, by parameter, and the norms (rows,).

        `mask` is boolean. Entries of the sums that a masked layer hides are not read.
        """

    def _factors(self, norms: Tensor, mask: Tensor | None) -> Tensor:
        """What each row is multiplied by: min(1, C / norm), and zero where masked or not finite. (rows,)

        In the precision in which the weighted sum is to be made.
        """
        factors = (self.clipping_norm / (norms * (1 + SLACK))).clamp(max=1)
        counted = torch.isfinite(norms)
        factors = torch.where(counted if mask is None else counted & mask, factors, torch.zeros_like(factors))
        return factors.double() if self._precise else factors

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
            torch.zeros_like(p) if g is None else torch.tensordot(factors, g.to(factors.dtype), dims=1)
            for p, g in zip(self.parameters, gradients, strict=True)
        ]
        return sums, norms


def _wide(vector: Tensor) -> Tensor:
    """In float64, where that exists: on its device, else on the processor."""
    return vector.to("cpu" if vector.device.type == "mps" else vector.device, torch.float64)


def refuse_mixing_layers(module: nn.Module) -> None:
    """Raise ConfigError if a layer reads or remembers statistics of the batch (batch norm, running averages),
    or rewrites its weights from the rows it sees (embeddings with `max_norm`).

    Only layers known by type are found here; `rows_interact` in `fused.py` tests any module by numbers.
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
