"""Which engine computes the sums of per-row clipped gradients, and the reference engines that take any module.

Clipped gradient sums that take any module: `torch.func` over chunks of rows, and a plain loop over single
rows.

Slow, and obviously right: the loop is what every other engine is tested against.

Which engine computes the sums of per-row clipped gradients. All give the same numbers.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal, get_args

import torch
from torch import Tensor, nn

from dpsynth.errors import ConfigError
from dpsynth.privacy.dpsgd.clipping import ClippedGradients
from dpsynth.privacy.dpsgd.fused import FusedGradients

_FORMED_AT_ONCE = 2**26  # numbers; default micro-batches keep the formed gradients within 256 MB


class FunctorchGradients(ClippedGradients):
    """Per-row gradients by `vmap(grad(loss of one row))`; exact for any network that `vmap` can run.

    Without a micro-batch size one is chosen that bounds the memory, for every per-row gradient is formed.
    """

    def __init__(self, module: nn.Module, clipping_norm: float, microbatch_size: int | None = None) -> None:
        super().__init__(module, clipping_norm, microbatch_size)
        numbers = sum(p.numel() for p in self.parameters)
        self.microbatch_size = microbatch_size or max(1, _FORMED_AT_ONCE // max(numbers, 1))

    def _chunk(self, batch: tuple[Tensor, ...], mask: Tensor | None) -> tuple[Sequence[Tensor], Tensor]:
        parameters = {name: p.detach() for name, p in self.module.named_parameters() if p.requires_grad}
        state = {name: p.detach() for name, p in self.module.named_parameters() if not p.requires_grad}
        state |= {name: b.detach() for name, b in self.module.named_buffers()}

        def loss(parameters: dict[str, Tensor], *row: Tensor) -> Tensor:
            one = tuple(x.unsqueeze(0) for x in row)
            losses: Any = torch.func.functional_call(self.module, {**parameters, **state}, one)
            return losses.squeeze(0)

        dims = (None, *(0 for _ in batch))
        rows_gradients: Any = torch.func.vmap(torch.func.grad(loss), in_dims=dims, randomness="different")
        try:
            samples: dict[str, Tensor] = rows_gradients(parameters, *batch)
        except RuntimeError as error:
            if "vmap" not in str(error):
                raise
            reason = str(error).splitlines()[0]
            raise ConfigError(f"torch.func cannot run this network ({reason}); use privacy.gradients=loop") from error
        return self._clip_formed(list(samples.values()), batch[0], mask)


class LoopGradients(ClippedGradients):
    """One row at a time, by the definition."""

    def _chunk(self, batch: tuple[Tensor, ...], mask: Tensor | None) -> tuple[Sequence[Tensor], Tensor]:
        sums = [torch.zeros_like(p, dtype=torch.float64 if self._precise else None) for p in self.parameters]
        norms: list[Tensor] = []
        for row in range(len(batch[0])):
            with torch.enable_grad():
                loss = self.module(*(x[row : row + 1] for x in batch)).sum()
            gradients = [torch.zeros_like(p) for p in self.parameters]
            if loss.requires_grad:
                gradients = torch.autograd.grad(loss, self.parameters, allow_unused=True, materialize_grads=True)
            norm = torch.stack([g.square().sum() for g in gradients]).sum().sqrt()
            norms.append(norm)
            factor = self._factors(norm[None], None if mask is None else mask[row : row + 1])
            if bool(factor > 0):
                for total, gradient in zip(sums, gradients, strict=True):
                    total.add_(gradient * factor)
        return sums, torch.stack(norms)


# -------------------- Gradients -------------------------------------------------------------

Mode = Literal["fused", "ghost", "hooks", "functorch", "loop"]

__all__ = ["ClippedGradients", "Mode", "clipped_gradients"]


def clipped_gradients(
    mode: Mode, module: nn.Module, clipping_norm: float, microbatch_size: int | None = None
) -> ClippedGradients:
    """The engine named `mode` for `module(*batch) -> (rows,)` losses.

    fused      one backward pass, nothing per row is formed: the default
    ghost      Opacus, two backward passes
    hooks      Opacus, every per-row gradient is formed
    functorch  torch.func, every per-row gradient is formed; takes any module
    loop       one row at a time: the reference

    Raises ConfigError for an unknown mode, or a module that the mode cannot treat exactly.
    """
    if mode not in get_args(Mode):
        raise ConfigError(f"privacy.gradients '{mode}' is unknown; choose one of {', '.join(get_args(Mode))}")
    return _engine(mode)(module, clipping_norm, microbatch_size)


def _engine(mode: Mode) -> type[ClippedGradients]:
    if mode in ("ghost", "hooks"):  # importing Opacus takes a second, which all other runs are spared
        from dpsynth.privacy.dpsgd.opacus_modes import GhostGradients, HookGradients

        return GhostGradients if mode == "ghost" else HookGradients
    own: dict[str, type[ClippedGradients]] = {
        "fused": FusedGradients,
        "functorch": FunctorchGradients,
        "loop": LoopGradients,
    }
    return own[mode]
