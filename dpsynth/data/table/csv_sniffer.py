"""Looking at a CSV file to propose its dialect, for drafts only: whoever trains says how the file is written."""

from __future__ import annotations

import csv
import re
from collections import Counter
from dataclasses import replace
from pathlib import Path

from dpsynth.data.table import text_encoding
from dpsynth.data.table.csv_dialect import DELIMITERS, CsvDialect, first_rows, uncompressed
from dpsynth.data.table.csv_faults import refuse_other_formats
from dpsynth.data.table.csv_files import column_name, looks_like_data
from dpsynth.errors import DataError

_SINGLE = re.compile(r"(?:^|[,;\t|])'[^']*'(?:[,;\t|]|$)")  # a field in single quotation marks


def sniff(file: Path) -> CsvDialect:
    """The dialect in which the first rows of the file have most fields, all as many; commas and UTF-8 when none has."""
    refuse_other_formats(file)
    with uncompressed(file) as stream:
        encoding = text_encoding.proposed(stream.read(text_encoding.LOOK))
    plain = CsvDialect(encoding=encoding)
    rows, _ = first_rows(file, CsvDialect("\x1f", encoding, quote=""))
    if not rows:
        return plain
    said = re.fullmatch(r"sep=(.)", rows[0][0].strip())
    scored = [
        (_consistency(file, replace(plain, delimiter=sign, quote=quote)), -k, sign, quote)
        for quote in ('"', "'")
        if quote == '"' or any(_SINGLE.search(row[0]) for row in rows)
        for k, sign in enumerate(DELIMITERS)
    ]
    best = max(scored, key=lambda each: (each[0], each[3] == '"', each[1]))
    dialect = replace(plain, delimiter=said[1] if said else best[2], quote='"' if said else best[3])
    if said:
        return dialect
    found, lines = first_rows(file, dialect)
    width = Counter(map(len, found)).most_common(1)[0][0]
    start = next(k for k, row in enumerate(found) if len(row) == width)
    if start and all(row[0].startswith("#") for row in found[:start]):
        return replace(dialect, comment="#")
    if start:
        dialect = replace(dialect, skip_rows=lines[start - 1])
        found = found[start:]
    head, rest = found[0], found[1:]
    return replace(dialect, header=not (rest and looks_like_data([column_name(cell) for cell in head], rest)))


def ignorable(file: Path, dialect: CsvDialect) -> CsvDialect:
    """The dialect without the columns that have values but no name."""
    rows, _ = first_rows(file, dialect)
    if rows and not dialect.skip_rows and re.fullmatch(r"sep=(.)?", dialect.delimiter.join(rows[0])):
        rows = rows[1:]
    if not dialect.header or not rows:
        return dialect
    places = [k for k, name in enumerate(rows[0]) if not column_name(name)]
    with_values = [k for k in places if any(k < len(row) and row[k].strip() for row in rows[1:])]
    more = [f"column {k + 1}" for k in with_values if f"column {k + 1}" not in dialect.ignore]
    return replace(dialect, ignore=(*dialect.ignore, *more))


def _consistency(file: Path, dialect: CsvDialect) -> tuple[float, int]:
    """(fraction of the rows with the most frequent number of fields, if above one; that number)."""
    try:
        rows, _ = first_rows(file, dialect)
    except (DataError, ValueError, csv.Error):
        return 0.0, 0
    width, count = Counter(map(len, rows)).most_common(1)[0] if rows else (0, 0)
    return (count / len(rows) if width > 1 else 0.0), width
