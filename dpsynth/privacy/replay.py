"""The replay audit: does a program query its data only as its ledger says?

    report = audit(run, table, neighbour)       # run(data, randomness) -> whatever it would publish

Run on D, recording every private query and what was released; run again on the neighbour D' with the released
outputs frozen. A program that is private by composition of its releases must then (1) make the same releases:
mechanisms, field by field, steps and shapes; else its control flow depends on data
outside a mechanism; (2) ask queries whose answers differ by no more than the declared sensitivity in the
declared norm; (3) publish the same, bit for bit, because post-processing sees only what was released. (After
Cebere et al. 2026, arXiv 2602.17454.)

Both runs use the same key, so what happens to a row by its position (batches, shards) is coupled row by row. Where a
row is removed from the front or the middle, `Coupling` names the rows that stay: all words under the secret key are
independent and equally distributed, so the proof may hand every row the same words in both runs, and so does the audit.
A pass is evidence for one pair of neighbours, not a proof.
"""

# pyright: reportMissingTypeStubs=false, reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields, is_dataclass
from typing import Any, TypeVar, cast

import numpy as np
import torch
from numpy.typing import NDArray

from dpsynth.errors import DpsynthError
from dpsynth.privacy.mechanism import Mechanism, Norm
from dpsynth.privacy.mechanisms.shards import Sharding
from dpsynth.privacy.noise.random import PrivacyGenerator, RandomGenerators

Data = TypeVar("Data")
_ROUNDING = 1e-5  # relative slack for sums made in float32


class AuditError(DpsynthError):
    """A program that is not what its ledger says; the message says where the two runs part."""


@dataclass(frozen=True)
class Batch:
    """The rows of a sampled release, numbered as in the larger data set, and how many rows the run has."""

    rows: NDArray[np.int64]
    total: int


@dataclass(frozen=True)
class RecordedRelease:
    """One private query as it passed the gate."""

    mechanism: Mechanism
    step: int
    query: Any
    output: Any
    inplace: bool = False  # the output stands in the query's own tensors
    batch: Batch | None = None  # of a release that samples rows

    @property
    def name(self) -> str:
        return self.mechanism.name

    @property
    def title(self) -> str:
        """For messages."""
        return f"{self.name!r} step {self.step}"


@dataclass(frozen=True)
class Report:
    """What the audit saw: the releases of D, and the largest part of its sensitivity that a query used (<=
    1)."""

    releases: tuple[RecordedRelease, ...]
    used: Mapping[str, float]

    @property
    def summary(self) -> str:
        """One line per release name."""
        counts: dict[str, int] = {}
        for release in self.releases:
            counts[release.name] = counts.get(release.name, 0) + 1
        lines = [
            f"{name}: {n} releases, at most {self.used[name]:.3g} of the sensitivity" for name, n in counts.items()
        ]
        return "\n".join(lines) or "no private release"


@dataclass(frozen=True)
class Coupling:
    """Which rows of a data set of `total` rows the data of a run are: ascending positions, int64 (rows,).

    persons, total_persons: the same for numbers of persons, where rows belong to persons.
    """

    rows: NDArray[np.int64]
    total: int
    persons: NDArray[np.int64] | None = None
    total_persons: int = 0

    @classmethod
    def without(cls, row: int, total: int) -> Coupling:
        """All rows but one."""
        return cls(np.delete(np.arange(total, dtype=np.int64), row), total)


class Recorder(PrivacyGenerator):
    """A seeded generator that keeps every query and output. Its memory is as private as the data."""

    def __init__(self, seed: int = 0, coupling: Coupling | None = None) -> None:
        seeded = PrivacyGenerator.seeded(seed)
        super().__init__(bytes.fromhex(seeded.state()["key"]), secure=False)
        self.releases: list[RecordedRelease] = []
        self.coupling = coupling
        self._batches: dict[tuple[str, int], Batch] = {}

    def batch(self, mechanism: Mechanism, step: int, rows: int) -> NDArray[np.int64]:
        """The batch of the larger data set, as far as its rows are here."""
        coupling = self.coupling
        if coupling is None or len(coupling.rows) != rows:
            batch = super().batch(mechanism, step, rows)
            self._batches[mechanism.name, step] = Batch(batch, rows)
        else:
            batch = np.flatnonzero(np.isin(coupling.rows, super().batch(mechanism, step, coupling.total)))
            self._batches[mechanism.name, step] = Batch(coupling.rows[batch], rows)
        return batch

    def uniforms(self, name: str, rows: int, columns: int) -> NDArray[np.float64]:
        """Every row's numbers as in the larger data set."""
        if self.coupling is None or len(self.coupling.rows) != rows:
            return super().uniforms(name, rows, columns)
        return super().uniforms(name, self.coupling.total, columns)[self.coupling.rows]

    def _owners(self, sharding: Sharding, name: str, count: int) -> NDArray[np.int64]:
        coupling = self.coupling
        if coupling is not None and name == "shards" and len(coupling.rows) == count:
            return super()._owners(sharding, name, coupling.total)[coupling.rows]
        if coupling is not None and coupling.persons is not None and name == "people":
            return super()._owners(sharding, name, coupling.total_persons)[coupling.persons]
        return super()._owners(sharding, name, count)

    def release(self, mechanism: Mechanism, query: Any, step: int) -> Any:
        """Record, then do as any generator does."""
        exact = copy.deepcopy(query)  # the draw may write over it
        output = super().release(mechanism, query, step)
        batch = self._batches.get((mechanism.name, step))
        self.releases.append(
            RecordedRelease(mechanism, step, exact, copy.deepcopy(output), _shared(query, output), batch)
        )
        return output


