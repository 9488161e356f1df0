"""schema.yaml: the public description of a table as text, read strictly and written back.

    columns:
      age:     {kind: integer, bounds: [17, 90]}
      gain:    {kind: integer, bounds: [0, 99999], point_masses: 0, scale: log}
      hired:   {kind: date, bounds: [1990-01-01, 2026-12-31], missing: true}
      income:  {kind: category, categories: ["<=50K", ">50K"], label: true}
      visit:   {ignore: true}       a column of the file that is never read, and not written
    constraints: ["start <= end"]
    rows: 30000                     a public rough number of rows, optional
    missing_values: ["", "?"]       texts that stand for no value, optional; a column may have its own
    decimal: ","                    how the file writes numbers, optional; also thousands: ".", symbols: ["$"] and
                                    negative: parentheses. A column may have its own

YAML's own guesses (no -> False, 1990-01-01 -> date, 012 -> 10) are switched off: every scalar arrives as
the text that was written, and the kind of the column says what it means.
"""

from __future__ import annotations

import datetime as dt
import difflib
import json
import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import yaml

from dpsynth.data.columns import (
    KINDS,
    Boolean,
    Category,
    Column,
    Date,
    Datetime,
    Identifier,
    Integer,
    Number,
    NumericColumn,
)
from dpsynth.data.columns.hierarchy import Hierarchy
from dpsynth.data.columns.notation import Notation
from dpsynth.data.columns.raw import as_text
from dpsynth.errors import SchemaError

NOTATION = ("decimal", "thousands", "symbols", "negative")  # of a column, or of all columns at the top
TOP_KEYS = ("columns", "constraints", "rows", "missing_values", *NOTATION)
# Such texts are written as JSON, escaped: control signs, blanks that look like others, marks that turn the direction
_UNPRINTABLE = re.compile("[\x00-\x1f\x7f-\xa0\u200b-\u200f\u2028-\u202f\u2060-\u206f\ufeff]")
_SHARED = ("kind", "missing", "label", "missing_values", "type", "ignore")
_KEYS = {
    "category": (*_SHARED, "categories", "other", "ordered", "hierarchy"),
    "boolean": (*_SHARED, "texts"),
    "integer": (*_SHARED, "bounds", "point_masses", "scale", "format", *NOTATION),
    "number": (*_SHARED, "bounds", "point_masses", "scale", "decimals", *NOTATION),
    "date": (*_SHARED, "bounds", "point_masses", "format", "timezone", "first_year"),
    "identifier": ("kind", "pattern", "type", "ignore"),
    "datetime": (*_SHARED, "bounds", "point_masses", "resolution", "format", "timezone", "first_year"),
}
PRIVATE = "private"


