"""The three kinds of randomness: model, sampling, and privacy. Only the last one carries the guarantee.

Model and sampling generators are ordinary seeded ones (`SeededGenerators`), which is all that a method is handed. The
privacy generator is cryptographic, keyed from the operating system by default, and belongs to the ledger (`ledger.py`).
"""

from __future__ import annotations

import hashlib
import os
import threading
from collections.abc import Mapping
from typing import Any, Literal, NoReturn

import numpy as np
import torch
from numpy.typing import NDArray

from dpsynth.errors import BudgetError
from dpsynth.privacy.mechanism import Mechanism
from dpsynth.privacy.mechanisms.shards import Sharding, Shards
from dpsynth.privacy.noise.keystream import Keystream, Scratch

Noise = Literal["secure", "seeded"]


def fresh_key() -> bytes:
    """32 secret bytes from the operating system, for what must be secret and is no noise: which rows are selected."""
    return os.urandom(32)


def seeded_key(seed: int) -> bytes:
    """32 bytes from a seed, for tests: whoever knows the seed knows the key."""
    return _digest("seeded key", str(seed))


class PrivacyGenerator:
    """Sub-streams addressed by (name, step), each an independent AES-256-CTR stream with a key of its own.

    The sub-key is sha256(master | purpose | name | step), so streams never overlap, and resuming a run needs
    the master key and the step, nothing else. `secure` keys come from the operating system; seeded ones are
    for tests and brand every statement "not private".
    """

    def __init__(self, key: bytes, *, secure: bool) -> None:
        if len(key) != 32:
            raise ValueError("a privacy key has 32 bytes")
        self._key = key
        self.secure = secure
        self._scratch = Scratch()
        self._released: set[tuple[str, int]] = set()
        self._lock = threading.RLock()

    def __deepcopy__(self, memo: object) -> NoReturn:
        self.__reduce__()

    def __copy__(self) -> NoReturn:
        self.__reduce__()

    def __reduce__(self) -> NoReturn:
        """A copy, here or in another process, would draw the same noise for other queries."""
        raise BudgetError("a privacy generator cannot be copied: the same noise would be drawn twice")

    @classmethod
    def fresh(cls) -> PrivacyGenerator:
        """A generator keyed from the operating system's entropy."""
        return cls(os.urandom(32), secure=True)

    @classmethod
    def seeded(cls, seed: int) -> PrivacyGenerator:
        """A reproducible generator: not private, because whoever knows the seed can subtract the noise."""
        return cls(_digest("seeded privacy", str(seed)), secure=False)

    def keystream(self, name: str, step: int = 0, purpose: str = "noise") -> Keystream:
        """The start of the sub-stream (purpose, name, step); asking again starts it again.

        Purposes are "noise", of releases, and "rows", which decides by a row's position what happens to the row
        (batches, shards, positions within a cell): word i is that of row i, whatever the number of rows.
        """
        return Keystream(_digest(self._key.hex(), purpose, name, str(step)), self._scratch)

    def release(self, mechanism: Mechanism, query: Any, step: int) -> Any:
        """The noisy answer of `mechanism` to the exact `query`; for `Ledger.release`, which has charged it.

        Audits override this method (`replay.py`, `audit/`): every private query passes it. A (name, step) is released
        once in the life of a generator: releasing it again would reuse its noise, so it raises BudgetError.
        """
        # One thread at a time: draws share buffers, so two at once could be given the same noise.
        with self._lock:
            if (mechanism.name, step) in self._released:
                raise BudgetError(
                    f"the release {mechanism.name!r} of step {step} was made already; its noise must not be reused"
                )
            self._released.add((mechanism.name, step))
            return mechanism.draw(query, self.keystream(mechanism.name, step))

    def batch(self, mechanism: Mechanism, step: int, rows: int) -> NDArray[np.int64]:
        """Ascending numbers of the private rows that take part in a release; for `Ledger.release`."""
        batches = mechanism.batches
        if batches is None:
            return np.arange(rows, dtype=np.int64)
        return batches.indices(self.keystream(mechanism.name, step, "rows"), rows)

    def shards(self, sharding: Sharding, rows: int, people: NDArray[np.int64] | None) -> Shards:
        """For `Ledger.shards`."""
        known = 0 if people is None else int(people.max(initial=-1)) + 1
        return sharding.deal(self._owners(sharding, "shards", rows), self._owners(sharding, "people", known), people)

    def uniforms(self, name: str, rows: int, columns: int) -> NDArray[np.float64]:
        """For `Ledger.uniforms`."""
        words = self.keystream(name, 0, "rows").words32(rows * columns)
        return (words.reshape(rows, columns).astype(np.float64) + 0.5) * 2.0**-32

    def _owners(self, sharding: Sharding, name: str, count: int) -> NDArray[np.int64]:
        return sharding.owners(self.keystream(name, 0, "rows"), count)

    @property
    def fingerprint(self) -> str:
        """A digest of the key, by which an account knows a run that is resumed. The key has 256 secret bits, so it
        cannot be found from the digest.
        """
        return _digest("fingerprint", self._key.hex()).hex()

    def state(self) -> dict[str, Any]:
        """What a PRIVATE checkpoint needs to go on with the same noise. Never part of a release."""
        return {"key": self._key.hex(), "secure": self.secure}

    @classmethod
    def from_state(cls, state: Mapping[str, Any]) -> PrivacyGenerator:
        """Continue a generator: a repeated step gives the same bytes, so an interrupted step is not paid
        twice."""
        return cls(bytes.fromhex(state["key"]), secure=bool(state["secure"]))


