"""Raw files that are too large to be held: which runs read them block by block, and what those train on."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pandas as pd

from dpsynth.data.image.domain import ImageDomain
from dpsynth.data.selection import Selection
from dpsynth.data.sources.lookup import provenance
from dpsynth.data.sources.source import Source, declared, held_fraction
from dpsynth.data.table import tabular_files
from dpsynth.data.table.csv_dialect import CsvDialect
from dpsynth.data.table.domain import Domain
from dpsynth.data.table.row_sample import RowSample
from dpsynth.data.table.table import Table, changed_types
from dpsynth.errors import ConfigError
from dpsynth.marginals.counting.encoded_files import EncodedFiles, Paths
from dpsynth.marginals.counting.raw_rows import RawRows
from dpsynth.marginals.counting.selected_rows import DividedRows, Parts, encode_selected
from dpsynth.models.contract.synthesizer import Synthesizer
from dpsynth.models.marginal.method import MarginalMethod

BINS = 16_384  # of a number, the finest that a method sees of a long table
MOST_ROWS = 250_000  # of a long table that are evaluated
STREAMED = 2**25  # bytes of files from which they are not held in memory
FILES = ("csv", "parquet")  # sources that are the user's files


def are_long(path: Paths) -> bool:
    """Whether files hold so many bytes that they are read block by block."""
    return sum(file.stat().st_size for file in tabular_files.find(path)) >= STREAMED


def is_long(data: Mapping[str, Any]) -> bool:
    """Whether `data` names raw files of so many bytes that they are read block by block wherever that can be done.

    A column of persons cannot: whose rows belong together is told from all of them at once.
    """
    if data.get("name") not in FILES or data.get("path") is None or data.get("person") is not None:
        return False
    return are_long(data["path"])


def streams(recipe: Synthesizer, data: Mapping[str, Any], domain: Domain | ImageDomain) -> bool:
    """Whether a run reads its files block by block.

    The method counts marginals only, on this machine, and the schema declares all bounds and categories.
    """
    able = (
        isinstance(recipe, MarginalMethod) and EncodedFiles in recipe.learns_from and recipe.counting.engine != "dask"
    )
    return able and isinstance(domain, Domain) and not domain.undeclared and is_long(data)


def encoded_to_fit(
    data: Mapping[str, Any],
    domain: Domain,
    selection: Selection,
    folder: Path,
    log: Callable[[str], object],
) -> tuple[EncodedFiles, dict[str, Any]]:
    """The training rows as an encoded file, and what reading did to all rows, as `data_options.intake_of` has it.

    Args:
        data, domain: For which `streams` holds; `domain` is that of the run.
        selection: The secret rule of the run.
        folder: For private rows; must exist, and is the caller's to remove.
        log: As of `rows_to_fit`.
    """
    raw, parts = raw_rows(data), parts_of(data, selection)
    log(f"Data, read from {provenance_of(data)}")
    rows, broken = encode_selected(raw, domain, BINS, parts, folder)
    columns = [each.to_dict() for each in raw.intake.values()]
    return rows, {
        "columns": columns,
        "rows without a person, left out": 0,
        "types": list(changed_types(data["path"], raw.domain)),
        "rows": len(rows),
        "rows that break a constraint": broken,
    }


def sampled(
    data: Mapping[str, Any], columns: Sequence[str] | None, selection: Selection, said: dict[str, str]
) -> Source[Table]:
    """Random training and holdout rows of files that are too long, `MOST_ROWS` of each at most, read block by block.

    Args:
        data, columns, selection: As of `data_options.opened`, where `is_long`.
        said: Gets a line for each of them from which rows were left out.
    """
    raw, parts = raw_rows(data), parts_of(data, selection)
    train, held = RowSample(MOST_ROWS), RowSample(MOST_ROWS, seed=1)
    with tempfile.TemporaryDirectory(prefix="rows-", dir=os.environ.get("DPSYNTH_SCRATCH")) as folder:
        divided = DividedRows(parts, Path(folder))
        if not parts.whole:
            for _, frame in raw.blocks():
                divided.add(frame)
        masks = None if parts.whole else divided.masks()
    start = 0
    for frame in map(_plain, raw.frames()):
        rows = slice(start, start + len(frame))
        train.add(frame if masks is None else frame.loc[masks[0][rows]])
        held.add(frame.iloc[:0] if masks is None else frame.loc[masks[1][rows]])
        start += len(frame)
    other = data.get("holdout")
    if other is not None and held_fraction(other) is None:
        for frame in replace(raw, path=other).frames():
            held.add(_plain(frame))

    def table(sample: RowSample) -> Table:
        found = Table(sample.frame(), raw.domain, raw.invalid, unreadable=raw.unreadable)
        return found if columns is None else found.select(columns)

    said |= {f"{name} rows": of_sample(each) for name, each in (("real", train), ("held-out", held)) if each.partial}
    return Source(table(train), table(held) if held.rows else None, provenance_of(data))


def sample_of_files(path: Paths, dialect: CsvDialect, domain: Domain) -> RowSample:
    """Random rows of files as they hold them, `MOST_ROWS` at most, read block by block.

    Raises `DataError` for files that are missing, unreadable, empty or have other columns than `domain`.
    """
    sample = RowSample(MOST_ROWS)
    for frame in RawRows(path, domain, dialect=asdict(dialect)).frames():
        sample.add(_plain(frame))
    return sample


def _plain(frame: pd.DataFrame) -> pd.DataFrame:
    """The same values, with the categories of one block, which another block need not have, as texts."""
    kinds = frame.dtypes.items()
    texts = [str(name) for name, kind in kinds if isinstance(kind, pd.CategoricalDtype)]
    return frame.assign(**{name: frame[name].astype(object) for name in texts})


def of_sample(sample: RowSample) -> str:
    """What a sample is, in words."""
    return f"{sample.most:,} of {sample.rows:,}, chosen at random"


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
