"""Inputs of other evaluations: SDMetrics, SDNist and mostlyai-qa, from a real and a synthetic table.

    real, synthetic, metadata = sdmetrics_inputs(real_table, synthetic_table)
    QualityReport().generate(real, synthetic, metadata)

    mostlyai.qa.report(**mostlyai_inputs(synthetic_table, training_table, holdout_table))

    sdnist_file(synthetic_table, "synthetic.csv")       # python -m sdnist.report synthetic.csv MA

Only inputs are made here; none of these packages is imported, so that they may live in an environment of their own, as
their requirements ask: frames go there as Parquet, metadata as JSON. All that they compute from real rows is exact and
private. Identifiers are left out, since they are made anew and compare with nothing.
"""

# pyright: reportMissingTypeStubs=false, reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd

from dpsynth.data.columns import Category, Column, Integer, Number
from dpsynth.data.columns.category import Boolean
from dpsynth.data.table.domain import Domain
from dpsynth.data.table.table import Table
from dpsynth.errors import ConfigError, DataError
from dpsynth.integrations.sdv import metadata_of

# The features of the NIST excerpts of the American Community Survey 2019, the only tables that SDNist compares with.
SDNIST_FEATURES = (
    "PUMA", "AGEP", "SEX", "MSP", "HISP", "RAC1P", "NOC", "NPF", "HOUSING_TYPE", "OWN_RENT", "DENSITY", "INDP",
    "INDP_CAT", "EDU", "PINCP", "PINCP_DECILE", "POVPIP", "DVET", "DREM", "DPHY", "DEYE", "DEAR", "PWGTP", "WGTP",
)  # fmt: skip
NIST_MISSING = "N"


def sdmetrics_inputs(real: Table, synthetic: Table) -> tuple[pd.DataFrame, pd.DataFrame, dict[str, Any]]:
    """What the reports of SDMetrics take: real rows (PRIVATE), synthetic rows and metadata of a single table.

    Dates are `datetime64`, truth values `bool` or pandas' nullable `boolean`, numbers float64 or int64, and missing
    values those of pandas.

    Raises:
        DataError: The tables have no column in common.
    """
    domain = _common(real, synthetic)
    metadata = metadata_of(domain)["tables"]["table"]
    return _frame(real, domain), _frame(synthetic, domain), metadata


def mostlyai_inputs(synthetic: Table, train: Table, holdout: Table | None = None) -> dict[str, pd.DataFrame]:
    """Arguments of `mostlyai.qa.report` for a single table. Real rows among them: PRIVATE.

    holdout: Rows that were not used in training; without them the report has nothing to compare distances with.

    Raises:
        DataError: The tables have no column in common.
    """
    domain = _common(train, synthetic)
    inputs = {"syn_tgt_data": _frame(synthetic, domain), "trn_tgt_data": _frame(train, domain)}
    if holdout is not None:
        inputs["hol_tgt_data"] = _frame(holdout, _common(holdout, synthetic))
    return inputs


def sdnist_file(synthetic: Table, path: str | Path) -> Path:
    """A file for `python -m sdnist.report FILE MA|TX|NATIONAL`: the columns that SDNist knows, in NIST's codes.

    Missing values become "N". Columns of other names are left out, as SDNist leaves them out.

    Raises:
        ConfigError: The file's name ends in neither .csv nor .parquet.
        DataError: No column is a feature of the NIST excerpts.
    """
    path = Path(path)
    if path.suffix not in (".csv", ".parquet"):
        raise ConfigError(f"{path}: SDNist reads FILE.csv or FILE.parquet")
    kept = [name for name in synthetic.domain.names if name in SDNIST_FEATURES]
    if not kept:
        raise DataError(
            "no column is a feature of the NIST excerpts, the only tables that SDNist compares with; they are "
            f"{', '.join(SDNIST_FEATURES)}"
        )
    frame = _frame(synthetic, synthetic.domain.select(kept))
    for name in kept:
        frame[name] = _codes(frame[name], synthetic.domain[name])
    if path.suffix == ".csv":
        frame.to_csv(path, index=False)
    else:
        frame.to_parquet(path, index=False)
    return path


def _common(first: Table, second: Table) -> Domain:
    """The learned columns that both tables have, as the first declares them."""
    names = [name for name in first.domain.names if name in set(second.domain.names)]
    if not names:
        raise DataError("the real and the synthetic table have no column in common")
    return first.domain.select(names)


def _frame(table: Table, domain: Domain) -> pd.DataFrame:
    """The columns of `domain` in types that other libraries read alike in both tables."""
    found = table.to_pandas()
    return pd.DataFrame({column.name: _plain(found[column.name], column) for column in domain})


def _plain(values: Any, column: Column) -> Any:
    """values, result: a `pandas.Series`."""
    missing = bool(values.isna().any())
    if isinstance(column, Boolean):
        return values.astype("boolean" if missing else "bool")
    if isinstance(column, Category):
        return values.astype("object").where(values.notna(), None)
    if isinstance(column, Integer | Number):
        numbers: Any = pd.to_numeric(values)
        return numbers.astype("int64" if isinstance(column, Integer) and not missing else "float64")
    return pd.to_datetime(values)


def _codes(values: Any, column: Column) -> pd.Series:
    """Values as NIST writes them: whole numbers without a decimal point, "N" where one is missing."""
    numeric = isinstance(column, Integer)
    written = [NIST_MISSING if pd.isna(v) else int(v) if numeric else v for v in values.tolist()]
    if all(isinstance(v, int) for v in written):
        return pd.Series(written, index=values.index, dtype="int64")
    return pd.Series([str(v) for v in written], index=values.index, dtype="object")
