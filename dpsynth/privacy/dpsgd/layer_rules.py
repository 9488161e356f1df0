"""Per-row gradients of single layers, from what went in and what came back, without forming them where that
pays.

For a layer that was given `a` and received back the gradient `b` of the losses with respect to its output,
row i's weight gradient is b_i outer a_i. Its norm needs |a_i|^2 |b_i|^2 only (Goodfellow 2015,
arXiv:1510.01799), and the clipped sum over rows is one matrix product of the scaled b with a. Sequences
(rows, T, .) sum T outer products a row; their norm comes from the T x T Gram matrices (Li et al. 2022,
arXiv:2110.05679) or from the formed gradient, whichever is cheaper.

A rule maps (layer, inputs of its calls, backprops of its calls) to a `RowGradients`.
"""

# The annotations of torch and opacus have holes.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol, cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from dpsynth.networks.masked import MaskedConv2d, MaskedLinear

_FORMED_AT_ONCE = 2**24  # numbers; how much per-row gradient is formed at a time when a norm needs it


class RowGradients(Protocol):
    """One layer's gradients for every row of a batch, in whatever form is cheapest."""

    def squared_norms(self) -> Tensor:
        """(rows,): squared L2 norm over all the layer's trainable parameters."""
        ...

    def weighted_sum(self, factors: Tensor) -> dict[str, Tensor]:
        """sum_i factors[i] g_i by parameter name, each in the parameter's shape and the precision of `factors`."""
        ...

    def keep(self, rows: Tensor) -> RowGradients:
        """The gradients of the chosen rows (indices)."""
        ...


@dataclass(frozen=True)
class Formed:
    """Gradients small enough to hold: name -> (rows, *shape of the parameter)."""

    gradients: Mapping[str, Tensor]

    def squared_norms(self) -> Tensor:
        return torch.stack([g.flatten(1).square().sum(1) for g in self.gradients.values()]).sum(0)

    def weighted_sum(self, factors: Tensor) -> dict[str, Tensor]:
        return {name: torch.tensordot(factors, g.to(factors.dtype), dims=1) for name, g in self.gradients.items()}

    def keep(self, rows: Tensor) -> Formed:
        return Formed({name: g[rows] for name, g in self.gradients.items()})


