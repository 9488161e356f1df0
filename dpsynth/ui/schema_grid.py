"""A schema as a table to edit: one row for each column, and back to the text of schema.yaml.

What has a field of its own in the grid are the kind, its values (bounds, categories or pattern), missing, label and
whether the column is taken at all; every other key stands in `more` as a YAML mapping, so nothing is lost on the way.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import yaml

from dpsynth.data.table.schema import dump_yaml, flow, parse_yaml
from dpsynth.errors import SchemaError

KINDS = ("category", "boolean", "integer", "number", "date", "datetime", "identifier")
PRIVATE = "private"
_GUESS = "# guess"
_READ_FROM_DATA = ("point_masses", "decimals")
_NUMBERS = ("bounds", "point_masses", "decimals", "resolution", "rows")
_PLAIN = re.compile(r"[\w.+/€%][\w .+/€%-]*(?<! )|-?[\d.]+")  # needs no quotation marks in a flow sequence


@dataclass(frozen=True)
class GridRow:
    """One column of the table.

    Attributes:
        column: Its name.
        use: False leaves it out (`ignore: true`).
        kind: One of `KINDS`.
        values: Bounds or categories with commas between them, such as "0, 110" or "Female, Male" (in quotation marks
            where they hold a comma), or "private"; of an identifier its pattern.
        missing, label: As in the schema.
        more: Its other keys, as a YAML mapping, or empty.
        guess: What the draft says about it; empty when a person wrote the line.
        checked: Whether a person has looked at it.
    """

    column: str
    use: bool
    kind: str
    values: str
    missing: bool
    label: bool
    more: str
    guess: str
    checked: bool


def grid_of(text: str) -> tuple[list[GridRow], dict[str, Any]]:
    """Rows of the grid, and the keys of the schema that belong to no column. Raises `SchemaError`."""
    content = parse_yaml(text)
    columns = content.get("columns")
    if not isinstance(columns, Mapping) or not columns:
        raise SchemaError("schema: needs 'columns:' with one entry for each column")
    guesses = _guesses(text, len(columns))
    rows = [_row(name, spec, guess) for (name, spec), guess in zip(columns.items(), guesses, strict=True)]
    return rows, {key: value for key, value in content.items() if key != "columns"}


def text_of(rows: Sequence[GridRow], rest: Mapping[str, Any]) -> str:
    """The text of schema.yaml; lines that nobody has checked keep their mark. Raises `SchemaError`."""
    labels = [row.column for row in rows if row.label and row.use]
    if len(labels) > 1:
        raise SchemaError(f"{', '.join(labels)}: one column at most is the label")
    top = {key: _native(key, value) for key, value in rest.items()}
    lines = dump_yaml({"columns": {row.column: _spec(row) for row in rows}, **top}).splitlines()
    for place, row in enumerate(rows, start=1):
        if not row.checked:
            lines[place] += f"  {row.guess or _GUESS + ': not checked yet'}"
    return "\n".join(lines) + "\n"


def estimated_privately(row: GridRow) -> GridRow:
    """The row with nothing in it that was read from the data but the kind: bounds and categories will be estimated
    privately, and values may be missing whether some are or not."""
    if not row.use:
        return replace(row, checked=True)
    if row.kind == "identifier":
        return replace(row, values="{n}", checked=True)
    if row.kind == "boolean":
        return replace(row, missing=True, checked=True)
    kept = {key: value for key, value in _mapping(row.more, row.column).items() if key not in _READ_FROM_DATA}
    more = ", ".join(f"{key}: {_shown(value)}" for key, value in kept.items())
    return replace(row, values=PRIVATE, missing=True, more=more, checked=True)


def unchecked(rows: Sequence[GridRow]) -> list[str]:
    """Names of columns that nobody has checked."""
    return [row.column for row in rows if row.use and not row.checked]


def _guesses(text: str, columns: int) -> list[str]:
    """The comment behind each column, in their order; the draft and `text_of` write one line for each."""
    lines = [line for line in text.splitlines() if re.match(r"  [^ #]", line)]
    if len(lines) != columns:  # written by hand, otherwise
        return [""] * columns
    found = []
    for line in lines:
        place = line.find(_GUESS)
        found.append(line[place:] if place >= 0 else "")
    return found


def _row(name: str, spec: Any, guess: str) -> GridRow:
    if not isinstance(spec, Mapping):
        raise SchemaError(f"{name}: needs {{kind: ...}}")
    keys = dict(spec)
    use = str(keys.pop("ignore", "false")).lower() not in ("true", "yes", "on")
    kind = str(keys.pop("kind", "category"))
    missing = str(keys.pop("missing", "false")).lower() in ("true", "yes", "on")
    label = str(keys.pop("label", "false")).lower() in ("true", "yes", "on")
    values = keys.pop(_key_of(kind), None)
    if isinstance(values, list):
        values = ", ".join(map(_item, values))
    more = ", ".join(f"{key}: {_shown(value)}" for key, value in keys.items())
    return GridRow(name, use, kind, str(values or ""), missing, label, more, guess, not guess)


def _key_of(kind: str) -> str:
    return {"category": "categories", "identifier": "pattern"}.get(kind, "bounds")


def _spec(row: GridRow) -> dict[str, Any]:
    if not row.use:
        return {"ignore": True}
    if row.kind not in KINDS:
        raise SchemaError(f"{row.column}: kind {row.kind!r} is none; choose {', '.join(KINDS)}")
    spec: dict[str, Any] = {"kind": row.kind}
    values, key = row.values.strip(), _key_of(row.kind)
    if key == "pattern" and values:
        spec[key] = values
    elif values and row.kind != "boolean":
        listed = values if values == PRIVATE or (values[0], values[-1]) == ("[", "]") else f"[{values}]"
        spec[key] = _native(key, _yaml(listed, f"{row.column}: values"))
    if row.missing:
        spec["missing"] = True
    if row.label:
        spec["label"] = True
    return spec | _mapping(row.more, row.column)


def _mapping(text: str, column: str) -> dict[str, Any]:
    if not text.strip():
        return {}
    found = _yaml(f"{{{text.strip().removeprefix('{').removesuffix('}')}}}", f"{column}: more")
    if not isinstance(found, dict) or None in found.values() or "" in found.values():
        raise SchemaError(f"{column}: more: write its keys as in decimals: 2, ordered: true")
    return {key: _native(key, value) for key, value in found.items()}


def _yaml(text: str, where: str) -> Any:
    """Texts stay the texts they are, as in the schema's own loader."""
    try:
        return yaml.load(text, Loader=yaml.BaseLoader)
    except yaml.YAMLError as error:
        reason = str(getattr(error, "problem", None) or error)
        raise SchemaError(f"{where}: cannot be read ({reason}); put texts with signs into quotation marks") from None


def _native(key: str, value: Any) -> Any:
    """Numbers as numbers where the key holds numbers, so that the file shows them without quotation marks."""
    if isinstance(value, list):
        return [_native(key, item) for item in value]
    if key == "ordered" and value in ("true", "false"):
        return value == "true"
    if key not in _NUMBERS or not isinstance(value, str):
        return value
    for number in (int, float):
        try:
            if str(number(value)) == value:
                return number(value)
        except ValueError:
            continue
    return value


def _shown(value: Any) -> str:
    """A value in `more`, as YAML within a flow mapping."""
    if isinstance(value, list):
        return f"[{', '.join(map(_item, value))}]"
    return _item(value)


def _item(value: Any) -> str:
    """A text of a list, in quotation marks where YAML would read it otherwise."""
    text = str(value)
    if text == PRIVATE:
        return json.dumps(text)
    return text if _PLAIN.fullmatch(text) else flow([text])[1:-1]
