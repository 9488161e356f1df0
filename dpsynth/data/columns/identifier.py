"""Columns that name rows: keys, ids, e-mail addresses. They are not learned and cost no budget.

What stands in the file is set aside when the table is read. Synthetic rows get fresh values, made from their row number
and, for a uuid, the seed of the sample, so nothing of the data is in them.
"""

from __future__ import annotations

import hashlib
import uuid
from dataclasses import dataclass

import numpy as np
import pandas as pd

from dpsynth.data.columns.column import Column
from dpsynth.errors import SchemaError


@dataclass(frozen=True)
class Identifier(Column):
    """pattern: a text with the number of the row, such as 'P-{n:06}', or 'uuid'.

    >>> Identifier("id", "P-{n:03}").fresh(2).tolist()
    ['P-001', 'P-002']
    """

    pattern: str = "uuid"

    kind = "identifier"

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.missing or self.label or self.missing_values is not None:
            raise SchemaError(f"column '{self.name}': an identifier is not learned and has no missing values or label")
        if self.pattern == "uuid":
            return
        try:
            made = {self.pattern.format(n=number) for number in (1, 2, 10)}
        except (ValueError, KeyError, IndexError, AttributeError, TypeError):
            made = set()
        if len(made) < 3:
            raise SchemaError(
                f"column '{self.name}': pattern {self.pattern!r} makes no different values; write the number of "
                "the row into it, as in 'P-{n:06}', or say uuid"
            )

    def fresh(self, rows: int, first: int = 1, seed: int = 0) -> pd.Series:
        """`rows` values, those of the rows with the numbers first, first + 1, ...

        seed: of 128 bits; uuids of another seed are others, with certainty for all purposes (122 random bits).
        """
        numbers = range(first, first + rows)
        if self.pattern == "uuid":
            key = (seed % 2**128).to_bytes(16, "big")
            return pd.Series([self._uuid(number, key) for number in numbers], name=self.name, dtype=object)
        return pd.Series([self.pattern.format(n=number) for number in numbers], name=self.name, dtype=object)

    def _uuid(self, number: int, key: bytes) -> str:
        digest = hashlib.blake2b(f"{self.name}/{number}".encode(), digest_size=16, key=key).digest()
        return str(uuid.UUID(bytes=digest, version=4))

    def text(self, series: pd.Series) -> pd.Series:
        return pd.Series(np.array(series, dtype=object), name=self.name)
