"""Which rows belong to which part: holdout and training, the limit `n_train`, and the rows kept of a person.

Selection happens before any privacy mechanism, so it must not turn one changed row into many. Whatever selects rows
does it here, under a secret key of the run (`private/rows.key`). F is the function keyed BLAKE2b (RFC 7693), a
pseudo-random function under a secret key.

Add/remove. The *item* of a row is (content, number of equal rows before it); the item of a person is the person's
name. A row is selected when F(key, purpose, item), as a fraction of 2^64, lies below the probability. Derivation: let
D' = D + r, and let D hold m rows equal to r. The items of D are also items of D', and D' has exactly one more, (r,
m): which of the equal rows carries which number does not matter, since they are equal in everything that is used
later. Membership depends on the item alone, so every part of D' is the same part of D as a multiset, or that part and
r. One row more or less in the file is at most one row more or less in one part; one person more or less, likewise,
with all of the person's rows. This holds for every key, so a mechanism that is (epsilon, delta)-DP on a part is
(epsilon, delta)-DP on the file: for each key separately, and for the mixture over a key drawn independently of the
data (the hockey-stick divergence is jointly convex). No amplification by sampling is claimed, because parts are drawn
once for the whole run. Content is compared by a 128-bit digest under the key; two different rows share one with
probability below n^2 / 2^129.

Rows of a person. Of each person's rows, those with the `most` smallest values of F(key, purpose, (name, content,
number of equal rows of this person before it)) are kept. They depend on the rows of this person alone, so two files
that differ in one person differ afterwards in at most `most` rows, all of this person. (One row more of a person who
has `most` already can replace another, which is two rows under add/remove: the promise is for persons, never for
rows.)

Replace-one. The number of rows n is public, and every part must keep a public size: a content-based draw would not,
because the replaced row may fall into another part. There the draw is by position: F(key, purpose, i) for i = 0 .. n
- 1 is sorted, and the first k positions are selected, k = round(n * probability), which is public. Replacing row i
leaves every position where it was, so one part changes in one row and no size changes. Persons cannot be kept
together there, nor bounded, without making the number of rows depend on private data; both are refused.

The key is secret so that nobody outside can tell which rows were used or craft rows that collide; the bound above
does not need it. Seeded keys are for tests.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
import pandas as pd

from dpsynth.errors import ConfigError

KEY_BYTES = 32
Neighbours = Literal["add_remove", "replace_one"]
_WORDS = 2  # a digest of content has two 64-bit words


@dataclass(frozen=True)
class Selection:
    """The rule of one run.

    Args:
        key: 32 secret bytes, from `dpsynth.fresh_key()`. The same key finds the same rows again.
        neighbours: the relation of the budget, which decides between content and position.
    """

    key: bytes = field(repr=False)
    neighbours: Neighbours = "add_remove"

    def __post_init__(self) -> None:
        if not isinstance(self.key, bytes) or len(self.key) != KEY_BYTES:
            raise ConfigError(f"a key for selecting rows has {KEY_BYTES} bytes; make one with dpsynth.fresh_key()")
        if self.neighbours not in ("add_remove", "replace_one"):
            raise ConfigError(f"neighbours must be add_remove or replace_one, not {self.neighbours!r}")

    def chosen(self, purpose: str, contents: np.ndarray, probability: float) -> np.ndarray:
        """(n,) bool: rows selected for `purpose`, each with `probability` (replace_one: round(n * probability) rows).

        Args:
            purpose: at most 11 ASCII characters; draws for different purposes are independent.
            contents: (n, 2) uint64 digests of the rows' contents, from `digests` or `digests_of_texts`.
            probability: in (0, 1].
        """
        n = len(contents)
        if self.neighbours == "replace_one":
            return self.fixed(purpose, n, round(n * probability))
        items = np.column_stack([contents, occurrences(contents)])
        return below(self._draw(purpose, items), probability)

    def fixed(self, purpose: str, n: int, count: int) -> np.ndarray:
        """(n,) bool with exactly min(count, n) positions selected: for replace_one, where n is public."""
        draws = self._draw(purpose, np.arange(n, dtype=np.uint64)[:, None])
        selected = np.zeros(n, dtype=bool)
        selected[np.argsort(draws, kind="stable")[:count]] = True
        return selected

    def of_persons(self, purpose: str, names: np.ndarray, probability: float) -> np.ndarray:
        """(p,) bool: persons selected with `probability` by name alone. names: (p, 2) uint64 from `digests_of_texts`.

        Raises `ConfigError` under replace_one.
        """
        self.refuse_persons()
        return below(self._draw(purpose, names), probability)

    def kept(self, purpose: str, persons: np.ndarray, names: np.ndarray, contents: np.ndarray, most: int) -> np.ndarray:
        """(n,) bool: at most `most` rows of each person.

        Args:
            purpose: as in `chosen`.
            persons: (n,) int64 number of each row's person in `names`, -1 for none; those rows are not kept.
            names: (p, 2) uint64 digests of the persons' names.
            contents: (n, 2) uint64 digests of the rows' contents.
            most: at least 1.
        """
        self.refuse_persons()
        rows = np.flatnonzero(persons >= 0)
        items = np.column_stack([names[persons[rows]], contents[rows]]) if len(rows) else np.zeros((0, 4), np.uint64)
        draws = self._draw(purpose, np.column_stack([items, occurrences(items)]))
        order = np.lexsort((draws, persons[rows]))
        owner = persons[rows][order]
        starts = np.flatnonzero(np.r_[True, owner[1:] != owner[:-1]]) if len(owner) else order
        rank = np.arange(len(owner)) - np.repeat(starts, np.diff(np.r_[starts, len(owner)]))
        result = np.zeros(len(persons), dtype=bool)
        result[rows[order[rank < most]]] = True
        return result

    def refuse_persons(self) -> None:
        """`ConfigError` under replace_one, where the rows of a person cannot be counted in public."""
        if self.neighbours == "replace_one":
            raise ConfigError(
                "data.person needs privacy.neighbours=add_remove: once each person's rows are bounded, the number of "
                "rows is not public, which replace_one takes for granted"
            )

    def digests(self, columns: Sequence[pd.Series], n: int) -> np.ndarray:
        """(n, 2) uint64 digests of rows: equal rows (values and missing values alike) have equal digests.

        Args:
            columns: series of n parsed values each: numbers, booleans, dates or texts.
            n: number of rows; also for tables without columns.
        """
        words = np.empty((n, 2 * len(columns)), dtype=np.uint64)
        for j, series in enumerate(columns):
            words[:, 2 * j : 2 * j + 2] = self._words(series)
        return self._digest_rows(words)

    def digests_of_arrays(self, arrays: Iterable[bytes]) -> np.ndarray:
        """(n, 2) uint64 digests of whole contents, such as the bytes of a picture."""
        options = {"digest_size": 16, "key": self.key, "person": b"content"}
        digests = b"".join(hashlib.blake2b(each, **options).digest() for each in arrays)
        return np.frombuffer(digests, dtype="<u8").astype(np.uint64).reshape(-1, _WORDS)

    def digests_of_texts(self, texts: Sequence[str]) -> np.ndarray:
        """(n, 2) uint64 digests of texts."""
        return self.digests_of_arrays([text.encode("utf-8", "surrogatepass") for text in texts])

    def _words(self, series: pd.Series) -> np.ndarray:
        """(n, 2) uint64 for one column: two words that tell its values apart."""
        words = np.zeros((len(series), 2), dtype=np.uint64)
        missing = np.array(series.isna(), dtype=bool)
        kind = series.dtype
        if pd.api.types.is_datetime64_any_dtype(kind):
            words[:, 0] = series.to_numpy().astype("datetime64[s]").astype(np.int64).view(np.uint64)
        elif pd.api.types.is_bool_dtype(kind) or pd.api.types.is_integer_dtype(kind):
            words[:, 0] = series.to_numpy(dtype=np.int64, na_value=0).view(np.uint64)
        elif pd.api.types.is_float_dtype(kind):
            values = np.where(missing, 0.0, series.to_numpy(dtype=np.float64, na_value=np.nan)) + 0.0
            words[:, 0] = values.view(np.uint64)
        else:
            codes, uniques = pd.factorize(series)
            table = np.zeros((len(uniques) + 1, 2), dtype=np.uint64)  # code -1 reads the last entry
            if len(uniques):
                table[:-1] = self.digests_of_texts([str(text) for text in uniques])
            words[:] = table[codes]
        words[missing] = (0, np.iinfo(np.uint64).max)
        return words

    def _digest_rows(self, words: np.ndarray) -> np.ndarray:
        return self._hash(words, b"content", 16).reshape(-1, _WORDS)

    def draws(self, purpose: str, items: np.ndarray) -> np.ndarray:
        """(n,) uint64 values of F for items (n, w) of 64-bit words, for what is selected or ordered elsewhere.

        purpose: as in `chosen`. The caller sees to it that an item follows from one unit of protection alone.
        """
        return self._draw(purpose, items)

    def _draw(self, purpose: str, items: np.ndarray) -> np.ndarray:
        """(n,) uint64 values of F for items of 64-bit words, (n, w) uint64."""
        return self._hash(items, b"draw " + purpose.encode("ascii"), 8).reshape(-1)

    def _hash(self, words: np.ndarray, person: bytes, size: int) -> np.ndarray:
        """F of every row of `words` as little-endian words."""
        width = 8 * words.shape[1]
        raw = memoryview(np.ascontiguousarray(words, dtype="<u8").tobytes())
        start = hashlib.blake2b(digest_size=size, key=self.key, person=person)
        pieces = bytearray()
        for i in range(len(words)):
            state = start.copy()
            state.update(raw[width * i : width * (i + 1)])
            pieces += state.digest()
        return np.frombuffer(bytes(pieces), dtype="<u8").astype(np.uint64)


def needed(selection: Selection | None, why: str) -> Selection:
    """`selection`, or a `ConfigError` that says what needs one."""
    if selection is None:
        raise ConfigError(f"{why} selects rows, which needs a secret key: give key=dpsynth.fresh_key()")
    return selection


def occurrences(contents: np.ndarray) -> np.ndarray:
    """(n,) uint64: how many equal rows stand before each row of (n, w) words."""
    if not len(contents):
        return np.zeros(0, dtype=np.uint64)
    words = pd.DataFrame(contents)
    return words.groupby(list(words.columns), sort=False).cumcount().to_numpy(np.uint64)


def below(draws: np.ndarray, probability: float) -> np.ndarray:
    """(n,) bool: 64-bit draws that fall below `probability` of their range."""
    if not 0 < probability <= 1:
        raise ConfigError(f"a probability of selection must lie in (0, 1], not {probability!r}")
    limit = round(probability * 2**64)
    return np.ones(len(draws), dtype=bool) if limit >= 2**64 else draws < np.uint64(limit)


def check_fraction(holdout: float) -> None:
    """`ConfigError` unless `holdout` is a fraction strictly between 0 and 1."""
    if isinstance(holdout, bool) or not 0 < holdout < 1:
        raise ConfigError(f"holdout must be a fraction between 0 and 1, got {holdout!r}")


def check_rows(rows: int, what: str = "rows") -> None:
    """`ConfigError` unless `rows` is a positive whole number."""
    if isinstance(rows, bool) or not isinstance(rows, int) or rows < 1:
        raise ConfigError(f"the number of {what} to keep must be a positive whole number, got {rows!r}")


def limit_probability(rows: int, declared: int | None) -> float:
    """The probability with which a row is kept so that `rows` are kept on average, of a declared number.

    Raises `ConfigError` when no number is declared: the true one is private under add/remove.
    """
    if declared is None:
        raise ConfigError(
            f"data.n_train={rows}: the number of rows is private, so the limit needs a public rough one; declare "
            "'rows: NUMBER' in the schema (data.rows=NUMBER of images), or use privacy.neighbours=replace_one"
        )
    return min(1.0, rows / declared)
