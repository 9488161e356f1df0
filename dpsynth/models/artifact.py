"""The saved form of a fitted model: what may be handed out, and nothing else.

    model.json          format version, class of the model, its public configuration, domain, checksums
    model.safetensors   the tensors
    privacy.json        the privacy statement: what was promised, proven and spent

No pickle is written or read, no data row and no exact count is kept.  Loading builds only `Fitted` classes that
`registry.py` knows, so that a model file cannot name code of its own choice.
"""

import json
import os
import shutil
import tempfile
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import safetensors.torch

from dpsynth.data.domain import Domain
from dpsynth.data.image_domain import ImageDomain
from dpsynth.errors import ArtifactError, ConfigError
from dpsynth.models import registry
from dpsynth.models.fitted import Fitted
from dpsynth.models.memory_limit import limited
from dpsynth.models.model_files import (
    LARGEST_TENSORS,
    LARGEST_TEXT,
    plain,
    read_json,
    read_tensors,
    refuse_sizes,
    sha256,
    verify,
)

FORMAT = 1
MORE = 8  # bytes that a model may take for each byte of its tensors, beside what libraries need
FILES = ("model.json", "model.safetensors", "privacy.json")


def save(fitted: Fitted, folder: str | Path) -> None:
    """Write `fitted` into the new folder `folder`, whole or not at all."""
    with written_aside(folder) as aside:
        write(fitted, aside)


def write(fitted: Fitted, folder: Path) -> None:
    """Write the three files of `fitted` into an existing folder."""
    kind = type(fitted)
    tensors = {name: tensor.detach().cpu().contiguous().clone() for name, tensor in fitted.tensors().items()}
    (folder / "model.safetensors").write_bytes(safetensors.torch.save(tensors))
    (folder / "privacy.json").write_text(_json(fitted.statement))
    model = {
        "format": FORMAT,
        "target": f"{kind.__module__}.{kind.__qualname__}",
        "config": fitted.config(),
        "domain": fitted.domain.to_dict(),
        "sha256": {name: sha256(folder / name) for name in ("model.safetensors", "privacy.json")},
    }
    (folder / "model.json").write_text(_json(model))


def load(folder: str | Path) -> Fitted:
    """The model saved in `folder`: a run folder or its `release/`.

    Raises `ArtifactError` when it is missing, unfinished, damaged, of an unknown format, or names unknown classes. All
    that can be told from the files is checked before anything is built. The model is built, and tried with one draw,
    under a limit on memory.
    """
    release = find_release(folder)
    path = plain(release, "model.json", LARGEST_TEXT)
    model = read_json(path)
    if missing := [key for key in ("format", "target", "config", "domain", "sha256") if key not in model]:
        raise ArtifactError(f"{path}: not a readable model (without '{missing[0]}'); copy the whole folder again")
    _check_format(model["format"], path)
    verify(release, model["sha256"], {"model.safetensors": LARGEST_TENSORS, "privacy.json": LARGEST_TEXT})
    kind = _class_of(model, path)
    refuse_sizes(model["config"], path)
    statement = read_json(release / "privacy.json", infinite=True)
    tensors = read_tensors(release / "model.safetensors")
    size = sum(tensor.numel() * tensor.element_size() for tensor in tensors.values())
    try:
        with limited(MORE * size), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            domain = (ImageDomain if "images" in model["domain"] else Domain).from_dict(model["domain"])
            fitted = kind.restore(model["config"], tensors, domain, statement)
            fitted.sample(1, seed=0)  # indices and sizes that contradict each other show themselves here, if not before
    except Exception as error:  # whatever a file can make a class raise: it says nothing but that the file is wrong
        reason = " ".join(f"{type(error).__name__}: {error}".split())
        raise ArtifactError(f"{release}: not a readable model ({reason:.300}); copy or train it again") from error
    return fitted


def _check_format(version: Any, path: Path) -> None:
    if isinstance(version, bool) or not isinstance(version, int) or version < 1:
        raise ArtifactError(f"{path}: {version!r:.40} is no format of dpsynth; copy the whole folder again")
    if version > FORMAT:
        raise ArtifactError(f"{path}: written in format {version}, this dpsynth reads up to {FORMAT}; upgrade dpsynth")


def find_release(folder: str | Path) -> Path:
    """The `release/` of a run folder, or the folder itself when it is one.  `ArtifactError` otherwise."""
    folder = Path(folder).expanduser()
    for candidate in (folder, folder / "release"):
        if (candidate / "model.json").is_file():
            return candidate
    if (folder / "private" / "config.yaml").exists():
        raise ArtifactError(f"{folder}: this run is not finished; continue it with train.py run={folder} resume=true")
    if not folder.exists():
        raise ArtifactError(f"{folder}: no such folder; run= names the folder of a finished run")
    raise ArtifactError(f"{folder}: holds no model.json, neither directly nor in release/; is it the folder of a run?")


@contextmanager
def written_aside(folder: str | Path) -> Iterator[Path]:
    """A temporary sibling to write into; it becomes `folder` if the block ends well, else it vanishes."""
    folder = Path(folder).expanduser()
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise ArtifactError(f"{folder}: exists already; choose another folder or remove it first")
    folder.parent.mkdir(parents=True, exist_ok=True)
    aside = Path(tempfile.mkdtemp(prefix=f".{folder.name}-", dir=folder.parent))
    try:
        yield aside
        aside.chmod(0o755)
        os.replace(aside, folder)
    finally:
        shutil.rmtree(aside, ignore_errors=True)


def _class_of(model: Mapping[str, Any], path: Path) -> type[Fitted]:
    """The `Fitted` class that model.json names, once every class it names is known."""
    try:
        registry.refuse_unknown(model["config"], str(path))
        return registry.class_of(model["target"], Fitted, str(path))
    except ConfigError as error:
        raise ArtifactError(str(error)) from None


def _json(value: Any) -> str:
    return json.dumps(value, indent=1, ensure_ascii=False) + "\n"
