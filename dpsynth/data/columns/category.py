"""Columns of named values: categories and booleans. Values are texts, whatever type the file gave them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import pandas as pd

from dpsynth.data.columns.column import MISSING_VALUES, Column, Policy, Reading
from dpsynth.data.columns.hierarchy import Hierarchy
from dpsynth.data.columns.raw import as_text, distinct, first
from dpsynth.errors import DataError, SchemaError

TRUE = ("true", "1", "yes", "t", "y", "on")
FALSE = ("false", "0", "no", "f", "n", "off")


@dataclass(frozen=True)
class Category(Column):
    """A column of declared texts.

    categories  the public list; None means it is still to be estimated privately (`categories: private`)
    other       the text that stands for every value outside the list; appended unless it is in the list
    ordered     the list is in a meaningful order (low, middle, high)
    hierarchy   which categories belong together, or None
    """

    categories: tuple[str, ...] | None = None
    other: str | None = None
    ordered: bool = False
    hierarchy: Hierarchy | None = None

    kind = "category"

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.categories is None:
            return
        object.__setattr__(self, "categories", tuple(as_text(value) for value in self.categories))
        seen: set[str] = set()
        for value in self.categories:
            if not value:
                raise SchemaError(f"column '{self.name}': a category is empty; use 'missing: true' for no value")
            if value in seen:
                raise SchemaError(f"column '{self.name}': category {value!r} is listed twice")
            seen.add(value)
        if self.hierarchy is not None:  # categories that were estimated privately may be fewer than its own
            object.__setattr__(self, "hierarchy", self.hierarchy.of(seen))
        if not self.values:
            raise SchemaError(f"column '{self.name}': list its categories, or say 'categories: private'")

    @property
    def undeclared(self) -> bool:
        return self.categories is None

    @cached_property
    def values(self) -> tuple[str, ...]:
        """Every value the column can take, in code order: the categories, then `other` if it is not among
        them.
        """
        listed = self.categories or ()
        return listed if self.other is None or self.other in listed else (*listed, self.other)

    @cached_property
    def _position(self) -> dict[str, int]:
        return {value: position for position, value in enumerate(self.values)}

    @property
    def _takes_all(self) -> bool:
        return self.other is not None

    def read(self, series: pd.Series, missing_values: Iterable[str] = MISSING_VALUES) -> Reading:
        """Positions in `values`. Unknown values: `other`, else missing if allowed, else position 0 (and
        invalid).
        """
        codes, uniques = distinct(series)
        tokens = {token.casefold() for token in self.tokens(missing_values)}
        table = np.array([self._find(unique, tokens) for unique in uniques] + [-1], dtype=np.int64)
        found = table[codes]  # -1 absent, -2 unknown; code -1 (absent) reads the last entry
        missing = (found == -1) & self.missing
        unknown, unwanted = found == -2, (found == -1) & ~missing
        if self.other is not None:
            found = np.where(unknown | unwanted, self._position[self.other], found)
        elif self.missing:
            missing = missing | unknown
        nothing = np.zeros(len(found), dtype=bool)
        if self.undeclared:
            unknown = nothing  # whatever it is, it may be estimated privately
        outside, unreadable = (nothing, unknown) if self._kinds_only else (unknown, nothing)
        return Reading(np.maximum(found, 0), missing, outside, unreadable, unwanted)

    @property
    def _kinds_only(self) -> bool:
        """True where an unknown text is no value of the kind, rather than a value that was not listed."""
        return False

    @property
    def _nearest(self) -> str:
        return f"taken for '{self.other}'" if self.other is not None else "made missing"

    def _find(self, value: object, tokens: set[str]) -> int:
        text = as_text(value)
        position = self._position.get(text)
        if position is not None:
            return position
        return -1 if text.casefold() in tokens else -2

    def write(self, values: np.ndarray, missing: np.ndarray) -> pd.Series:
        names = np.array([*self.values, None], dtype=object)
        return pd.Series(names[np.where(missing, len(names) - 1, values)], name=self.name)

    def settled(
        self, series: pd.Series, reading: Reading, invalid: Policy, missing_values: Iterable[str] = MISSING_VALUES
    ) -> pd.Series:
        if self.undeclared:
            return self._tidied(series, missing_values)
        return super().settled(series, reading, invalid, missing_values)

    def _tidied(self, series: pd.Series, missing_values: Iterable[str]) -> pd.Series:
        """The texts of a column whose list is still to be estimated privately."""
        codes, uniques = distinct(series)
        tokens = {token.casefold() for token in self.tokens(missing_values)}
        texts = [as_text(unique) for unique in uniques]
        names = np.array([None if text.casefold() in tokens else text for text in texts] + [None], dtype=object)
        return pd.Series(names[codes], name=self.name)

    def _refuse(self, series: pd.Series, reading: Reading, invalid: Policy) -> None:
        super()._refuse(series, reading, invalid)
        if not self._takes_all and not self.missing and reading.outside.any():
            count, row = int(reading.outside.sum()), int(np.flatnonzero(reading.outside)[0]) + 1
            value = first(series, reading.outside)
            raise DataError(
                f"column '{self.name}': {count:,} of {len(series):,} values are no declared category, first {value} "
                f"(row {row:,}); add it to the schema, declare 'other: NAME' to take in such values, or allow "
                "'missing: true'"
            )


@dataclass(frozen=True)
class Boolean(Category):
    """False or True. Reads true/false, yes/no, t/f, y/n, on/off, 1/0 in any case.

    texts  how the file writes false and true, such as ("no", "yes") or ("0", "1"): then these are read (in any case,
           beside true and false) and written. None: False and True are written
    """

    categories: tuple[str, ...] | None = ("False", "True")
    texts: tuple[str, ...] | None = field(default=None, kw_only=True)

    kind = "boolean"

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.categories != ("False", "True") or self.other is not None or self.ordered or self.hierarchy:
            raise SchemaError(f"column '{self.name}': a boolean has no categories, order or hierarchy of its own")
        if self.texts is None:
            return
        object.__setattr__(self, "texts", tuple(as_text(text) for text in self.texts))
        if len({text.casefold() for text in self.texts}) != 2 or len(self.texts) != 2 or "" in self.texts:
            raise SchemaError(
                f"column '{self.name}': texts are two, for false and for true, such as [no, yes]; got {self.texts!r}"
            )
        if self.texts[0].casefold() == "true" or self.texts[1].casefold() == "false":
            raise SchemaError(f"column '{self.name}': texts name false first and then true; got {self.texts!r}")

    @property
    def _kinds_only(self) -> bool:
        return True

    @cached_property
    def _truth(self) -> dict[str, int]:
        """Casefolded text -> 0 or 1."""
        if self.texts is None:
            return {**dict.fromkeys(FALSE, 0), **dict.fromkeys(TRUE, 1)}
        return {"false": 0, "true": 1, **{text.casefold(): k for k, text in enumerate(self.texts)}}

    def _find(self, value: object, tokens: set[str]) -> int:
        text = as_text(value).casefold()
        return self._truth.get(text, -1 if text in tokens else -2)

    def write(self, values: np.ndarray, missing: np.ndarray) -> pd.Series:
        truth = pd.Series(values == 1, name=self.name, dtype="boolean" if self.missing else "bool")
        return truth.mask(missing, other=pd.NA) if self.missing else truth

    def text(self, series: pd.Series) -> pd.Series:
        if self.texts is None:
            return series
        names = np.array([*self.texts, None], dtype=object)
        gone = series.isna().to_numpy()
        return pd.Series(names[np.where(gone, 2, series.fillna(False).astype(int))], name=self.name, index=series.index)