class Replayer(Recorder):
    """Answers every query with what was recorded, and complains when the query is not the recorded one.

    changed: the position of the row that was replaced, where it is known.
    """

    def __init__(
        self,
        recorded: Sequence[RecordedRelease],
        seed: int = 0,
        coupling: Coupling | None = None,
        changed: int | None = None,
    ) -> None:
        super().__init__(seed, coupling)
        self.changed = changed
        self.recorded = tuple(recorded)
        self.used: dict[str, float] = {}

    def release(self, mechanism: Mechanism, query: Any, step: int) -> Any:
        """Compare, then return the recorded output; nothing is drawn."""
        position = len(self.releases)
        now = RecordedRelease(
            mechanism, step, copy.deepcopy(query), None, batch=self._batches.get((mechanism.name, step))
        )
        if position >= len(self.recorded):
            raise AuditError(
                f"data-dependent control flow: the neighbour makes a further release, {now.title}, "
                f"after the {position} of the first run"
            )
        before = self.recorded[position]
        self._compare(before, now)
        self.releases.append(now)
        output = copy.deepcopy(before.output)
        if before.inplace:
            _overwrite(query, output)
            return query
        return output

    def _compare(self, before: RecordedRelease, now: RecordedRelease) -> None:
        if (before.name, before.step) != (now.name, now.step):
            raise AuditError(
                f"data-dependent control flow: release {len(self.releases)} is {before.title} on the data, "
                f"but {now.title} on the neighbour"
            )
        if before.mechanism != now.mechanism:
            raise AuditError(
                f"data-dependent parameters of {now.title}: {before.mechanism} on the data, "
                f"{now.mechanism} on the neighbour"
            )
        mechanism = now.mechanism
        distance, size, shapes = _distance(before.query, now.query, mechanism.norm)
        if shapes:
            raise AuditError(f"data-dependent shape of {now.title}: {shapes}")
        # Sums in float32 carry an error of their own size besides.
        rounding = _ROUNDING * mechanism.sensitivity + 2e-6 * size
        if self._untouched(before.batch, now.batch) and not distance <= rounding:
            raise AuditError(
                f"{now.title} moves by {distance:.6g} between neighbours that differ outside its batch: "
                "it looks at rows that were not sampled"
            )
        if not distance <= mechanism.sensitivity + rounding:
            raise AuditError(
                f"{now.title} moves by {distance:.6g} between neighbours, "
                f"more than its declared {mechanism.norm} sensitivity {mechanism.sensitivity:.6g}"
            )
        used = distance / mechanism.sensitivity if math.isfinite(mechanism.sensitivity) else 0.0
        self.used[now.name] = max(self.used.get(now.name, 0.0), used)

    def _untouched(self, before: Batch | None, now: Batch | None) -> bool:
        """Whether both releases sampled the same rows, and not the one in which the neighbours differ."""
        if before is None or now is None or not np.array_equal(before.rows, now.rows):
            return False
        return before.total != now.total or (self.changed is not None and self.changed not in before.rows)


def audit(
    run: Callable[[Data, RandomGenerators], object],
    data: Data,
    neighbour: Data,
    *,
    seed: int = 0,
    couplings: tuple[Coupling | None, Coupling | None] = (None, None),
    changed: int | None = None,
) -> Report:
    """Run on `data`, replay on `neighbour`, and compare. Raises AuditError with the first difference.

    couplings: for `data` and `neighbour`, where a row is missing in one of them that is not the last of the other.
    changed: the position of the one row that is another in `neighbour`, under replace_one. With it, and where a row is
    missing, a release that samples rows must not move unless the row is in its batch.

    `run` gets seeded generators and must take all its randomness from them. It returns what it would publish:
    arrays, tensors, frames, dataclasses, or collections of those; compare-by-value is used for anything else.
    """
    recorder = Recorder(seed, couplings[0])
    published = run(data, RandomGenerators(seed, privacy=recorder))
    replayer = Replayer(recorder.releases, seed, couplings[1], changed)
    again = run(neighbour, RandomGenerators(seed, privacy=replayer))
    missing = len(recorder.releases) - len(replayer.releases)
    if missing:
        first = recorder.releases[len(replayer.releases)]
        raise AuditError(
            f"data-dependent control flow: the neighbour stops {missing} releases early, before {first.title}"
        )
    if not same(published, again):
        raise AuditError(
            "with all releases frozen the two runs still publish different results: "
            "something after the releases looked at the data"
        )
    return Report(tuple(recorder.releases), replayer.used)


