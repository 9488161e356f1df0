"""In which type a column stands in a Parquet file: `type: int8`, `decimal(10, 2)`, `timestamp[us, Europe/Berlin]`.

The type belongs to the schema, and is as public as its bounds: it is declared (`dpsynth schema` proposes that of the
file), never copied from the private file by itself. Many programs choose types by the values (the narrowest integer
that holds them, a float where one is missing), so a type can say something of the rows. A sample is written in the
declared type, whatever the file had.
"""

# pyright: reportAttributeAccessIssue=false

from __future__ import annotations

import re
from decimal import Decimal
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from dpsynth.data.columns.category import Boolean, Category
from dpsynth.data.columns.column import Column
from dpsynth.data.columns.datetime_column import Date, Datetime
from dpsynth.data.columns.identifier import Identifier
from dpsynth.data.columns.numeric_column import Integer, Number, NumericColumn
from dpsynth.data.columns.raw import absent, number_of
from dpsynth.errors import SchemaError

_INTEGERS = {f"{sign}int{bits}": getattr(pa, f"{sign}int{bits}")() for sign in ("", "u") for bits in (8, 16, 32, 64)}
_FLOATS = {"float16": pa.float16(), "float32": pa.float32(), "float64": pa.float64()}
_PLAIN: dict[str, pa.DataType] = {
    **_INTEGERS,
    **_FLOATS,
    "bool": pa.bool_(),
    "string": pa.string(),
    "large_string": pa.large_string(),
    "dictionary": pa.dictionary(pa.int32(), pa.string()),
    "date32": pa.date32(),
    "date64": pa.date64(),
}
_DECIMAL = re.compile(r"decimal\(([0-9]+), ?([0-9]+)\)")
_TIMED = re.compile(r"(timestamp|duration|time)\[(s|ms|us|ns)(?:, ?([^\]]+))?\]")
_WIDE = {"int64", "float64", "bool", "string", "large_string", "dictionary", "date32", "date64"}
_WHOLE_IN = {"float16": 2**11, "float32": 2**24, "float64": 2**53}  # integers up to it are exact
KNOWN = (*_PLAIN, "decimal(10, 2)", "timestamp[us]", "timestamp[us, Europe/Berlin]", "time[s]", "duration[s]")


def arrow_type(name: str) -> pa.DataType | None:
    """The type of that name; None for a name that is not known."""
    if name in _PLAIN:
        return _PLAIN[name]
    if match := _DECIMAL.fullmatch(name):
        digits, places = int(match[1]), int(match[2])
        return pa.decimal128(digits, places) if 1 <= digits <= 38 and places <= digits else None
    match = _TIMED.fullmatch(name)
    if match is None:
        return None
    kind, unit, zone = match.groups()
    if kind == "timestamp":
        try:
            return pa.timestamp(unit, None if zone is None else ZoneInfo(zone).key)
        except (ValueError, OSError):  # ZoneInfoNotFoundError is a KeyError
            return None
        except KeyError:
            return None
    if zone is not None:
        return None
    if kind == "duration":
        return pa.duration(unit)
    return pa.time32(unit) if unit in ("s", "ms") else pa.time64(unit)


def type_name(stored: pa.DataType) -> str | None:
    """The name of a type; None where columns have no such type (lists, structs, binary)."""
    if pa.types.is_dictionary(stored):
        texts = pa.types.is_string(stored.value_type) or pa.types.is_large_string(stored.value_type)
        return "dictionary" if texts else type_name(stored.value_type)
    for name, plain in _PLAIN.items():
        if stored == plain:
            return name
    if pa.types.is_decimal128(stored) and 0 <= stored.scale <= stored.precision:
        return f"decimal({stored.precision}, {stored.scale})"
    if pa.types.is_timestamp(stored):
        name = f"timestamp[{stored.unit}]" if stored.tz is None else f"timestamp[{stored.unit}, {stored.tz}]"
        return name if arrow_type(name) is not None else None
    if pa.types.is_duration(stored) or pa.types.is_time(stored):
        return f"{'duration' if pa.types.is_duration(stored) else 'time'}[{stored.unit}]"
    return None


def plain_type(column: Column) -> str:
    """The type of a column for which none is declared."""
    if isinstance(column, Boolean):
        return "bool"
    if isinstance(column, Integer):
        return "int64" if column.format is None else "duration[s]"
    if isinstance(column, Number):
        return "float64"
    return {"date": "date32", "datetime": "timestamp[ms]"}.get(column.kind, "string")


def change_of_type(column: Column, stored: pa.DataType) -> str | None:
    """How the type of a column in a file differs from that of samples, with the remedy where there is one."""
    written = column.type or plain_type(column)
    found = type_name(stored)
    if written == found or (written == "string" and found == "large_string"):
        return None
    line = f"column '{column.name}' is {found or stored} in the file and {written} in a Parquet file of samples"
    return f"{line}; declare type: {found} to keep it" if found is not None and fits(column, found) else line


def check_type(column: Column) -> None:
    """`SchemaError` when the declared type of a column is not known, or does not hold all of its values."""
    if column.type is None:
        return
    where = f"column '{column.name}': type {column.type}"
    if arrow_type(column.type) is None:
        raise SchemaError(f"{where} is not known; there are {', '.join(KNOWN)} and the like")
    reason = _misfit(column, column.type)
    if reason is not None:
        raise SchemaError(f"{where} {reason}")


def fits(column: Column, name: str) -> bool:
    """Whether a column can be written in a type."""
    return arrow_type(name) is not None and _misfit(column, name) is None


