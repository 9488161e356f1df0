"""The private memory of an unfinished run: what makes "resumed" equal to "never interrupted".

Nested Python state as one safetensors file: exact, atomic and without pickle.

A state is made of None, bool, int, float, str, tensors, lists, tuples and dicts of them, which is what
`state_dict()` of modules and optimizers returns.  The structure travels as JSON in the file's header, the
tensors as its body, so the two can never come from different moments.

    generators.state     written before the first private release: the key of the privacy noise, and what the
                      run is about (digests of plan and data)
    training.state    written every few minutes, and when training ends: module, optimizer, average, step,
                      model generators; a method that trains more than once has one file for each phase

The key is kept because a resumed run makes its releases again.  With the same key and the same data these are
the same releases, so nothing is paid twice; with the same key and *other* data the difference of two answers
would show the data.  So a checkpoint refuses to go on with anything but the plan and the data it was made
for.  The folder holds the noise key and weights in training: it belongs to `private/`, is readable by its
owner only, and is deleted when the run is done.
"""

import hashlib
import json
import os
import shutil
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from types import MappingProxyType
from typing import Any, Protocol, cast

import safetensors
import torch
from safetensors.torch import save as to_bytes

from dpsynth.errors import ArtifactError
from dpsynth.privacy.noise.random import PrivacyGenerator, RandomGenerators


def write_state(path: Path, state: Any) -> None:
    """Write `state` to `path`, readable by its owner alone (mode 0600): first aside, then renamed."""
    tensors: dict[str, torch.Tensor] = {}
    structure = json.dumps(_flatten(state, tensors))
    temporary = path.with_name(path.name + ".partial")
    temporary.unlink(missing_ok=True)
    try:
        with open(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            file.write(to_bytes(tensors, metadata={"structure": structure}))
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except BaseException:  # a full disk: what was kept before stays
        with suppress(OSError):
            temporary.unlink(missing_ok=True)
        raise


def read_state(path: Path) -> Any:
    """What `write_state` wrote.  Raises `ArtifactError` when the file is damaged."""
    try:
        with cast(Any, safetensors.safe_open)(path, framework="pt") as file:
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
    if isinstance(value, list | tuple):
        kind = "list" if isinstance(value, list) else "tuple"
        return {kind: [_flatten(each, tensors) for each in cast("list[Any]", value)]}
    if isinstance(value, dict):
        items = cast("dict[Any, Any]", value).items()
        return {"dict": [[_flatten(k, tensors), _flatten(v, tensors)] for k, v in items]}
    raise TypeError(f"a checkpoint cannot hold {type(value).__name__}")


def _restore(structure: Any, tensors: dict[str, torch.Tensor]) -> Any:
    if not isinstance(structure, dict):
        return structure
    [(kind, content)] = cast("dict[str, Any]", structure).items()
    if kind == "tensor":
        return tensors[content]
    if kind == "dict":
        return {_restore(k, tensors): _restore(v, tensors) for k, v in content}
    items = [_restore(each, tensors) for each in content]
    return tuple(items) if kind == "tuple" else items


# -------------------- Checkpoint ------------------------------------------------------------

FORMAT = 2
NO_GENERATORS: Mapping[str, torch.Generator] = MappingProxyType({})


class Stateful(Protocol):
    """Modules, optimizers, weight averages: whatever can be put away and taken out again."""

    def state_dict(self) -> dict[str, Any]: ...

    def load_state_dict(self, state_dict: dict[str, Any], /) -> Any: ...


class Checkpoint:
    """State of one run under `folder`, which is made when the run begins.

    phase: a run that trains more than once keeps the state of each training under a name of its own.
    """

    def __init__(self, folder: str | Path, phase: str = "training"):
        self.folder = Path(folder)
        self._generators_file = self.folder / "generators.state"
        self._training_file = self.folder / f"{phase}.state"

    def phase(self, name: str) -> "Checkpoint":
        """The same run's checkpoint for another training."""
        return Checkpoint(self.folder, name.replace(" ", "-"))

    @property
    def exists(self) -> bool:
        """Whether a run has begun here."""
        return self._generators_file.exists()

    @property
    def trained(self) -> bool:
        """Whether steps of training are kept here."""
        return self._training_file.exists()

    def begin(self, randomness: RandomGenerators, plan: Mapping[str, Any], content: str) -> RandomGenerators:
        """The random generators to run with: those kept here when the run is resumed, else `randomness`, kept from now
        on.

        content: a digest of the rows. Raises `ArtifactError` when the folder belongs to a run with
        another plan or other data.
        """
        about = {"plan": _digest_of_plan(plan), "data": content}
        if not self.exists:
            self.folder.mkdir(parents=True, exist_ok=True)
            self.folder.chmod(0o700)
            kept = {
                "format": FORMAT,
                "about": about,
                "seed": randomness.seed,
                "privacy": randomness.privacy.state(),
            }
            write_state(self._generators_file, kept)
            return randomness
        kept = read_state(self._generators_file)
        if kept.get("format") != FORMAT:
            raise ArtifactError(f"{self.folder}: a checkpoint of another version of dpsynth; delete it to start again")
        for what, hint in (("plan", "the same options"), ("data", "the same data")):
            if kept["about"][what] != about[what]:
                raise ArtifactError(
                    f"{self.folder}: the {what} changed since this run was interrupted; "
                    f"resume with {hint}, or start a new run (going on would use the same noise twice)"
                )
        return RandomGenerators(kept["seed"], privacy=PrivacyGenerator.from_state(kept["privacy"]))

    def fingerprint(self) -> str | None:
        """That of the privacy key kept here; None when no run has begun."""
        if not self.exists:
            return None
        return PrivacyGenerator.from_state(read_state(self._generators_file)["privacy"]).fingerprint

    def save(
        self,
        step: int,
        parts: Mapping[str, Stateful],
        generators: Mapping[str, torch.Generator] = NO_GENERATORS,
    ) -> None:
        """Keep the state of training after `step` steps."""
        states = {name: part.state_dict() for name, part in parts.items()}
        random = {name: generator.get_state() for name, generator in generators.items()}
        write_state(self._training_file, {"step": step, "parts": states, "generators": random})

    def restore(self, parts: Mapping[str, Stateful], generators: Mapping[str, torch.Generator] = NO_GENERATORS) -> int:
        """Put the kept state into `parts` and `generators`; returns the steps done, 0 if nothing is kept."""
        if not self.trained:
            return 0
        kept = read_state(self._training_file)
        for name, part in parts.items():
            part.load_state_dict(kept["parts"][name])
        for name, generator in generators.items():
            generator.set_state(kept["generators"][name])
        return int(kept["step"])

    def delete(self) -> None:
        """Forget the run; called once its release is in place."""
        shutil.rmtree(self.folder, ignore_errors=True)


def _digest_of_plan(plan: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(plan, sort_keys=True, default=str).encode()).hexdigest()
