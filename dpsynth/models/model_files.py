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
from typing import Any

import safetensors.torch
import torch

from dpsynth.errors import ArtifactError

LARGEST_TEXT = 2**28  # bytes of model.json or privacy.json
LARGEST_TENSORS = 2**36  # bytes of model.safetensors


def plain(folder: Path, name: str, largest: int) -> Path:
    """The file `name` of `folder`. Raises `ArtifactError` unless it is a plain file inside, of at most `largest`
    bytes."""
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
    return content


def read_tensors(path: Path) -> dict[str, torch.Tensor]:
    """The tensors of a safetensors file. Raises `ArtifactError` when it is damaged or holds a number that is not
    finite."""
    try:
        tensors = safetensors.torch.load_file(path)
    except (safetensors.SafetensorError, ValueError, KeyError, RuntimeError, OverflowError) as error:
        raise ArtifactError(f"{path}: not a readable model ({_short(error)}); copy the whole folder again") from None
    for name, tensor in tensors.items():
        if tensor.is_floating_point() and not bool(torch.isfinite(tensor).all()):
            raise ArtifactError(f"{path}: the tensor '{name:.60}' holds numbers that are not finite; train again")
    return tensors


def verify(folder: Path, checksums: Any, names: Mapping[str, int]) -> None:
    """Compare the files `names` of `folder` with their checksums. Raises `ArtifactError` naming the file that
    differs."""
    if not isinstance(checksums, dict) or set(checksums) != set(names):
        raise ArtifactError(f"{folder / 'model.json'}: must give checksums of {', '.join(names)}; copy it again")
    for name, largest in names.items():
        if sha256(plain(folder, name, largest)) != checksums[name]:
            raise ArtifactError(f"{folder / name}: does not match its checksum in model.json; copy it again")


def sha256(path: Path) -> str:
    """The checksum of a file, read in pieces."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _short(error: BaseException) -> str:
    return " ".join(f"{type(error).__name__}: {error}".split())[:200]
