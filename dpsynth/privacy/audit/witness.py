"""What the strongest attacker sees: every noisy answer as it leaves the gate, and what the exact answers would be.

He knows both data sets, the program, its public seeds, and which record is in doubt. So he can compute the exact
answers that either data set would have given to the same queries, and compares how likely the noisy ones are under
each (`likelihood_ratios.py`).

`Witness` records one run. `Twin` runs the program again on the other data set with the released answers frozen, as in
the replay audit, and keeps the exact answers: the other hypothesis, for programs whose queries follow from earlier
releases.

Batches, shards and the like go by the positions of rows, under the secret key. Where the record in doubt is the last
row, the others stand at the same positions with and without it. Where it is the first, `first_of` counts positions from
the end; elsewhere a `Coupling` names them. Both hand every row the same words with and without the record, which the
proof may do too, because all words under the key are independent and equally distributed (`replay.py`).
"""

# pyright: reportMissingTypeStubs=false, reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dpsynth.privacy.audit.likelihood_ratios import vector
from dpsynth.privacy.mechanism import Mechanism
from dpsynth.privacy.mechanisms.shards import Sharding
from dpsynth.privacy.noise.random import PrivacyGenerator, RandomGenerators
from dpsynth.privacy.replay import AuditError, Coupling, RecordedRelease, Recorder, Replayer


class Enough(Exception):
    """Raised in a program that has made all releases the attacker waits for: what follows is post-processing."""


class _CountedFromTheEnd(Recorder):
    """A stream under a given key that may count positions from the end.

    first_of: an upper bound on the numbers of rows and of persons, where the record in doubt comes first; else None.
    """

    first_of: int | None = None

    def _begin(self, key: bytes, first_of: int | None) -> None:
        PrivacyGenerator.__init__(self, key, secure=True)
        self.first_of = first_of

    def batch(self, mechanism: Mechanism, step: int, rows: int) -> NDArray[np.int64]:
        self._align(rows)
        return super().batch(mechanism, step, rows)

    def uniforms(self, name: str, rows: int, columns: int) -> NDArray[np.float64]:
        self._align(rows)
        return super().uniforms(name, rows, columns)

    def _owners(self, sharding: Sharding, name: str, count: int) -> NDArray[np.int64]:
        self._align(count)
        return super()._owners(sharding, name, count)

    def _align(self, count: int) -> None:
        if self.first_of is not None:
            places = np.arange(self.first_of - count, self.first_of, dtype=np.int64)
            self.coupling = Coupling(places, self.first_of, places, self.first_of)


class Witness(_CountedFromTheEnd):
    """A stream that keeps every query and answer, and may end the program after so many releases."""

    def __init__(
        self, key: bytes, coupling: Coupling | None = None, first_of: int | None = None, stop: int | None = None
    ) -> None:
        super().__init__(coupling=coupling)
        self._begin(key, first_of)
        self.stop = stop

    def release(self, mechanism: Mechanism, query: Any, step: int) -> Any:
        """As `Recorder`, until it is enough."""
        answer = super().release(mechanism, query, step)
        if self.stop is not None and len(self.releases) >= self.stop:
            raise Enough
        return answer


class Twin(_CountedFromTheEnd, Replayer):
    """The same program on the other data set, given the answers that a witness saw. Raises AuditError where the
    program asks something else than it was answered, and `Enough` after the last answer."""

    def __init__(
        self, witness: Witness, key: bytes, coupling: Coupling | None = None, first_of: int | None = None
    ) -> None:
        Replayer.__init__(self, witness.releases, coupling=coupling)
        self._begin(key, first_of)

    def release(self, mechanism: Mechanism, query: Any, step: int) -> Any:
        """As `Replayer`, until the answers are used up."""
        answer = super().release(mechanism, query, step)
        if len(self.releases) >= len(self.recorded):
            raise Enough
        return answer

    def _compare(self, before: RecordedRelease, now: RecordedRelease) -> None:
        """Only what makes the answers comparable: which release it is, and its shape."""
        if not comparable(before, now):
            raise AuditError(f"data-dependent control flow: {before.title} here, {now.title} there")


def run_key(seed: int | None, *purpose: object) -> bytes:
    """The key of one run's privacy generator: fresh from the operating system, or one that follows from a seed."""
    if seed is None:
        return os.urandom(32)
    return hashlib.sha256(f"audit {seed} {purpose}".encode()).digest()


def comparable(one: RecordedRelease, other: RecordedRelease) -> bool:
    """Whether two releases are the same query, asked of two data sets."""
    if (one.name, one.step) != (other.name, other.step):
        return False
    if isinstance(one.query, Mapping) or isinstance(other.query, Mapping):
        return isinstance(one.query, Mapping) and isinstance(other.query, Mapping)
    return vector(one.query).shape == vector(other.query).shape


def selection_key(randomness: RandomGenerators) -> bytes:
    """The key by which a program under audit selects its training rows before any release.

    It follows from the key of the run, so that an attacker who is told who is in which batch knows the training rows
    too; nothing of the noise follows from it.
    """
    return hashlib.sha256(b"selection of rows" + bytes.fromhex(randomness.privacy.state()["key"])).digest()
