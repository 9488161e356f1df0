"""Clipped gradient sums by Opacus: ghost clipping (two backward passes) and materialising hooks.

Opacus (Yousefpour et al. 2021, arXiv:2109.12298) knows layers by exact type; the rules for `MaskedLinear` and
`MaskedConv2d` are registered here. It records only while the module is in training mode, and refuses modules that have
buffers.
"""

# The annotations of torch and opacus have holes.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false
# pyright: reportMissingTypeStubs=false

from __future__ import annotations

import warnings
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from opacus.grad_sample import GradSampleModule, GradSampleModuleFastGradientClipping
from opacus.grad_sample.utils import register_grad_sampler, register_norm_sampler
from torch import Tensor, nn

from dpsynth.errors import ConfigError
from dpsynth.networks.masked import MaskedConv2d, MaskedLinear
from dpsynth.privacy.dpsgd.clipping import ClippedGradients
from dpsynth.privacy.dpsgd.layer_rules import OuterProducts, masked_convolution


@register_grad_sampler(MaskedLinear)
def masked_grad_sample(layer: MaskedLinear, activations: list[Tensor], backprops: Tensor) -> dict[nn.Parameter, Tensor]:
    """Per-row gradients (rows, out, in) of the weight and (rows, out) of the bias."""
    samples: dict[nn.Parameter, Tensor] = {}
    if layer.weight.requires_grad:
        samples[layer.weight] = torch.einsum("n...o,n...i->noi", backprops, activations[0]) * layer.mask
    if layer.bias is not None and layer.bias.requires_grad:
        samples[layer.bias] = torch.einsum("n...o->no", backprops)
    return samples


@register_norm_sampler(MaskedLinear)
def masked_norm_sample(layer: MaskedLinear, activations: list[Tensor], backprops: Tensor) -> dict[nn.Parameter, Tensor]:
    """Norms (rows,) of the per-row gradients of weight and bias, from the nested groups of the mask."""
    rows = OuterProducts(layer, *(x.reshape(len(x), -1, x.shape[-1]) for x in (activations[0], backprops)))
    samples: dict[nn.Parameter, Tensor] = {}
    if layer.weight.requires_grad:
        samples[layer.weight] = rows.squared_weight_norms().sqrt()
    if layer.bias is not None and layer.bias.requires_grad:
        samples[layer.bias] = rows.b.sum(1).norm(dim=1)
    return samples


@register_grad_sampler(MaskedConv2d)
def convolved_grad_sample(
    layer: MaskedConv2d, activations: list[Tensor], backprops: Tensor
) -> dict[nn.Parameter, Tensor]:
    """Per-row gradients (rows, *shape) of weight and bias."""
    formed = masked_convolution(layer, activations, [backprops]).gradients
    return {getattr(layer, name): gradient for name, gradient in formed.items()}


@register_norm_sampler(MaskedConv2d)
def convolved_norm_sample(
    layer: MaskedConv2d, activations: list[Tensor], backprops: Tensor
) -> dict[nn.Parameter, Tensor]:
    """Norms (rows,) of the per-row gradients of weight and bias."""
    formed = masked_convolution(layer, activations, [backprops]).gradients
    return {getattr(layer, name): gradient.flatten(1).norm(dim=1) for name, gradient in formed.items()}


class _OpacusGradients(ClippedGradients):
    """Common to both: the wrapper lives for one micro-batch and leaves nothing on the module."""

    wrapper: type[Any]

    def __init__(self, module: nn.Module, clipping_norm: float, microbatch_size: int | None = None) -> None:
        super().__init__(module, clipping_norm, microbatch_size)
        buffers = [name for name, _ in module.named_buffers()]
        if buffers:
            raise ConfigError(f"Opacus takes no module with buffers ('{buffers[0]}'); use privacy.gradients=fused")
        for name, layer in module.named_modules():  # padding_idx: measured, opacus 1.6.0 against the loop
            if isinstance(layer, nn.Embedding) and layer.padding_idx is not None:
                raise ConfigError(f"Opacus gives '{name}' a gradient at padding_idx; use privacy.gradients=fused")
            if isinstance(layer, nn.Conv2d) and layer.padding_mode != "zeros":
                raise ConfigError(f"Opacus pads '{name}' with zeros only; use privacy.gradients=fused")

    @contextmanager
    def _wrapped(self) -> Generator[Any]:
        if not self.module.training:
            raise ConfigError("Opacus records gradients in training mode only; call module.train() first")
        held = [p.grad for p in self.parameters]
        try:
            for p in self.parameters:
                p.grad = None
            wrapped = self.wrapper(self.module, loss_reduction="sum")
            try:
                with warnings.catch_warnings(), torch.enable_grad():
                    warnings.filterwarnings("ignore", message=".*[Ff]ull backward hook.*")
                    yield wrapped
            finally:
                wrapped._close()
                for layer in self.module.modules():
                    for leftover in ("activations", "max_batch_len"):
                        layer.__dict__.pop(leftover, None)
        except NotImplementedError as error:
            reason = str(error).splitlines()[0]
            raise ConfigError(f"Opacus refuses the network ({reason}); use privacy.gradients=functorch") from error
        finally:
            for p, gradient in zip(self.parameters, held, strict=True):
                p.grad = gradient


class HookGradients(_OpacusGradients):
    """Opacus's `GradSampleModule`: every per-row gradient is formed, rows x parameters numbers."""

    wrapper = GradSampleModule

    def _chunk(self, batch: tuple[Tensor, ...], mask: Tensor | None) -> tuple[Sequence[Tensor], Tensor]:
        with self._wrapped() as wrapped:
            wrapped(*batch).sum().backward()
            samples = [p.grad_sample for p in self.parameters]  # pyright: ignore[reportAttributeAccessIssue]
        return self._clip_formed(samples, batch[0], mask)


class GhostGradients(_OpacusGradients):
    """Opacus's `GradSampleModuleFastGradientClipping`: a backward pass for norms, another for the sum.

    The second pass sums in the precision of the network whatever the batch; see `clipping.py` for what that leaves.
    """

    wrapper = GradSampleModuleFastGradientClipping

    def _chunk(self, batch: tuple[Tensor, ...], mask: Tensor | None) -> tuple[Sequence[Tensor], Tensor]:
        with self._wrapped() as wrapped:
            losses = wrapped(*batch)
            losses.sum().backward(retain_graph=True)
            samples = [p._norm_sample for p in self.parameters if hasattr(p, "_norm_sample")]  # pyright: ignore
            norms = torch.stack(samples).norm(dim=0) if samples else losses.new_zeros(len(losses))
            factors = self._factors(norms, mask)
            finite = torch.isfinite(norms)
            if bool(finite.all()):
                wrapped.disable_hooks()
                weighted = (factors.to(losses.dtype) * losses).sum()
                sums = torch.autograd.grad(weighted, self.parameters, allow_unused=True, materialize_grads=True)
                return sums, norms
        # Rows that are not finite would spoil the weighted loss, factor zero or not: start again without
        # them.
        rows = finite.nonzero().squeeze(1)
        if len(rows) == 0:
            return [torch.zeros_like(p) for p in self.parameters], norms
        kept, _ = self._chunk(tuple(x[rows] for x in batch), None if mask is None else mask[rows])
        return kept, norms
