"""Quotation marks of a CSV file that are not closed, or closed too early: then cells swallow rows, or lose signs.

A parser reads such a file without a word: a cell runs on to the next quotation mark, over rows. Whether a cell with
line breaks is one text or several rows, only the other rows tell.
"""

# pyright: reportAttributeAccessIssue=false

from __future__ import annotations

import csv
import math
import re
from collections.abc import Iterable, Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from dpsynth.data.columns.raw import number_of

_SAMPLE = 1000  # cells of a column by which its kind is judged
_LISTED = 50  # distinct cells of a column of few
_BREAK = re.compile(b"\n")


def misplaced(lines: Iterable[str], delimiter: str, quote: str, most: int) -> tuple[int, str, bool] | None:
    """(line, what it says, whether a mark is never closed) of the first cell with text after its closing mark.

    lines: with their ends. most: rows that are looked at.
    """
    if not quote:
        return None
    blanks = re.compile(f"{re.escape(quote)}[ \\t]+(?={re.escape(delimiter)}|\\r?\\n|$)")
    seen: list[str] = []

    def noted() -> Iterable[str]:
        for line in lines:
            seen[:] = [line]
            yield blanks.sub(quote, line)

    reader = csv.reader(noted(), delimiter=delimiter, quotechar=quote, strict=True)
    begun = 1
    try:
        for number, _ in enumerate(reader):
            if number >= most:
                return None
            begun = reader.line_num + 1
    except csv.Error as error:
        never = "unexpected end" in str(error)
        return (begun if never else reader.line_num), seen[0].strip(), never
    return None


def swallowed_rows(columns: Sequence[pa.Array], delimiter: str, quote: str) -> tuple[int, int, str] | None:
    """(row, column, text) of the first cell whose further lines all look like rows; None: there is none."""
    if len(columns) < 2 or not quote:
        return None
    broken = [(k, np.flatnonzero(pc.match_substring(column, "\n"))) for k, column in enumerate(columns)
              if column.buffers()[2] is not None and _BREAK.search(memoryview(column.buffers()[2]))]  # fmt: skip
    if not any(len(rows) for _, rows in broken):
        return None
    kinds = [_Kind(column) for column in columns]
    for row, k in sorted((int(row), k) for k, rows in broken for row in rows[:_SAMPLE]):
        text = columns[k][row].as_py()
        others = text.splitlines()[1:]
        if others and all(
            _like_a_row(line, kinds, delimiter, quote, last=number == len(others))
            for number, line in enumerate(others, 1)
        ):
            return row, k, text
    return None


class _Kind:
    """What the cells of a column without line breaks have in common."""

    def __init__(self, column: pa.Array) -> None:
        cells = [cell.strip() for cell in column.slice(0, _SAMPLE).to_pylist() if cell and "\n" not in cell]
        cells = [cell for cell in cells if cell]
        self.numbers = len(cells) > 1 and all(math.isfinite(number_of(cell)) for cell in cells)
        different = set(cells)
        self.listed = different if len(different) <= min(_LISTED, len(cells) / 5) else set[str]()

    def fits(self, cell: str) -> bool | None:
        """Whether a cell is one of these; None where nothing tells."""
        if self.numbers:
            return math.isfinite(number_of(cell))
        return cell.strip() in self.listed if self.listed else None


def _like_a_row(line: str, kinds: Sequence[_Kind], delimiter: str, quote: str, last: bool) -> bool:
    fields = next(csv.reader([line], delimiter=delimiter, quotechar=quote), [])
    if len(fields) != len(kinds) and not (last and 2 <= len(fields) < len(kinds)):
        return False
    whole = fields[:-1] if last else fields  # the last field ends where a quotation mark happens to stand
    found = [known for known in map(_Kind.fits, kinds, whole) if known is not None]
    return bool(found) and all(found)
