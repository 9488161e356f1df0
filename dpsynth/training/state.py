"""Nested Python state as one safetensors file: exact, atomic and without pickle.

A state is made of None, bool, int, float, str, tensors, lists, tuples and dicts of them, which is what
`state_dict()` of modules and optimizers returns.  The structure travels as JSON in the file's header, the
tensors as its body, so the two can never come from different moments.
"""

import json
import os
from contextlib import suppress
from pathlib import Path
from typing import Any

import safetensors
import torch
from safetensors.torch import save as to_bytes

from dpsynth.errors import ArtifactError


def write_state(path: Path, state: Any) -> None:
    """Write `state` to `path`, readable by its owner alone (mode 0600): first aside, then renamed."""
    tensors: dict[str, torch.Tensor] = {}
    structure = json.dumps(_flatten(state, tensors))
    aside = path.with_name(path.name + ".partial")
    aside.unlink(missing_ok=True)
    try:
        with open(os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            file.write(to_bytes(tensors, metadata={"structure": structure}))
            file.flush()
            os.fsync(file.fileno())
        os.replace(aside, path)
    except BaseException:  # a full disk: what was kept before stays
        with suppress(OSError):
            aside.unlink(missing_ok=True)
        raise


def read_state(path: Path) -> Any:
    """What `write_state` wrote.  Raises `ArtifactError` when the file is damaged."""
    try:
        with safetensors.safe_open(path, framework="pt") as file:
            structure = json.loads(file.metadata()["structure"])
            return _restore(structure, {name: file.get_tensor(name) for name in file.keys()})  # noqa: SIM118
    except (safetensors.SafetensorError, KeyError, TypeError, ValueError, AttributeError, RecursionError) as error:
        reason = " ".join(str(error).split())
        raise ArtifactError(f"{path}: not a readable checkpoint ({reason:.200}); delete it to start again") from None


def _flatten(value: Any, tensors: dict[str, torch.Tensor]) -> Any:
    """JSON for `value`; tensors are moved into `tensors` under a running number and named by it."""
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, torch.Tensor):
        name = str(len(tensors))
        # A copy: safetensors refuses tensors that share memory, and the original keeps changing.
        tensors[name] = value.detach().to("cpu", copy=True).contiguous()
        return {"tensor": name}
    if isinstance(value, list):
        return {"list": [_flatten(each, tensors) for each in value]}
    if isinstance(value, tuple):
        return {"tuple": [_flatten(each, tensors) for each in value]}
    if isinstance(value, dict):
        return {"dict": [[_flatten(k, tensors), _flatten(v, tensors)] for k, v in value.items()]}
    raise TypeError(f"a checkpoint cannot hold {type(value).__name__}")


def _restore(structure: Any, tensors: dict[str, torch.Tensor]) -> Any:
    if not isinstance(structure, dict):
        return structure
    [(kind, content)] = structure.items()
    if kind == "tensor":
        return tensors[content]
    if kind == "dict":
        return {_restore(k, tensors): _restore(v, tensors) for k, v in content}
    items = [_restore(each, tensors) for each in content]
    return tuple(items) if kind == "tuple" else items
