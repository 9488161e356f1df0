"""Adult (UCI 2): 48,842 people of the 1994 US Census; 15 columns; label income. Comes with the package."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from dpsynth.data.selection import Selection
from dpsynth.data.sources.lookup import Official, find, provenance
from dpsynth.data.sources.source import Source, declared, finish, held_fraction
from dpsynth.data.table import tabular_files
from dpsynth.data.table.domain import Domain
from dpsynth.data.table.table import Policies, Table
from dpsynth.errors import ConfigError, DataError

_URL = "https://archive.ics.uci.edu/ml/machine-learning-databases/adult/"
TRAIN = Official(
    "Adult (training part)",
    "adult.data",
    (f"{_URL}adult.data",),
    "5b00264637dbfec36bdeaab5676b0b309ff9eb788d63554ca0a249491c86603d",
)
TEST = Official(
    "Adult (test part)",
    "adult.test",
    (f"{_URL}adult.test",),
    "a2a9044bc167a35b2361efbabec64e89d69ce82d9790d2980119aac5fd7e9c05",
)
BUNDLED = "adult.parquet"


def adult(
    path: str | Path | None = None,
    schema: str | Path | Domain | None = None,
    invalid: Policies = "clamp",
    unreadable: str = "error",
    holdout: float | str | None = "official",
    n_train: int | None = None,
    selection: Selection | None = None,
) -> Source:
    """Adult from a folder with adult.data and adult.test, from adult.parquet, or as bundled.

    holdout  official: train on adult.data, hold out adult.test; a fraction of all rows; or 0
    """
    domain = declared(schema, "adult")
    if holdout is not None and holdout != "official" and held_fraction(holdout) is None:
        raise ConfigError(f"data.holdout={holdout!r}: use official, a fraction between 0 and 1, or 0 for none")
    names = (BUNDLED,)
    first = find(TRAIN, path, names, BUNDLED)
    if first.suffix == ".parquet":
        files, frame = [first], tabular_files.read_parquet(first)
    else:
        second = find(TEST, None if path is None else first.parent)
        files = [first, second]
        frame = pd.concat([raw(first, domain.names, "train"), raw(second, domain.names, "test")])
    if "split" not in frame.columns:
        raise DataError(f"'{first}' has no 'split' column; read a table of your own with data=csv or data=parquet")
    test = (frame["split"] == "test").to_numpy()
    frame = frame.drop(columns="split")
    text = f"Adult: {'; '.join(provenance(file) for file in files)}; {(~test).sum():,} + {test.sum():,} rows"
    if holdout == "official":
        train, held = (Table(frame.loc[part], domain, invalid, unreadable=unreadable) for part in (~test, test))
        return finish(train, held, n_train, selection, text)
    return finish(
        Table(frame, domain, invalid, unreadable=unreadable), held_fraction(holdout), n_train, selection, text
    )


def raw(file: Path, names: tuple[str, ...], split: str) -> pd.DataFrame:
    """One of the two UCI text files: no header, ', ' between fields, a '.' after test labels."""
    try:
        with file.open(encoding="utf-8") as stream:
            comments = int(stream.readline().startswith("|"))
        frame = pd.read_csv(
            file,
            header=None,
            names=list(names),
            skiprows=comments,
            skipinitialspace=True,
            dtype="str",
            keep_default_na=False,
            index_col=False,
        )
    except (OSError, ValueError) as error:
        raise DataError(f"'{file}' is not a UCI Adult file: {' '.join(str(error).split())}") from None
    frame[names[-1]] = frame[names[-1]].str.removesuffix(".")
    return frame.assign(split=split)
