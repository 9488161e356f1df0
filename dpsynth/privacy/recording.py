"""Watching a forward pass: what went into each trainable layer, and where in the graph its output stands."""

# The annotations of torch and opacus have holes.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from typing import Any, NamedTuple

from torch import Tensor, nn
from torch.autograd.graph import GradientEdge, get_gradient_edge


class Call(NamedTuple):
    """One use of a layer. `output` is an edge of the graph, so a later in-place operation cannot move it."""

    name: str
    layer: nn.Module
    input: Tensor
    version: int  # of the input at the time of the call
    output: GradientEdge
    rows: int


def trainable_layers(module: nn.Module) -> dict[str, nn.Module]:
    """Name -> layer, for every layer that itself holds a trainable parameter."""
    return {
        name or "module": layer
        for name, layer in module.named_modules()
        if any(p.requires_grad for p in layer.parameters(recurse=False))
    }


@contextmanager
def recorded_calls(layers: Mapping[str, nn.Module]) -> Generator[list[Call]]:
    """Collect the calls of `layers` made inside the block, in order. The hooks are gone afterwards."""
    calls: list[Call] = []

    def hook_for(name: str) -> Callable[[nn.Module, Any, Tensor], None]:
        def hook(layer: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
            if output.requires_grad:
                x = inputs[0]
                calls.append(Call(name, layer, x, x._version, get_gradient_edge(output), len(output)))

        return hook

    handles = [layer.register_forward_hook(hook_for(name)) for name, layer in layers.items()]
    try:
        yield calls
    finally:
        for handle in handles:
            handle.remove()
