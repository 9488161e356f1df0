"""A fitted model, what was released and nothing else, and its saved form.

A `Fitted` is public: it is made of a public configuration, tensors that came out of privacy mechanisms, the
declared domain and the privacy statement.  It has no way to reach the data it was fitted to.  Sampling is
post-processing and costs no budget, however many rows are drawn.

`FittedTable` (fitted_table.py) draws rows of a table, `FittedImages` (fitted_images.py) images.

The saved form of a fitted model: what is safe to share, and nothing else.

    model.json          format version, class of the model, its public configuration, domain, checksums
    model.safetensors   the tensors
    marginals.parquet   the noisy marginals it was fitted to, where there are some (`marginals/noisy_tables.py`)
    privacy.json        the privacy statement: what was promised, proven and spent

No pickle is written or read, no data row and no exact count is kept.  Loading builds only `Fitted` classes that
`registry.py` knows, so that a model file cannot name code of its own choice.
"""

from __future__ import annotations

import json
import os
import shutil
import tempfile
import warnings
from abc import ABC, abstractmethod
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Generic, NamedTuple, Self, TypeVar, cast

import numpy as np
import safetensors.torch
import torch

from dpsynth.data.database import Database, DatabaseDomain
from dpsynth.data.html import facts_html
from dpsynth.data.image.domain import ImageDomain
from dpsynth.data.image.images import Images
from dpsynth.data.table.domain import Domain
from dpsynth.data.table.table import Table
from dpsynth.errors import ArtifactError, ConfigError, DpsynthError
from dpsynth.marginals import noisy_tables
from dpsynth.marginals.noisy_tables import NoisyTable
from dpsynth.models.contract import registry
from dpsynth.models.contract.machine_limits import HEADROOM, available_memory, limited
from dpsynth.models.contract.model_files import (
    JSON,
    LARGEST_TENSORS,
    LARGEST_TEXT,
    plain,
    read_json,
    read_tensors,
    refuse_sizes,
    sha256,
    verify,
)

Sampled = TypeVar("Sampled", Table, Images, Database)


class Generators(NamedTuple):
    """The random sources of one sample.  They are not private: samples may be repeated with their seed."""

    torch: torch.Generator
    numpy: np.random.Generator

    @classmethod
    def seeded(cls, seed: int | None, block: int = 0) -> Generators:
        """Generators that follow from `seed` and the number of a block of rows; unrepeatable ones for None."""
        of_block = np.random.SeedSequence(seed, spawn_key=(2, block) if block else ())
        first, second = of_block.spawn(2)
        source = torch.Generator().manual_seed(int(first.generate_state(1, np.uint64)[0]) >> 1)
        return cls(source, np.random.default_rng(second))