class _Texts(yaml.BaseLoader):
    """Keeps every scalar a text and refuses a key that stands twice."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen: set[str] = set()
        for key, _ in node.value:
            if key.value in seen:
                raise SchemaError(f"line {key.start_mark.line + 1}: '{key.value}' stands twice; keep one")
            seen.add(key.value)
        return super().construct_mapping(node, deep)


def parse_yaml(text: str, where: str = "schema", needs: str = "columns:") -> dict[str, Any]:
    """The plain mapping of a schema text; `SchemaError` with the line when it is no YAML mapping.

    needs: the key it must have, for messages.
    """
    try:
        content = yaml.load(text, Loader=_Texts)
    except SchemaError as error:
        raise SchemaError(f"{where}, {error}") from None
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = f", line {mark.line + 1}" if mark else ""
        problem = getattr(error, "problem", None) or "cannot be read"
        raise SchemaError(f"{where}{line}: not valid YAML: {problem}") from None
    if not isinstance(content, dict):
        raise SchemaError(f"{where}: expected a mapping with '{needs}', got {type(content).__name__}")
    return content


def check_keys(content: Mapping[str, Any], allowed: Iterable[str], where: str) -> None:
    """`SchemaError` naming the first unknown key and the nearest known one."""
    allowed = tuple(allowed)
    for key in content:
        if key not in allowed:
            near = difflib.get_close_matches(str(key), allowed, 1)
            meant = f"did you mean '{near[0]}'?" if near else f"known keys: {', '.join(allowed)}"
            raise SchemaError(f"{where}: unknown key '{key}'; {meant}")


def declaration_of(name: str, spec: Any, notation: Mapping[str, Any] | None = None) -> Column | None:
    """The column that one entry of `columns:` declares, or None for one that `ignore: true` leaves out.

    An ignored column may be described all the same; what is said of it must be right, too.
    """
    if not isinstance(spec, Mapping) or "ignore" not in spec:
        return column_from(name, spec, notation)
    rest = {key: value for key, value in spec.items() if key != "ignore"}
    left_out = truth(spec["ignore"], f"column '{name}', ignore")
    column = column_from(name, rest, notation) if rest or not left_out else None
    return None if left_out else column


def column_from(name: str, spec: Any, notation: Mapping[str, Any] | None = None) -> Column:
    """The column that one entry of `columns:` declares. Values may be texts (YAML) or native (JSON).

    notation: keys of `NOTATION` that hold for numbers which do not say otherwise.
    """
    where = f"column '{name}'"
    if not isinstance(spec, Mapping):
        raise SchemaError(f"{where}: write it as {{kind: integer, bounds: [0, 100]}} or another kind")
    kind = spec.get("kind")
    if kind not in KINDS:
        raise SchemaError(f"{where}: kind {kind!r} is not one of {', '.join(KINDS)}")
    check_keys(spec, _KEYS[kind], f"{where} (kind {kind})")
    fields: dict[str, Any] = {key: truth(spec[key], f"{where}, {key}") for key in ("missing", "label") if key in spec}
    if spec.get("missing_values") is not None:
        fields["missing_values"] = texts(spec["missing_values"], f"{where}, missing_values")
    if spec.get("type") is not None:
        fields["type"] = str(spec["type"])
    if kind in ("integer", "number"):
        fields["notation"] = notation_from(
            {**(notation or {}), **{key: spec[key] for key in NOTATION if key in spec}}, where
        )
    if kind == "category":
        fields |= _category(spec, where)
    elif kind == "boolean" and spec.get("texts") is not None:
        fields["texts"] = texts(spec["texts"], f"{where}, texts")
    elif kind == "identifier":
        fields |= {"pattern": str(spec["pattern"])} if spec.get("pattern") is not None else {}
    elif kind != "boolean":
        fields |= _numeric_column(kind, spec, where)
    return KINDS[kind](name, **fields)


def _category(spec: Mapping[str, Any], where: str) -> dict[str, Any]:
    listed, hierarchy = spec.get("categories"), None
    if spec.get("hierarchy") is not None:
        hierarchy = Hierarchy.from_spec(spec["hierarchy"], f"{where}, hierarchy")
        listed = hierarchy.categories or None if listed is None else listed
    if listed is None:
        raise SchemaError(f"{where}: needs 'categories: [...]', or 'categories: private' to estimate them privately")
    if listed != PRIVATE and (isinstance(listed, str) or not isinstance(listed, Iterable)):
        raise SchemaError(f"{where}: categories must be a list, got {listed!r}")
    fields: dict[str, Any] = {"categories": None if listed == PRIVATE else tuple(_text(v, where) for v in listed)}
    if spec.get("other") is not None:
        fields["other"] = _text(spec["other"], where)
    if hierarchy is not None:
        fields["hierarchy"] = hierarchy
        known = {*(fields["categories"] or hierarchy.categories), fields.get("other")}
        strange = next((name for name in hierarchy.categories if name not in known), None)
        if strange is not None:
            raise SchemaError(f"{where}: its hierarchy holds '{strange}', which is no category; add it there")
    if "ordered" in spec:
        fields["ordered"] = truth(spec["ordered"], f"{where}, ordered")
    return fields


def _numeric_column(kind: str, spec: Mapping[str, Any], where: str) -> dict[str, Any]:
    read = READERS[kind]
    bounds = spec.get("bounds")
    if bounds is None:
        raise SchemaError(f"{where}: needs 'bounds: [low, high]', or 'bounds: private' to estimate them privately")
    fields: dict[str, Any] = {}
    if bounds != PRIVATE:
        if isinstance(bounds, str) or not isinstance(bounds, Iterable) or len(tuple(bounds)) != 2:
            raise SchemaError(f"{where}: bounds must be [low, high] or private, got {bounds!r}")
        fields["low"], fields["high"] = (read(value, f"{where}, bounds") for value in bounds)
    if spec.get("point_masses") is not None:
        point_masses = (
            spec["point_masses"] if isinstance(spec["point_masses"], (list, tuple)) else [spec["point_masses"]]
        )
        fields["point_masses"] = tuple(read(value, f"{where}, point mass") for value in point_masses)
    for key in ("decimals", "resolution", "first_year"):
        if spec.get(key) is not None:
            fields[key] = whole(spec[key], f"{where}, {key}")
    for key in ("scale", "format", "timezone"):
        if spec.get(key) is not None:
            fields[key] = str(spec[key])
    return fields


def notation_from(spec: Mapping[str, Any], where: str) -> Notation:
    """The notation that the keys of `NOTATION` declare."""
    fields: dict[str, Any] = {
        key: str(spec[key]) for key in ("decimal", "thousands", "negative") if spec.get(key) not in (None, "")
    }
    try:
        return Notation(**fields, symbols=texts(spec.get("symbols") or (), f"{where}, symbols"))
    except SchemaError as error:
        raise SchemaError(f"{where}: {error}") from None


def texts(value: Any, where: str) -> tuple[str, ...]:
    """A list of texts; a single text stands for a list of one."""
    if isinstance(value, str):
        return (value,)
    if not isinstance(value, (list, tuple)):
        raise SchemaError(f"{where}: must be a list, got {value!r}")
    return tuple(str(item) for item in value)


def spec_of(column: Column) -> dict[str, Any]:
    """The json-able entry of a column; the inverse of `column_from`."""
    spec: dict[str, Any] = {"kind": column.kind}
    if isinstance(column, Category) and column.kind == "category":
        spec["categories"] = PRIVATE if column.categories is None else list(column.categories)
        spec |= {"other": column.other} if column.other is not None else {}
        spec |= {"ordered": True} if column.ordered else {}
        spec |= {"hierarchy": column.hierarchy.to_spec()} if column.hierarchy is not None else {}
    if isinstance(column, Boolean):
        spec |= {"texts": list(column.texts)} if column.texts is not None else {}
    if isinstance(column, Identifier):
        spec |= {"pattern": column.pattern} if column.pattern != "uuid" else {}
    if isinstance(column, NumericColumn):
        spec["bounds"] = PRIVATE if column.low is None else [_plain(column.low), _plain(column.high)]
        if column.point_masses:
            point_masses = [_plain(point_mass) for point_mass in column.point_masses]
            spec["point_masses"] = point_masses[0] if len(point_masses) == 1 else point_masses
        spec |= {"scale": column.scale} if column.scale != "linear" else {}
    if isinstance(column, Number) and column.decimals is not None:
        spec["decimals"] = column.decimals
    if isinstance(column, Datetime) and column.resolution != 1:
        spec["resolution"] = column.resolution
    if isinstance(column, (Date, Datetime, Integer)):
        keys = ("format",) if isinstance(column, Integer) else ("format", "timezone", "first_year")
        spec |= {key: getattr(column, key) for key in keys if getattr(column, key) is not None}
    if isinstance(column, (Integer, Number)) and not column.notation.plain:
        spec |= {
            key: getattr(column.notation, key) for key in ("decimal", "thousands") if getattr(column.notation, key)
        }
        spec |= {"symbols": list(column.notation.symbols)} if column.notation.symbols else {}
        spec |= {"negative": column.notation.negative} if column.notation.negative != "leading" else {}
    if column.missing_values is not None:
        spec["missing_values"] = list(column.missing_values)
    spec |= {"type": column.type} if column.type is not None else {}
    return spec | {key: True for key in ("missing", "label") if getattr(column, key)}


def _plain(value: Any) -> Any:
    if isinstance(value, dt.datetime):
        return value.isoformat(sep=" ")
    return value.isoformat() if isinstance(value, dt.date) else value


def flow(value: Any) -> str:
    """A value as YAML in one line, quoted so that any reader understands the same."""
    if _UNPRINTABLE.search(json.dumps(value, ensure_ascii=False, default=str).replace("\\n", "\x00")):
        quoted = json.dumps(value, ensure_ascii=False, default=str)  # one line, which YAML reads alike
        return _UNPRINTABLE.sub(lambda sign: f"\\u{ord(sign[0]):04x}", quoted)
    text = yaml.safe_dump(value, default_flow_style=True, width=10**9, sort_keys=False, allow_unicode=True)
    return text.removesuffix("\n").removesuffix("\n...").strip()


def dump_yaml(content: Mapping[str, Any]) -> str:
    """Schema text with one line per column, quoted so that any YAML reader understands the same."""
    columns: Mapping[str, Any] = content["columns"]
    lines = ["columns:", *(f"  {flow(name)}: {flow(spec)}" for name, spec in columns.items())]
    lines += [f"{key}: {flow(value)}" for key, value in content.items() if key != "columns"]
    return "\n".join(lines) + "\n"


def truth(value: Any, where: str) -> bool:
    """true or false, however YAML or JSON spell them."""
    text = str(value).casefold()
    if text not in ("true", "yes", "on", "false", "no", "off"):
        raise SchemaError(f"{where}: must be true or false, got {value!r}")
    return text in ("true", "yes", "on")


def whole(value: Any, where: str) -> int:
    """A whole number; '1_000' and '1e3' are accepted, fractions are not."""
    number = _number(value, where)
    if number != int(number):
        raise SchemaError(f"{where}: must be a whole number, got {value!r}")
    try:
        return int(value)
    except ValueError:  # 1e3
        return int(number)


def _number(value: Any, where: str) -> float:
    try:
        number = float(value) if not isinstance(value, bool) else float("nan")
    except (TypeError, ValueError):
        number = float("nan")
    if number - number != 0:  # NaN and infinity
        raise SchemaError(f"{where}: {value!r} is not a finite number")
    return number


def _date(value: Any, where: str) -> dt.date:
    if isinstance(value, dt.date) and not isinstance(value, dt.datetime):
        return value
    try:
        return dt.date.fromisoformat(str(value).strip())
    except ValueError:
        raise SchemaError(f"{where}: {value!r} is not a date, write YYYY-MM-DD") from None


def _datetime(value: Any, where: str) -> dt.datetime:
    if isinstance(value, dt.datetime):
        return value
    try:
        return dt.datetime.fromisoformat(str(value).strip())
    except ValueError:
        raise SchemaError(f"{where}: {value!r} is not a point in time, write YYYY-MM-DD HH:MM:SS") from None


def _text(value: Any, where: str) -> str:
    if isinstance(value, (Mapping, list, tuple)):
        raise SchemaError(f"{where}: a category must be a plain text, got {value!r}")
    return as_text(value)


READERS: dict[str, Callable[[Any, str], Any]] = {
    "integer": whole,
    "number": _number,
    "date": _date,
    "datetime": _datetime,
}
