"""Tables of other libraries in memory: taken in by the Arrow PyCapsule interface, given back in the same kind.

polars, pyarrow, duckdb, ibis and others offer `__arrow_c_stream__`; none of them has to be installed. Types that a
frame declares are public facts of its schema, values are not.
"""

from __future__ import annotations

import sys
from typing import Any

import pandas as pd
import pyarrow as pa

from dpsynth.data.columns import Category, Column, Date, Datetime, Identifier, Integer, Number
from dpsynth.data.columns.category import Boolean
from dpsynth.data.table.domain import Domain
from dpsynth.data.table.tabular_files import from_arrow
from dpsynth.errors import DataError, SchemaError


def to_pandas(frame: Any) -> pd.DataFrame:
    """A frame of any of these kinds as a pandas DataFrame; one of pandas as it is.

    Raises:
        DataError: It is none, two of its columns share a name, or a name is no text.
    """
    found = frame if isinstance(frame, pd.DataFrame) else from_arrow(_arrow(frame))
    names = list(found.columns)
    if wrong := [name for name in names if not isinstance(name, str)]:
        raise DataError(f"the column name {wrong[0]!r} is no text; rename it")
    if twice := [name for name in dict.fromkeys(names) if names.count(name) > 1]:
        raise DataError(f"the column '{twice[0]}' stands twice; rename one of them")
    return found


def like(table: pa.Table, frame: Any) -> Any:
    """`table` in the kind of `frame`: pandas, polars, duckdb, or pyarrow for all others."""
    if isinstance(frame, pd.DataFrame):
        return table.to_pandas()
    library = type(frame).__module__.partition(".")[0].lstrip("_")
    module = sys.modules.get(library)
    if library in ("polars", "duckdb") and hasattr(module, "from_arrow"):
        return module.from_arrow(table)  # type: ignore[union-attr]
    return table


def declared_types(frame: Any) -> Domain:
    """A schema from the declared types of a frame alone: every bound and list of categories is to be estimated
    privately, and every column may have missing values. No value is looked at.

    Raises:
        SchemaError: A column of a type that cannot be learned, or whose type says nothing (pandas' object).
    """
    if isinstance(frame, pd.DataFrame):
        schema = [(str(name), _pandas_type(dtype)) for name, dtype in frame.dtypes.items()]
    else:
        found = _arrow_schema(frame)
        schema = [(field.name, field.type) for field in found]
    return Domain(tuple(_column(name, kind) for name, kind in schema))


def _arrow(frame: Any) -> pa.Table:
    if isinstance(frame, pa.Table):
        return frame
    if isinstance(frame, dict) or not hasattr(frame, "__arrow_c_stream__"):
        raise DataError(
            f"a {type(frame).__name__} is no frame: give one of pandas, polars, pyarrow or duckdb, or any that has "
            "__arrow_c_stream__ (collect a lazy one first)"
        )
    return pa.RecordBatchReader.from_stream(frame).read_all()


def _arrow_schema(frame: Any) -> pa.Schema:
    schema = getattr(frame, "schema", None)
    return schema if isinstance(schema, pa.Schema) else _arrow(frame).schema


def _pandas_type(dtype: Any) -> pa.DataType:
    if isinstance(dtype, pd.ArrowDtype):
        return dtype.pyarrow_dtype
    if isinstance(dtype, pd.CategoricalDtype) or (
        pd.api.types.is_string_dtype(dtype) and not pd.api.types.is_object_dtype(dtype)
    ):
        return pa.string()
    if pd.api.types.is_bool_dtype(dtype):
        return pa.bool_()
    if pd.api.types.is_integer_dtype(dtype):
        return pa.int64()
    if pd.api.types.is_float_dtype(dtype):
        return pa.float64()
    if pd.api.types.is_datetime64_any_dtype(dtype):
        return pa.timestamp("s")
    return pa.null()


def _column(name: str, kind: pa.DataType) -> Column:
    if pa.types.is_dictionary(kind):
        kind = kind.value_type
    if pa.types.is_boolean(kind):
        return Boolean(name, missing=True)
    if pa.types.is_integer(kind):
        return Integer(name, missing=True)
    if pa.types.is_floating(kind) or pa.types.is_decimal(kind):
        return Number(name, missing=True)
    if pa.types.is_date(kind):
        return Date(name, missing=True)
    if pa.types.is_timestamp(kind):
        return Datetime(name, missing=True)
    if any(is_text(kind) for is_text in (pa.types.is_string, pa.types.is_large_string, pa.types.is_string_view)):
        return Category(name, missing=True)
    if kind == pa.binary(16):
        return Identifier(name)
    raise SchemaError(
        f"column '{name}': its type says nothing of its values; declare it in a schema, or give it a type "
        "(in pandas: frame.astype({'" + name + "': 'string'}))"
    )
