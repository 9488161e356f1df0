"""Clipped gradient sums from one forward and one backward pass: the fast default.

Ghost clipping runs backward twice, once for the norms and once for the clipped sum. Here hooks keep each
layer's input, one backward pass yields the gradient at each layer's output and forms no weight gradient at
all, and the layer rules make first the norms and then, with the clip factors known, the clipped sums out of
these pairs. The work is that of a plain backward pass plus a few per cent.
"""

# The annotations of torch have holes.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

import torch
from torch import Tensor, nn

from dpsynth.errors import ConfigError
from dpsynth.privacy.clipping import ClippedGradients
from dpsynth.privacy.isolation import check_structure
from dpsynth.privacy.layer_rules import RULES, RowGradients
from dpsynth.privacy.recording import Call, recorded_calls, trainable_layers


class FusedGradients(ClippedGradients):
    """One-pass clipped sums for modules whose trainable layers all have a rule (see `RULES`), by exact type.

    A layer may be called several times in a forward pass. Refused with a ConfigError: other layers with
    parameters of their own, a parameter shared by two layers or used outside its layer, rows that are not the
    first dimension.
    """

    def __init__(self, module: nn.Module, clipping_norm: float, microbatch_size: int | None = None) -> None:
        super().__init__(module, clipping_norm, microbatch_size)
        self._layers = trainable_layers(module)
        self._checked: tuple[object, ...] | None = None
        owners: dict[int, str] = {}
        for name, layer in self._layers.items():
            own = [key for key, p in layer.named_parameters(recurse=False) if p.requires_grad]
            if type(layer) not in RULES or not {"weight", "bias"}.issuperset(own):
                raise ConfigError(
                    f"layer '{name}' ({type(layer).__name__}) has parameters but no rule for clipping; "
                    "use privacy.gradients=functorch, which takes any module"
                )
            for parameter in layer.parameters(recurse=False):
                if id(parameter) in owners:
                    raise ConfigError(
                        f"layers '{owners[id(parameter)]}' and '{name}' share a parameter; "
                        "use privacy.gradients=functorch, which takes any module"
                    )
                owners[id(parameter)] = name

    def _chunk(self, batch: tuple[Tensor, ...], mask: Tensor | None) -> tuple[Sequence[Tensor], Tensor]:
        self._check_once(batch)
        with torch.enable_grad(), recorded_calls(self._layers) as calls:
            losses = self.module(*batch)
        gradients: dict[str, RowGradients] = {}
        norms = losses.new_zeros(len(losses))
        with torch.no_grad():
            for name, layer_gradients in _by_layer(losses, calls).items():
                gradients[name] = layer_gradients
                norms += layer_gradients.squared_norms()
            norms.sqrt_()
            factors = self._factors(norms, mask)
            # Zero times NaN is NaN, so rows that are not finite have to leave. Which way is taken shows in no
            # result.
            finite = torch.isfinite(norms)
            if not bool(finite.all()):
                rows = finite.nonzero().squeeze(1)
                gradients = {name: g.keep(rows) for name, g in gradients.items()}
                factors = factors[rows]
            sums: dict[int, Tensor] = {}
            for name, layer_gradients in gradients.items():
                layer = self._layers[name]
                for key, total in layer_gradients.weighted_sum(factors).items():
                    sums[id(getattr(layer, key))] = total
        return [sums[id(p)] if id(p) in sums else torch.zeros_like(p) for p in self.parameters], norms

    def _check_once(self, batch: tuple[Tensor, ...]) -> None:
        """Check the network's structure when a batch of a new make (shapes, dtypes, mode) first comes by."""
        make = (self.module.training, *((x.shape[1:], x.dtype, x.device) for x in batch))
        if make != self._checked:
            check_structure(self.module, self._layers, batch)
            self._checked = make


def _by_layer(losses: Tensor, calls: list[Call]) -> dict[str, RowGradients]:
    """Send the losses back to every layer's output, and hand each layer its (input, backprop) pairs."""
    if not calls:
        return {}
    back = cast(  # torch's annotation forgets the None of what the losses do not use
        "Sequence[Tensor | None]",
        torch.autograd.grad(losses, [call.output for call in calls], torch.ones_like(losses), allow_unused=True),
    )
    pairs: dict[str, list[tuple[Tensor, Tensor]]] = {}
    for call, b in zip(calls, back, strict=True):
        if b is not None:
            pairs.setdefault(call.name, []).append((call.input.detach(), b))
    layers = {call.name: call.layer for call in calls}
    return {
        name: RULES[type(layers[name])](layers[name], [a for a, _ in uses], [b for _, b in uses])
        for name, uses in pairs.items()
    }