def same(one: object, other: object) -> bool:
    """Equality bit for bit through collections, arrays, tensors, frames and dataclasses; NaN equals NaN."""
    if type(one) is not type(other):
        return False
    if isinstance(one, torch.Tensor):
        return _same_arrays(one.detach().cpu().numpy(), cast(torch.Tensor, other).detach().cpu().numpy())
    if isinstance(one, np.ndarray):
        return _same_arrays(one, cast(Any, other))
    if isinstance(one, Mapping):
        left, right = cast(Mapping[Any, Any], one), cast(Mapping[Any, Any], other)
        return list(left) == list(right) and all(same(left[key], right[key]) for key in left)
    if isinstance(one, list | tuple):
        left, right = cast(Sequence[Any], one), cast(Sequence[Any], other)
        return len(left) == len(right) and all(same(a, b) for a, b in zip(left, right, strict=True))
    if is_dataclass(one) and not isinstance(one, type):
        return all(same(getattr(one, field.name), getattr(other, field.name)) for field in fields(one))
    if isinstance(one, float):
        return one == other or (one != one and other != other)
    equals = getattr(one, "equals", None)  # pandas frames and series
    return bool(equals(other)) if callable(equals) else bool(one == other)


def _same_arrays(one: np.ndarray[Any, Any], other: np.ndarray[Any, Any]) -> bool:
    if one.shape != other.shape or one.dtype != other.dtype:
        return False
    return np.array_equal(one, other, equal_nan=one.dtype.kind in "fc")


def _distance(one: object, other: object, norm: Norm) -> tuple[float, float, str]:
    """(distance of two answers, their size, "" or how shapes differ). Mappings are vectors over all keys."""
    if isinstance(one, Mapping) and isinstance(other, Mapping):
        left, right = cast(Mapping[Any, float], one), cast(Mapping[Any, float], other)
        keys = sorted({*left, *right}, key=str)
        pieces = [np.array([left.get(key, 0) - right.get(key, 0) for key in keys], dtype=np.float64)]
        return _norm(pieces, norm), 0.0, ""
    first, second = _pieces(one), _pieces(other)
    shapes = [[piece.shape for piece in pieces] for pieces in (first, second)]
    if shapes[0] != shapes[1]:
        return math.inf, 0.0, f"{shapes[0]} on the data, {shapes[1]} on the neighbour"
    size = _norm(first, norm)
    distance = _norm([a - b for a, b in zip(first, second, strict=True)], norm)
    return distance, size if math.isfinite(size) else 0.0, ""


def _pieces(value: object) -> list[np.ndarray[Any, np.dtype[np.float64]]]:
    if isinstance(value, list | tuple):
        return [piece for item in cast(Sequence[object], value) for piece in _pieces(item)]
    if isinstance(value, torch.Tensor):
        return [value.detach().to("cpu", torch.float64).numpy()]
    return [np.asarray(value, dtype=np.float64)]


def _norm(pieces: Sequence[np.ndarray[Any, np.dtype[np.float64]]], norm: Norm) -> float:
    """The norm of all pieces as one vector; infinite when any entry is not finite."""
    flat = np.concatenate([piece.reshape(-1) for piece in pieces]) if pieces else np.zeros(0)
    if not np.isfinite(flat).all():
        return math.inf
    if norm == "l1":
        return float(np.abs(flat).sum())
    if norm == "l2":
        return float(np.sqrt(np.square(flat).sum()))
    return float(np.abs(flat).max(initial=0.0))


def _overwrite(query: object, output: object) -> None:
    """An in-place mechanism leaves its output in the query's own tensors; a replay must do the same."""
    if isinstance(query, list | tuple) and isinstance(output, list | tuple):
        for one, other in zip(cast(Sequence[object], query), cast(Sequence[object], output), strict=False):
            _overwrite(one, other)
    elif isinstance(query, torch.Tensor) and isinstance(output, torch.Tensor) and query.shape == output.shape:
        query.detach().copy_(output)


def _shared(query: object, output: object) -> bool:
    if isinstance(query, torch.Tensor) and isinstance(output, torch.Tensor):
        return query.data_ptr() == output.data_ptr() and query.numel() > 0
    if isinstance(query, list) and isinstance(output, list):
        pairs = zip(cast(list[object], query), cast(list[object], output), strict=False)
        return any(_shared(one, other) for one, other in pairs)
    return False
