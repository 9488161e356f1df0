"""The files of a saved model as data: plain files of bounded size, strict JSON, finite numbers.

A model may come from anybody. What is read here cannot run code, cannot make the reader wait for a pipe or leave the
folder by a link, and is refused before anything is built from it.
"""

from __future__ import annotations

import hashlib
import json
import stat
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeAlias, cast

import safetensors.torch
import torch

from dpsynth.errors import ArtifactError

LARGEST_TEXT = 2**28  # bytes of model.json or privacy.json
LARGEST_TENSORS = 2**36  # bytes of model.safetensors
# Numbers of a configuration that give sizes, and the most that could ever be trained; building more takes for ever.
LIMITS = {"layers": 4096, "hidden": 2**20, "width": 2**20, "latent": 2**20, "tries": 2**20}
JSON: TypeAlias = "dict[str, JSON] | list[JSON] | str | int | float | bool | None"


def plain(folder: Path, name: str, largest: int) -> Path:
    """The file `name` of `folder`.

    Raises `ArtifactError` unless it is a plain file that lies inside and has at most `largest` bytes.
    """
    path = folder / name
    try:
        found = path.stat()
    except OSError as error:
        what = "missing from the saved model" if isinstance(error, FileNotFoundError) else error.strerror
        raise ArtifactError(f"{path}: {what}; copy the whole folder again") from None
    if not path.resolve().is_relative_to(folder.resolve()):
        raise ArtifactError(f"{path}: a link to another folder, which is not followed; copy the file itself")
    if not stat.S_ISREG(found.st_mode):
        raise ArtifactError(f"{path}: not a plain file; copy the whole folder again")
    if found.st_size > largest:
        raise ArtifactError(f"{path}: {found.st_size:,} bytes, more than any model has ({largest:,})")
    return path


def read_json(path: Path, infinite: bool = False) -> dict[str, Any]:
    """A JSON object. Raises `ArtifactError` for anything else.

    infinite: accept the infinite epsilon of a statement without a guarantee; NaN is never accepted.
    """

    def constant(word: str) -> float:
        if infinite and word == "Infinity":
            return float("inf")
        raise ValueError(f"the number {word}")

    try:
        content = json.loads(path.read_text(encoding="utf-8"), parse_constant=constant)
    except (ValueError, RecursionError) as error:
        raise ArtifactError(f"{path}: not a readable model ({_short(error)}); copy the whole folder again") from None
    if not isinstance(content, dict):
        raise ArtifactError(f"{path}: not a readable model (no JSON object); copy the whole folder again")
    return cast("dict[str, Any]", content)


def read_tensors(path: Path) -> dict[str, torch.Tensor]:
    """The tensors of a safetensors file.

    Raises `ArtifactError` when it is damaged or holds a number that is not finite.
    """
    try:
        tensors = cast(Any, safetensors.torch).load_file(path)
    except (safetensors.SafetensorError, ValueError, KeyError, RuntimeError, OverflowError) as error:
        raise ArtifactError(f"{path}: not a readable model ({_short(error)}); copy the whole folder again") from None
    for name, tensor in tensors.items():
        if tensor.is_floating_point() and not bool(torch.isfinite(tensor).all()):
            raise ArtifactError(f"{path}: the tensor '{name:.60}' holds numbers that are not finite; train again")
    return tensors


def verify(folder: Path, checksums: JSON, names: Mapping[str, int]) -> None:
    """Compare files of `folder` with their checksums. Raises `ArtifactError` naming the one that differs.

    names: the files, and the most bytes each may have.
    """
    if not isinstance(checksums, dict) or set(checksums) != set(names):
        raise ArtifactError(f"{folder / 'model.json'}: must give checksums of {', '.join(names)}; copy it again")
    for name, largest in names.items():
        if sha256(plain(folder, name, largest)) != checksums[name]:
            raise ArtifactError(f"{folder / name}: does not match its checksum in model.json; copy it again")


def refuse_sizes(config: JSON, path: Path) -> None:
    """Refuse a configuration that gives a size beyond `LIMITS`, at any depth. Raises `ArtifactError`."""
    if isinstance(config, dict):
        for key, value in config.items():
            most = LIMITS.get(key)
            if most is not None and isinstance(value, int | float) and not 0 <= value <= most:
                raise ArtifactError(f"{path}: {key} {value!r:.40} does not lie between 0 and {most:,}; copy it again")
    for each in config.values() if isinstance(config, dict) else config if isinstance(config, list) else ():
        refuse_sizes(each, path)


def sha256(path: Path) -> str:
    """The checksum of a file, read in pieces."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _short(error: BaseException) -> str:
    return " ".join(f"{type(error).__name__}: {error}".split())[:200]
