"""Clipped gradient sums from one forward and one backward pass: the fast default, and the check that rows stand alone.

Watching a forward pass: what went into each trainable layer, and where in the graph its output stands.

Does every row stand alone? Checks that a network's per-row losses can be clipped row by row.

`check_structure` runs the network on made-up rows (all zeros, so nothing here can depend on private data) and
refuses what would make the layer rules wrong or let rows see each other. `rows_interact` is the numerical
test for tests.

Ghost clipping runs backward twice, once for the norms and once for the clipped sum. Here hooks keep each
layer's input, one backward pass yields the gradient at each layer's output and forms no weight gradient at
all, and the layer rules make first the norms and then, with the clip factors known, the clipped sums out of
these pairs. The work is that of a plain backward pass plus a few per cent.
"""

# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from typing import Any, NamedTuple, cast

import torch
from torch import Tensor, nn
from torch.autograd.graph import GradientEdge, Node, get_gradient_edge

from dpsynth.errors import ConfigError
from dpsynth.privacy.dpsgd.clipping import ClippedGradients
from dpsynth.privacy.dpsgd.layer_rules import RULES, RowGradients

# The annotations of torch and opacus have holes.


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


# -------------------- Isolation -------------------------------------------------------------

# The annotations of torch have holes.


_ANY_MODULE = "; privacy.gradients=functorch takes any module"


def check_structure(module: nn.Module, layers: Mapping[str, nn.Module], like: Sequence[Tensor]) -> None:
    """Raise ConfigError unless every trainable layer is called as a layer, once or more, on (rows, ...)
    tensors.

    `like` gives shapes, dtypes and devices of the batch; its values and its number of rows are not looked at.
    Both 2 and 3 rows are tried: a tensor of fixed length that happens to equal one batch size is found by the
    other.
    """
    for rows in (2, 3):
        made_up = tuple(x.new_zeros((rows, *x.shape[1:])) for x in like)
        with _same_randomness(like[0].device), torch.enable_grad(), recorded_calls(layers) as calls:
            losses: Tensor = module(*made_up)
        _refuse_other_shapes(rows, losses, calls)
        if rows == 3:
            _refuse_stray_parameters(losses, calls, module)
            _refuse_interaction(losses, calls)


def _refuse_other_shapes(rows: int, losses: Tensor, calls: Sequence[Call]) -> None:
    if losses.shape != (rows,):
        found = tuple(losses.shape)
        raise ConfigError(f"the network's forward must give one loss per row, shape ({rows},), not {found}")
    for call in calls:
        if call.input.shape[:1] != (rows,) or call.rows != rows:
            raise ConfigError(
                f"layer '{call.name}' is fed {tuple(call.input.shape)} for {rows} rows; its first dimension "
                "must be the rows, or its gradients cannot be separated by row" + _ANY_MODULE
            )
        if call.input._version != call.version:
            raise ConfigError(f"the input of layer '{call.name}' is changed in place after use" + _ANY_MODULE)


def rows_interact(module: nn.Module, *batch: Tensor) -> bool:
    """Whether some row's gradient changes when another row is replaced by its neighbour. For tests, on
    made-up rows.

    Compares, for every row i, the gradient of loss i within `batch` with that within a batch whose other rows
    are shifted by one place. batch: tensors (rows, ...), at least 3 rows.
    """
    parameters = [p for p in module.parameters() if p.requires_grad]
    rows = len(batch[0])

    def gradient(order: Tensor, place: int) -> Tensor:
        with _same_randomness(batch[0].device):
            loss = module(*(x[order] for x in batch))[place]
        parts = torch.autograd.grad(loss, parameters, allow_unused=True, materialize_grads=True)
        return torch.cat([part.flatten() for part in parts])

    for place in range(rows):
        others = torch.arange(rows).roll(1)
        others[place] = place
        before, after = gradient(torch.arange(rows), place), gradient(others, place)
        if not torch.allclose(before, after, rtol=1e-5, atol=1e-6 * float(before.abs().max()), equal_nan=True):
            return True
    return False


def _refuse_stray_parameters(losses: Tensor, calls: Sequence[Call], module: nn.Module) -> None:
    """Find parameters that the losses reach by a way other than through the recorded calls."""
    names = {id(p): name for name, p in module.named_parameters() if p.requires_grad}
    inside = {call.output.node for call in calls}
    ahead: list[Node | None] = [losses.grad_fn, *(call.input.grad_fn for call in calls)]
    met: set[Node] = set()
    while ahead:
        node = ahead.pop()
        if node is None or node in met or node in inside:
            continue
        met.add(node)
        name = names.get(id(getattr(node, "variable", None)))
        if name is not None:
            raise ConfigError(f"parameter '{name}' is used outside its layer's own forward call" + _ANY_MODULE)
        ahead.extend(following for following, _ in node.next_functions)


def _refuse_interaction(losses: Tensor, calls: Sequence[Call]) -> None:
    """The first loss must send nothing back to the other rows."""
    if not calls:
        return
    back = cast(  # torch's annotation forgets the None of what the loss does not use
        "Sequence[Tensor | None]",
        torch.autograd.grad(losses[0], [call.output for call in calls], allow_unused=True),
    )
    for call, gradient in zip(calls, back, strict=True):
        if gradient is not None and bool((gradient[1:].nan_to_num() != 0).any()):
            raise ConfigError(f"rows interact: the loss of a row depends on the output of '{call.name}' for other rows")


def _same_randomness(device: torch.device) -> AbstractContextManager[Any]:
    """Leave torch's global random state as it was (dropout may draw from it)."""
    return torch.random.fork_rng(devices=[device] if device.type == "cuda" else [])


# -------------------- Fused -----------------------------------------------------------------

# The annotations of torch have holes.


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