@dataclass(frozen=True)
class OuterProducts:
    """Gradients of a linear map, masked or not: a (rows, T, in) went in, b (rows, T, out) came back."""

    layer: nn.Linear | MaskedLinear | nn.Conv2d
    a: Tensor
    b: Tensor

    def squared_norms(self) -> Tensor:
        layer = self.layer
        bias = layer.bias is not None and layer.bias.requires_grad
        if layer.weight.requires_grad and self.a.shape[1] == 1:
            return self.squared_weight_norms(bias)
        norms = self.a.new_zeros(len(self.a))
        if layer.weight.requires_grad:
            norms += self.squared_weight_norms()
        return norms + self.b.sum(1).square().sum(1) if bias else norms

    def squared_weight_norms(self, bias: bool = False) -> Tensor:
        """(rows,): squared norms of the weight's gradients; with T = 1 and `bias`, of the bias's too."""
        layer, (steps, inputs) = self.layer, self.a.shape[1:]
        if steps == 1:
            a, b = self.a.squeeze(1), self.b.squeeze(1)
            if isinstance(layer, MaskedLinear):
                return layer.squared_outer_norms(a, b, bias)
            return (a.square().sum(1) + int(bias)) * b.square().sum(1)
        outputs = self.b.shape[2]
        if not isinstance(layer, MaskedLinear) and steps * (inputs + outputs) <= inputs * outputs:
            # The entries may cancel almost wholly, so a Gram sum in float32 could miss a norm above the
            # clipping norm.
            a, b = _wide(self.a), _wide(self.b)
            grams = (a @ a.transpose(1, 2)) * (b @ b.transpose(1, 2))
            return grams.sum((1, 2)).clamp(min=0).to(self.a.dtype)
        size = max(1, _FORMED_AT_ONCE // (inputs * outputs))
        norms: list[Tensor] = []
        for a, b in zip(self.a.split(size), self.b.split(size), strict=True):
            formed = torch.bmm(b.transpose(1, 2), a)
            if isinstance(layer, MaskedLinear):
                formed.mul_(layer.mask)
            norms.append(formed.square().sum((1, 2)))
        return torch.cat(norms)

    def weighted_sum(self, factors: Tensor) -> dict[str, Tensor]:
        sums: dict[str, Tensor] = {}
        layer = self.layer
        if layer.weight.requires_grad:
            a, b = self.a.to(factors.dtype), self.b.to(factors.dtype)
            if a.shape[2] < b.shape[2]:  # scale the narrower of the two
                a = a * factors[:, None, None]
            else:
                b = b * factors[:, None, None]
            a, b = a.flatten(0, 1), b.flatten(0, 1)
            product = layer.outer_sum(a, b) if isinstance(layer, MaskedLinear) else b.T @ a
            sums["weight"] = product.reshape(layer.weight.shape)
        if layer.bias is not None and layer.bias.requires_grad:
            b = self.b.to(factors.dtype)
            sums["bias"] = factors @ (b.squeeze(1) if b.shape[1] == 1 else b.sum(1))
        return sums

    def keep(self, rows: Tensor) -> OuterProducts:
        return OuterProducts(self.layer, self.a[rows], self.b[rows])


@dataclass(frozen=True)
class Lookups:
    """Gradients of an embedding table: rows `index` (rows, T) were read, b (rows, T, width) came back."""

    layer: nn.Embedding
    index: Tensor
    b: Tensor

    def squared_norms(self) -> Tensor:
        if self.index.shape[1] == 1:
            return self.b.square().sum((1, 2))
        b = _wide(self.b)  # for the same reason as above
        same = self.index[:, :, None] == self.index[:, None, :]
        return ((b @ b.transpose(1, 2)) * same).sum((1, 2)).clamp(min=0).to(self.b.dtype)

    def weighted_sum(self, factors: Tensor) -> dict[str, Tensor]:
        table = torch.zeros_like(self.layer.weight, requires_grad=False, dtype=factors.dtype)
        scaled = (self.b.to(factors.dtype) * factors[:, None, None]).flatten(0, 1)
        return {"weight": table.index_add_(0, self.index.flatten(), scaled)}

    def keep(self, rows: Tensor) -> Lookups:
        return Lookups(self.layer, self.index[rows], self.b[rows])


Rule = Callable[..., RowGradients]


def _wide(x: Tensor) -> Tensor:
    """In float64 where the device has it."""
    return x if x.device.type == "mps" else x.double()


def _sequence(calls: Sequence[Tensor]) -> Tensor:
    """(rows, ..., width) of every call -> (rows, T, width), the calls one after another along T."""
    parts = [x.reshape(len(x), -1, x.shape[-1]) for x in calls]
    return parts[0] if len(parts) == 1 else torch.cat(parts, 1)


def _linear(layer: nn.Linear | MaskedLinear, inputs: Sequence[Tensor], backprops: Sequence[Tensor]) -> RowGradients:
    return OuterProducts(layer, _sequence(inputs), _sequence(backprops))


def _convolution(layer: nn.Conv2d, inputs: Sequence[Tensor], backprops: Sequence[Tensor]) -> RowGradients:
    """A convolution is a linear map of its patches; with groups, each channel group has its own."""
    patches = torch.cat([_patches(layer, x) for x in inputs], 2)  # (rows, in * kernel, T)
    back = torch.cat([b.flatten(2) for b in backprops], 2)  # (rows, out, T)
    if layer.groups == 1:
        return OuterProducts(layer, patches.transpose(1, 2), back.transpose(1, 2))
    gradients: dict[str, Tensor] = {}
    if layer.weight.requires_grad:
        a, b = patches.unflatten(1, (layer.groups, -1)), back.unflatten(1, (layer.groups, -1))
        gradients["weight"] = (b @ a.transpose(2, 3)).reshape(len(a), *layer.weight.shape)
    if layer.bias is not None and layer.bias.requires_grad:
        gradients["bias"] = back.sum(2)
    return Formed(gradients)


def masked_convolution(layer: MaskedConv2d, inputs: Sequence[Tensor], backprops: Sequence[Tensor]) -> Formed:
    """A map of the visible patches. There are far more places than weights, so the row's gradient, one matrix product
    over the places, is smaller than its two factors: it is formed once, for the norm and for the sum."""
    gradients: dict[str, Tensor] = {}
    if layer.weight.requires_grad:
        formed = [
            torch.bmm(b.flatten(2), layer.patches(x).flatten(3).flatten(1, 2).transpose(1, 2))
            for x, b in zip(inputs, backprops, strict=True)
        ]
        gradients["weight"] = _total(formed).view(-1, *layer.weight.shape)
    if layer.bias is not None and layer.bias.requires_grad:
        gradients["bias"] = _total([b.flatten(2).sum(2) for b in backprops])
    return Formed(gradients)


def _total(parts: Sequence[Tensor]) -> Tensor:
    return parts[0] if len(parts) == 1 else torch.stack(list(parts)).sum(0)


def _patches(layer: nn.Conv2d, x: Tensor) -> Tensor:
    """The input patches each output pixel sees: (rows, in * kernel, pixels), whatever the padding."""
    mode = "constant" if layer.padding_mode == "zeros" else layer.padding_mode
    x = F.pad(x, layer._reversed_padding_repeated_twice, mode=mode)  # pyright: ignore[reportPrivateUsage]
    return F.unfold(x, layer.kernel_size, dilation=layer.dilation, stride=layer.stride)


def _embedding(layer: nn.Embedding, inputs: Sequence[Tensor], backprops: Sequence[Tensor]) -> RowGradients:
    index, b = torch.cat([x.reshape(len(x), -1) for x in inputs], 1), _sequence(backprops)
    if layer.padding_idx is not None:
        b = b.masked_fill((index == layer.padding_idx)[..., None], 0)
    return Lookups(layer, index, b)


def _layer_norm(layer: nn.LayerNorm, inputs: Sequence[Tensor], backprops: Sequence[Tensor]) -> RowGradients:
    shape = tuple(layer.normalized_shape)
    normed = [F.layer_norm(x, shape, eps=layer.eps) for x in inputs]

    def total(x: Tensor) -> Tensor:
        return x.reshape(len(x), -1, *shape).sum(1)

    return _affine(layer, normed, backprops, total)


def _group_norm(layer: nn.GroupNorm, inputs: Sequence[Tensor], backprops: Sequence[Tensor]) -> RowGradients:
    normed = [F.group_norm(x, layer.num_groups, eps=layer.eps) for x in inputs]

    def total(x: Tensor) -> Tensor:
        return x.reshape(*x.shape[:2], -1).sum(2)

    return _affine(layer, normed, backprops, total)


def _affine(
    layer: nn.LayerNorm | nn.GroupNorm,
    normed: Sequence[Tensor],
    backprops: Sequence[Tensor],
    total: Callable[[Tensor], Tensor],
) -> RowGradients:
    """Gradients of `weight * normed + bias`; `total` sums a row over all places where one entry acts."""
    gradients: dict[str, Tensor] = {}
    if layer.weight.requires_grad:
        gradients["weight"] = torch.stack([total(b * x) for b, x in zip(backprops, normed, strict=True)]).sum(0)
    bias = cast("nn.Parameter | None", layer.bias)
    if bias is not None and bias.requires_grad:
        gradients["bias"] = torch.stack([total(b) for b in backprops]).sum(0)
    return Formed(gradients)


RULES: Mapping[type[nn.Module], Rule] = {
    nn.Linear: _linear,
    MaskedLinear: _linear,
    nn.Conv2d: _convolution,
    MaskedConv2d: masked_convolution,
    nn.Embedding: _embedding,
    nn.LayerNorm: _layer_norm,
    nn.GroupNorm: _group_norm,
}
