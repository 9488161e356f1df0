"""Raw files that are too large to be held: which runs read them block by block, and what those train on."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from dpsynth.data.image.domain import ImageDomain
from dpsynth.data.selection import Selection
from dpsynth.data.sources.lookup import provenance
from dpsynth.data.sources.source import declared, held_fraction
from dpsynth.data.table import tabular_files
from dpsynth.data.table.csv_files import CsvDialect
from dpsynth.data.table.domain import Domain
from dpsynth.errors import ConfigError
from dpsynth.marginals.counting.encoded_files import EncodedFiles
from dpsynth.marginals.counting.raw_rows import RawRows
from dpsynth.marginals.counting.selected_rows import Parts, encode_selected
from dpsynth.models.contract.synthesizer import Synthesizer
from dpsynth.models.marginal.method import MarginalMethod

STREAMED = 2**25  # bytes of files from which they are not held in memory
FILES = ("csv", "parquet")  # sources that are the user's files


def is_long(data: Mapping[str, Any]) -> bool:
    """Whether `data` names raw files of so many bytes that they are read block by block wherever that can be done.

    A column of persons cannot: whose rows belong together is told from all of them at once.
    """
    if data.get("name") not in FILES or data.get("path") is None or data.get("person") is not None:
        return False
    return sum(file.stat().st_size for file in tabular_files.find(data["path"])) >= STREAMED


def streams(recipe: Synthesizer, data: Mapping[str, Any], domain: Domain | ImageDomain) -> bool:
    """Whether a run reads its files block by block.

    The method counts marginals only, on this machine, and the schema declares all bounds and categories.
    """
    able = isinstance(recipe, MarginalMethod) and EncodedFiles in recipe.learns_from and recipe.engine != "dask"
    return able and isinstance(domain, Domain) and not domain.undeclared and is_long(data)


def encoded_to_fit(
    recipe: Synthesizer,
    data: Mapping[str, Any],
    domain: Domain,
    selection: Selection,
    folder: Path,
    log: Callable[[str], object],
) -> tuple[EncodedFiles, dict[str, Any]]:
    """The training rows as an encoded file, and what reading did to all rows, as `data_options.intake_of` has it.

    Args:
        recipe, data, domain: For which `streams` holds; `domain` is that of the run.
        selection: The secret rule of the run.
        folder: For private rows; must exist, and is the caller's to remove.
        log: As of `rows_to_fit`.
    """
    assert isinstance(recipe, MarginalMethod), "streams says so"
    raw, parts = raw_rows(data), parts_of(data, selection)
    log(f"Data, read from {provenance_of(data)}")
    rows, broken = encode_selected(raw, domain, recipe.codec_bins, parts, folder)
    columns = [each.to_dict() for each in raw.intake.values()]
    return rows, {
        "columns": columns,
        "rows without a person, left out": 0,
        "rows": len(rows),
        "rows that break a constraint": broken,
    }


def raw_rows(data: Mapping[str, Any]) -> RawRows:
    """The files that the options name, with all their columns."""
    if data.get("schema") is None:
        raise ConfigError("data.schema is not set: name a schema file; draft one with: dpsynth schema FILE.csv")
    written = {key: data[key] for key in CsvDialect.__dataclass_fields__ if data.get(key) is not None}
    if isinstance(written.get("ignore"), str):
        written["ignore"] = (written["ignore"],)
    policy = {key: data[key] for key in ("invalid", "unreadable") if data.get(key) is not None}
    return RawRows(data["path"], declared(data["schema"], ""), dialect=written, **policy)


def parts_of(data: Mapping[str, Any], selection: Selection) -> Parts:
    """How the options divide the rows."""
    rows = declared(data["schema"], "").rows
    return Parts(selection, held_fraction(data.get("holdout", 0.2)), data.get("n_train"), rows)


def provenance_of(data: Mapping[str, Any]) -> str:
    """One line on the files that were used; private."""
    text = "; ".join(provenance(file) for file in tabular_files.find(data["path"]))
    holdout = data.get("holdout")
    if holdout is not None and held_fraction(holdout) is None:
        text += "; holdout " + "; ".join(provenance(file) for file in tabular_files.find(holdout))
    return text