class SeededGenerators:
    """Reproducible generators that are not private: initial weights, orders, synthetic rows.

    Every call of `model`, `sampling` or `numpy` starts the named generator afresh: hold on to it.
    """

    def __init__(self, seed: int = 0) -> None:
        self.seed = int(seed)

    def model(self, name: str) -> torch.Generator:
        """A CPU generator for initial weights, orders and the like."""
        return self._torch("model", name)

    def sampling(self, name: str) -> torch.Generator:
        """A CPU generator for drawing synthetic rows."""
        return self._torch("sampling", name)

    def numpy(self, name: str) -> np.random.Generator:
        """A numpy generator for public choices and for decoding."""
        return np.random.default_rng(int.from_bytes(_digest("numpy", name, str(self.seed))[:16], "little"))

    def _torch(self, kind: str, name: str) -> torch.Generator:
        seed = int.from_bytes(_digest(kind, name, str(self.seed))[:8], "little") >> 1
        return torch.Generator().manual_seed(seed)


class RandomGenerators(SeededGenerators):
    """All randomness of one run: seeded generators, and the privacy generator. `seed` never fixes secure noise."""

    def __init__(self, seed: int = 0, noise: Noise = "secure", *, privacy: PrivacyGenerator | None = None) -> None:
        super().__init__(seed)
        if noise not in ("secure", "seeded"):
            raise BudgetError(f"privacy.noise must be secure or seeded, not {noise!r}")
        if privacy is None:
            privacy = PrivacyGenerator.fresh() if noise == "secure" else PrivacyGenerator.seeded(self.seed)
        self.privacy = privacy

    @property
    def noise(self) -> Noise:
        """Where the privacy noise comes from."""
        return "secure" if self.privacy.secure else "seeded"

    @property
    def seeded(self) -> SeededGenerators:
        """The generators without the privacy generator: what a method may hold."""
        return SeededGenerators(self.seed)


def _digest(*parts: str) -> bytes:
    """sha256 over length-prefixed parts, so that no two lists of parts collide."""
    digest = hashlib.sha256(b"dpsynth")
    for part in parts:
        encoded = part.encode()
        digest.update(len(encoded).to_bytes(8, "little") + encoded)
    return digest.digest()
