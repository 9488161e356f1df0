"""The folder of a release: the model, its rows, and the documents that describe them.

    release/  model.json  model.safetensors  privacy.json  [marginals.parquet]  synthetic.csv | .parquet | .npz
              schema.yaml  README.md  datapackage.json  croissant.json  sdv_metadata.json  deployment.json
              SHA256SUMS  [SHA256SUMS.minisig]

Every document is a function of the released model, the released rows and facts that a person states, and of nothing
else: no clock, no path, no private row, and no hash of the private data, by which a guess could be confirmed. So
describing a release is post-processing, and the same releases give the same bytes; `dpsynth.testing` replays that.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Mapping
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, cast

from dpsynth.data.database import DatabaseDomain
from dpsynth.data.table.domain import Domain
from dpsynth.data.table.tabular_files import write_whole
from dpsynth.errors import ArtifactError
from dpsynth.integrations.sdv import metadata_of
from dpsynth.models.contract import fitted as artifact
from dpsynth.models.contract.fitted import Fitted
from dpsynth.models.contract.model_files import LARGEST_TEXT, plain, read_json
from dpsynth.release.croissant import croissant
from dpsynth.release.deployment_entry import deployment_entry
from dpsynth.release.facts import Facts
from dpsynth.release.model_card import citation, model_card
from dpsynth.release.table_schema import data_package

SUMS, SIGNATURE, CARD, PACKAGE = "SHA256SUMS", "SHA256SUMS.minisig", "README.md", "datapackage.json"
DOCUMENTS = (CARD, PACKAGE, "croissant.json", "sdv_metadata.json", "deployment.json", "schema.yaml")
_SYNTHETIC = re.compile(r"synthetic\.(csv|csv\.gz|parquet|npz)")


def software() -> str:
    """Name and version of this program."""
    try:
        return f"dpsynth {version('dpsynth-torch')}"
    except PackageNotFoundError:
        return "dpsynth 0"


def write_release(
    fitted: Fitted[Any], write: Callable[[Path], object], folder: Path, facts: Facts, suffix: str
) -> None:
    """Write all files of a release into an existing empty folder.

    write: writes a `Table`, `Images` or `Database` drawn from `fitted` to a path, such as its method `write`. suffix:
    of the file, or none of a folder.
    """
    artifact.write(fitted, folder)
    write(folder / f"synthetic{suffix}")
    describe(fitted.domain, fitted.statement, folder, facts)


def describe(domain: Any, statement: Mapping[str, Any], folder: Path, facts: Facts) -> None:
    """Write the documents of a release anew, for the files that are there. An old signature is removed, as it no longer
    fits."""
    (folder / SIGNATURE).unlink(missing_ok=True)
    if isinstance(domain, DatabaseDomain):  # of several tables there are the schema and the checksums
        _write(folder / "schema.yaml", domain.to_yaml())
        _write(folder / SUMS, "".join(f"{digest_of(folder / name)}  {name}\n" for name in files_of(folder)))
        return
    synthetic = synthetic_of(folder)
    made_with = software()
    number = made_with.removeprefix("dpsynth ")
    if isinstance(domain, Domain):
        _write(folder / "schema.yaml", domain.to_yaml())
        _write(folder / "sdv_metadata.json", _json(metadata_of(domain)))
    _write(folder / "deployment.json", _json(deployment_entry(domain, statement, facts, made_with)))
    data = sorted(set(files_of(folder)) - set(DOCUMENTS))
    files = {name: (size_of(folder / name), digest_of(folder / name)) for name in data}
    cite = citation(facts, number)
    _write(folder / "croissant.json", _json(croissant(domain, statement, facts, files, synthetic, cite)))
    _write(
        folder / PACKAGE,
        _json(data_package(domain, facts, files, synthetic, {"version": number, "statement": "privacy.json"})),
    )
    names = sorted({*files_of(folder), CARD, SUMS})
    _write(folder / CARD, model_card(domain, statement, facts, names, synthetic, number))
    _write(folder / SUMS, "".join(f"{digest_of(folder / name)}  {name}\n" for name in files_of(folder)))


def facts_of(folder: Path) -> Facts:
    """The facts stated in a release. Raises `ArtifactError` for a damaged file."""
    content = read_json(plain(folder, PACKAGE, LARGEST_TEXT)).get("dpsynth")
    return Facts.from_dict(cast("dict[str, Any]", content).get("facts") if isinstance(content, dict) else None)


def files_of(folder: Path) -> list[str]:
    """Names of all files of a release that its checksums cover, sorted; those of a database as synthetic/TABLE.csv."""
    found = [entry for entry in folder.iterdir() if not entry.name.startswith(".")]
    inside = [f"{entry.name}/{file.name}" for entry in found if entry.is_dir() for file in entry.iterdir()]
    return sorted([entry.name for entry in found if entry.is_file() and entry.name not in (SUMS, SIGNATURE)] + inside)


def synthetic_of(folder: Path) -> str:
    """Name of the file of synthetic rows or images that came with the model."""
    for name in files_of(folder):
        if _SYNTHETIC.fullmatch(name):
            return name
    raise ArtifactError(f"{folder}: holds no file of synthetic rows (synthetic.csv, .parquet or .npz)")


def digest_of(path: Path) -> str:
    """SHA-256 in hexadecimal figures."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def size_of(path: Path) -> int:
    """Bytes of a file."""
    return path.stat().st_size


def _write(path: Path, text: str) -> None:
    write_whole(path, lambda temporary: temporary.write_text(text, encoding="utf-8", newline="\n"))


def _json(value: Any) -> str:
    return json.dumps(value, indent=1, ensure_ascii=False, allow_nan=False) + "\n"