def below(prefix: str, tensors: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """The tensors whose names begin with `prefix`, by the rest of their names."""
    return {name.removeprefix(prefix): tensor for name, tensor in tensors.items() if name.startswith(prefix)}


class Fitted(ABC, Generic[Sampled]):
    """What every fitted model shares.  A method implements `config`, `tensors` and `restore`, and `_draw` of its kind.

    domain: the complete public domain of the samples.
    statement: the privacy statement (JSON-able): target, proven epsilon, delta, relation, charges, noise,
    rows.
    measured: the noisy marginals that were released on the way, in the order of their release; () where there are none.
    """

    domain: Any  # Domain of a table, ImageDomain of images, DatabaseDomain of a database
    measured: tuple[NoisyTable, ...] = ()

    def __init__(self, domain: Domain | ImageDomain | DatabaseDomain, statement: Mapping[str, Any] | None = None):
        self.domain = domain
        self.statement: dict[str, Any] = dict(statement or {})

    def __repr__(self) -> str:
        said = self.statement.get("guarantee", "no privacy statement")
        return f"{type(self).__name__} of {self.statement.get('method', 'a method')}: {said}"

    def _repr_html_(self) -> str:
        return facts_html(
            f"{type(self).__name__}",
            {
                "guarantee": self.statement.get("guarantee", "no privacy statement"),
                "method": self.statement.get("method", ""),
                "covers": self.statement.get("covers", ""),
                "rows": self.statement.get("rows", ""),
                "noisy marginals": len(self.measured) or "",
            },
        )

    @property
    def rows(self) -> int | None:
        """How many rows there were, as far as may be said: declared or counted with noise; else None."""
        return self.statement.get("rows")

    @abstractmethod
    def config(self) -> dict[str, Any]:
        """The public configuration `restore` needs besides the tensors; JSON-able."""

    @abstractmethod
    def tensors(self) -> dict[str, torch.Tensor]:
        """Everything learned, by name."""

    @classmethod
    @abstractmethod
    def restore(
        cls,
        config: Mapping[str, Any],
        tensors: Mapping[str, torch.Tensor],
        domain: Any,
        statement: Mapping[str, Any],
    ) -> Self:
        """The model that `config()` and `tensors()` describe."""

    @abstractmethod
    def _sample(self, n: int, seed: int | None, where: Mapping[str, Any]) -> Sampled:
        """n rows under the conditions `where`, which are yet to be checked, from `Generators.seeded(seed)`."""

    def sample(self, n: int | None = None, seed: int | None = None, where: Mapping[str, Any] | None = None) -> Sampled:
        """n synthetic rows or images, all inside the domain; `rows` of them when n is not given.

        seed: the same seed gives the same rows; None gives fresh ones.
        where: fixed values by column, for example {"sex": "Female"} (None as a value asks for a missing one), or
        {"label": "3"} of images.
        Raises `ConfigError` for an unknown column or a value outside the domain.
        """
        return self._sample(self.checked_rows(n, seed), seed, where or {})

    def checked_rows(self, n: int | None, seed: int | None = None) -> int:
        """The number of rows that `sample` gives; `ConfigError` for one, or a seed, that cannot be."""
        n = self.rows if n is None else n
        if n is None:
            raise ConfigError("n: this model knows no number of rows; say how many with n=10000")
        if not is_count(n):
            raise ConfigError(f"n={n!r}: the number of rows must be a whole number, 0 or more")
        if seed is not None and not is_count(seed):
            raise ConfigError(f"seed={seed!r}: must be a whole number, 0 or more, or null")
        return n

    def save(self, folder: str | Path) -> None:
        """Write the model into the new folder `folder`: JSON and safetensors, no pickle, no data."""

        save(self, folder)


# -------------------- Artifact --------------------------------------------------------------

FORMAT = 2
MORE = 8  # bytes that a model may take for each byte of its tensors, beside what libraries need
FILES = ("model.json", "model.safetensors", "privacy.json")
MARGINALS = "marginals.parquet"


# What a class raises over names, types, sizes and numbers of a file that do not fit, be it on purpose. Nothing else is
# laid to the file: an interrupt, a disk that fails, a name or a module that the program lacks.
WRONG = (
    *(DpsynthError, ValueError, TypeError, LookupError, AttributeError, RuntimeError, ArithmeticError),
    *(AssertionError, MemoryError),
)


def is_count(value: object) -> bool:
    """Whether a user gave a whole number, 0 or more."""
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def save(fitted: Fitted[Any], folder: str | Path) -> None:
    """Write `fitted` into the new folder `folder`, whole or not at all."""
    with temporary_folder(folder) as temporary:
        write(fitted, temporary)


def write(fitted: Fitted[Any], folder: Path) -> None:
    """Write the three files of `fitted` into an existing folder."""
    kind = type(fitted)
    tensors = {name: tensor.detach().cpu().contiguous().clone() for name, tensor in fitted.tensors().items()}
    (folder / "model.safetensors").write_bytes(safetensors.torch.save(tensors))
    (folder / "privacy.json").write_text(_json(fitted.statement), encoding="utf-8", newline="\n")
    if fitted.measured:
        noisy_tables.write(fitted.measured, folder / MARGINALS)
    summed = ("model.safetensors", "privacy.json", *((MARGINALS,) if fitted.measured else ()))
    model = {
        "format": FORMAT,
        "target": f"{kind.__module__}.{kind.__qualname__}",
        "config": fitted.config(),
        "domain": fitted.domain.to_dict(),
        "sha256": {name: sha256(folder / name) for name in summed},
    }
    (folder / "model.json").write_text(_json(model), encoding="utf-8", newline="\n")


def load(folder: str | Path) -> Fitted[Any]:
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
    needed = {"model.safetensors": LARGEST_TENSORS, "privacy.json": LARGEST_TEXT}
    if isinstance(model["sha256"], dict) and MARGINALS in model["sha256"]:
        needed[MARGINALS] = LARGEST_TENSORS
    verify(release, cast(JSON, model["sha256"]), needed)
    kind = _class_of(model, path)
    refuse_sizes(model["config"], path)
    statement = read_json(release / "privacy.json", infinite=True)
    tensors = read_tensors(release / "model.safetensors")
    size = sum(tensor.numel() * tensor.element_size() for tensor in tensors.values())
    try:
        with limited(MORE * size), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            domain = _domain_of(model["domain"])
            fitted: Fitted[Any] = kind.restore(model["config"], tensors, domain, statement)
            if MARGINALS in needed:
                fitted.measured = noisy_tables.read(release / MARGINALS)
            fitted.sample(1, seed=0)  # indices and sizes that contradict each other show themselves here, if not before
    except WRONG as error:
        if isinstance(error, MemoryError) and not enough(MORE * size + HEADROOM):
            raise  # the machine is full, and the file may be right
        reason = " ".join(f"{type(error).__name__}: {error}".split())
        raise ArtifactError(f"{release}: not a readable model ({reason:.300}); copy or train it again") from error
    return fitted


def enough(needed: int) -> bool:
    """Whether the machine has so many bytes left; True where it does not say."""
    free = available_memory()
    return free is None or free >= needed


def _check_format(version: Any, path: Path) -> None:
    if isinstance(version, bool) or not isinstance(version, int) or version < 1:
        raise ArtifactError(f"{path}: {version!r:.40} is no format of dpsynth; copy the whole folder again")
    if version > FORMAT:
        raise ArtifactError(f"{path}: written in format {version}, this dpsynth reads format {FORMAT}; upgrade dpsynth")
    if version < FORMAT:
        raise ArtifactError(
            f"{path}: written by an older dpsynth in format {version}, this one reads format {FORMAT}; "
            "use that version to generate, or train again"
        )


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
def temporary_folder(folder: str | Path) -> Generator[Path]:
    """A temporary sibling to write into; it becomes `folder` if the block ends well, else it vanishes."""
    folder = Path(folder).expanduser()
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise ArtifactError(f"{folder}: exists already; choose another folder or remove it first")
    folder.parent.mkdir(parents=True, exist_ok=True)
    temporary = Path(tempfile.mkdtemp(prefix=f".{folder.name}-", dir=folder.parent))
    try:
        yield temporary
        temporary.chmod(0o755)
        os.replace(temporary, folder)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _domain_of(content: Mapping[str, Any]) -> Domain | ImageDomain | DatabaseDomain:
    """The domain of a saved model, of whatever kind it is."""
    if "tables" in content:
        return DatabaseDomain.from_dict(content)
    return (ImageDomain if "images" in content else Domain).from_dict(content)


def _class_of(model: Mapping[str, Any], path: Path) -> type[Fitted[Any]]:
    """The `Fitted` class that model.json names, once every class it names is known."""
    try:
        registry.refuse_unknown(model["config"], str(path))
        return registry.class_of(model["target"], Fitted, str(path))
    except ConfigError as error:
        raise ArtifactError(str(error)) from None


def _json(value: Any) -> str:
    return json.dumps(value, indent=1, ensure_ascii=False) + "\n"
