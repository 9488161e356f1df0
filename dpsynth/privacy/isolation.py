"""Does every row stand alone? Checks that a network's per-row losses can be clipped row by row.

`check_structure` runs the network on made-up rows (all zeros, so nothing here can depend on private data) and
refuses what would make the layer rules wrong or let rows see each other. `rows_interact` is the numerical
test for tests.
"""

# The annotations of torch have holes.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.autograd.graph import Node

from dpsynth.errors import ConfigError
from dpsynth.privacy.recording import Call, recorded_calls

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
                "must be the rows, or its gradient cannot be told apart by row" + _ANY_MODULE
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
            raise ConfigError(f"rows interact: the loss of one row depends on what '{call.name}' makes of other rows")


def _same_randomness(device: torch.device) -> AbstractContextManager[Any]:
    """Leave torch's global random state as it was (dropout may draw from it)."""
    return torch.random.fork_rng(devices=[device] if device.type == "cuda" else [])