def _misfit(column: Column, name: str) -> str | None:
    """Why a type does not hold the values of a column; None when it does."""
    if name in ("string", "large_string"):
        return None
    family = re.split(r"[\[(]", name)[0]
    if column.undeclared and (name not in _WIDE and family not in ("timestamp", "duration", "time")):
        return "may not hold all values of a column without declared bounds or categories"
    if isinstance(column, Identifier):
        made = [str(value) for value in column.fresh(3)]
        whole = name in _INTEGERS and all(re.fullmatch(r"[1-9][0-9]*", value) for value in made)
        return None if whole else f"does not hold identifiers such as {made[0]}"
    if isinstance(column, Boolean):
        return None if name == "bool" or name in _INTEGERS else "does not hold true and false"
    if isinstance(column, Category):
        return _misfit_of_texts(column, name)
    if isinstance(column, (Date, Datetime)):
        of_day = isinstance(column, Datetime) and column.format in ("%H:%M", "%H:%M:%S")
        known = family == "timestamp" or (family == "time" and of_day)
        known = known or (isinstance(column, Date) and name in ("date32", "date64"))
        far = name.endswith("ns]") or "[ns," in name
        if far and not column.undeclared and family == "timestamp":
            known = known and column.start > -9.2e9 and column.stop < 9.2e9  # the years 1678 to 2261
        return None if known else f"does not hold every {column.kind} between the bounds"
    assert isinstance(column, NumericColumn), "the other kinds came before"
    return _misfit_of_numbers(column, name, family)


def _misfit_of_texts(column: Category, name: str) -> str | None:
    if name == "dictionary":
        return None
    if not column.undeclared and name in _INTEGERS:
        limits = np.iinfo(name)
        for value in column.values:
            if not re.fullmatch(r"0|-?[1-9][0-9]*", value) or not limits.min <= int(value) <= limits.max:
                return f"does not hold the category {value!r}"
        return None
    if not column.undeclared and name in _FLOATS:
        odd = [value for value in column.values if not np.isfinite(number_of(value))]
        return f"does not hold the category {odd[0]!r}" if odd else None
    return "does not hold categories"


def _misfit_of_numbers(column: NumericColumn, name: str, family: str) -> str | None:
    if family == "duration":
        return None if isinstance(column, Integer) and column.format is not None else "holds lengths of time only"
    if column.undeclared:
        return (
            None if name == "float64" or (name == "int64" and isinstance(column, Integer)) else "does not hold numbers"
        )
    values = (column.start, column.stop, *column.point_mass_values)
    largest = max(abs(value) for value in values)
    if isinstance(column, Integer) and name in _INTEGERS:
        limits = np.iinfo(name)
        inside = all(limits.min <= int(value) <= limits.max for value in values)
        return None if inside else f"holds {limits.min} to {limits.max} only, not all between the bounds"
    if isinstance(column, Integer) and name in _FLOATS:
        return None if largest <= _WHOLE_IN[name] else "does not hold every whole number between the bounds"
    if name in _FLOATS:
        return None if largest <= float(np.finfo(name).max) else "does not hold all numbers between the bounds"
    if match := _DECIMAL.fullmatch(name):
        digits, places = int(match[1]), int(match[2])
        needed = column.decimals if isinstance(column, Number) else 0
        if needed is None or needed > places:
            return f"holds {places} decimals; declare decimals: {places} or fewer"
        return None if largest < 10.0 ** (digits - places) else f"holds {digits - places} figures before the point only"
    return "does not hold numbers"


def to_arrow(column: Column, series: pd.Series) -> pa.Array | pa.ChunkedArray:
    """A legal series of the column in its declared type, or the one of its kind."""
    name = column.type or plain_type(column)
    stored = arrow_type(name)
    assert stored is not None, "checked when it was declared"
    gone = absent(series)
    if isinstance(column, (Date, Datetime)) and name not in ("string", "large_string"):
        return _moments(column, series, stored)
    if isinstance(column, (Category, Identifier)) or name in ("string", "large_string"):
        texts = pa.array(
            [None if empty else str(value) for value, empty in zip(_texts(column, series), gone, strict=True)]
        )
        texts = texts.cast(pa.string())
        if isinstance(column, Boolean) and name != "string":
            return pa.array(series, type=pa.bool_(), from_pandas=True).cast(stored)
        return texts.dictionary_encode() if name == "dictionary" else texts.cast(stored)
    if pa.types.is_decimal(stored):
        places = Decimal(1).scaleb(-stored.scale)
        values = [
            None if empty else Decimal(repr(value)).quantize(places) for value, empty in zip(series, gone, strict=True)
        ]
        return pa.array(values, type=stored)
    if pa.types.is_duration(stored):
        factor = {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}[stored.unit]
        return pc.multiply(pa.array(series, type=pa.int64(), from_pandas=True), factor).cast(stored)
    plain = pa.array(series, type=pa.int64() if isinstance(column, Integer) else pa.float64(), from_pandas=True)
    return plain.cast(stored, safe=not isinstance(column, Number))


def _texts(column: Column, series: pd.Series) -> pd.Series:
    return column.text(series)


def _moments(column: Date | Datetime, series: pd.Series, stored: pa.DataType) -> pa.Array | pa.ChunkedArray:
    instants = pa.array(series, type=pa.timestamp("s"), from_pandas=True)
    if pa.types.is_time(stored):
        return instants.cast(pa.time32("s")).cast(stored)
    if not pa.types.is_timestamp(stored):
        return instants.cast(stored)
    if stored.tz is None:
        return instants.cast(stored)
    clock = column.timezone or ("UTC" if isinstance(column, Datetime) else stored.tz)
    zoned = pc.assume_timezone(instants, clock, ambiguous="earliest", nonexistent="latest")
    return zoned.cast(pa.timestamp("s", stored.tz)).cast(stored)
