"""The three kinds of randomness: model, sampling, and privacy. Only the last one carries the guarantee.

Model and sampling streams are ordinary seeded generators. The privacy stream is cryptographic, keyed from the
operating system by default, and it is the one place that every private query passes: `PrivacyStream.release`.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Mapping
from typing import Any, Literal, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray

from dpsynth.errors import BudgetError
from dpsynth.privacy.budget import Budget
from dpsynth.privacy.keystream import Keystream, Scratch

Noise = Literal["secure", "seeded"]
Norm = Literal["l1", "l2", "linf"]
Query = TypeVar("Query")
Output = TypeVar("Output")


def fresh_key() -> bytes:
    """32 secret bytes from the operating system, for what must be secret and is no noise: which rows are selected."""
    return os.urandom(32)


def seeded_key(seed: int) -> bytes:
    """32 bytes from a seed, for tests: whoever knows the seed knows the key."""
    return _digest("seeded key", str(seed))


class PrivacyStream:
    """Sub-streams addressed by (name, step), each an independent AES-256-CTR stream with a key of its own.

    The sub-key is sha256(master | purpose | name | step), so streams never overlap, and resuming a run needs
    the master key and the step, nothing else. `secure` keys come from the operating system; seeded ones are
    for tests and brand every statement "not private". `infinite` marks a run with epsilon = inf, the only one
    that may add no noise.
    """

    def __init__(self, key: bytes, *, secure: bool, infinite: bool = False) -> None:
        if len(key) != 32:
            raise ValueError("a privacy key has 32 bytes")
        self._key = key
        self.secure = secure
        self.infinite = infinite
        self.scratch = Scratch()
        self._released: set[tuple[str, int]] = set()

    @classmethod
    def fresh(cls, *, infinite: bool = False) -> PrivacyStream:
        """A stream keyed from the operating system's entropy."""
        return cls(os.urandom(32), secure=True, infinite=infinite)

    @classmethod
    def seeded(cls, seed: int, *, infinite: bool = False) -> PrivacyStream:
        """A reproducible stream: not private, because whoever knows the seed can subtract the noise."""
        return cls(_digest("seeded privacy", str(seed)), secure=False, infinite=infinite)

    def keystream(self, name: str, step: int = 0, purpose: str = "noise") -> Keystream:
        """The start of the sub-stream (purpose, name, step); asking again starts it again."""
        return Keystream(_digest(self._key.hex(), purpose, name, str(step)), self.scratch)

    def random_bytes(self, name: str, step: int, count: int) -> bytes:
        """The first `count` bytes of sub-stream (name, step) of purpose "sampling"; no noise is drawn
        there."""
        return self.keystream(name, step, "sampling").bytes(count)

    def uniform32(self, name: str, step: int, count: int) -> NDArray[np.uint32]:
        """The first `count` 32-bit words of sampling sub-stream (name, step): word i never depends on
        `count`."""
        return self.keystream(name, step, "sampling").words32(count)

    def randbelow(self, name: str, step: int, bound: int, count: int) -> NDArray[np.int64]:
        """(count,) exactly uniform integers below `bound` from sampling sub-stream (name, step)."""
        return self.keystream(name, step, "sampling").below(bound, count)

    def normal(self, name: str, step: int, count: int, out: torch.Tensor | None = None) -> torch.Tensor:
        """(count,) float64 standard normals of noise sub-stream (name, step). See `Keystream.normal`."""
        return self.keystream(name, step).normal(count, out)

    def release(
        self,
        name: str,
        query: Query,
        *,
        sensitivity: float,
        norm: Norm,
        draw: Callable[[Query], Output],
        parameters: Mapping[str, Any] | None = None,
        step: int = 0,
    ) -> Output:
        """The one gate of every private query: `draw(query)` adds the noise and is the only thing that
        leaves.

        `query`: array, tensor, number, list or mapping of those: the exact answer, already clipped.
        `sensitivity` is the largest distance in `norm` between the answers on neighbouring tables;
        `parameters` are the public numbers that scale the noise. Both are ignored here and checked by the
        replay audit (`replay.py`). A (name, step) is released once in the life of a stream: releasing it
        again would reuse its noise, so it raises BudgetError.
        """
        if (name, step) in self._released:
            raise BudgetError(f"the release {name!r} of step {step} was made already; its noise must not be reused")
        self._released.add((name, step))
        return draw(query)

    def state(self) -> dict[str, Any]:
        """What a PRIVATE checkpoint needs to go on with the same noise. Never part of a release."""
        return {"key": self._key.hex(), "secure": self.secure, "infinite": self.infinite}

    @classmethod
    def from_state(cls, state: Mapping[str, Any]) -> PrivacyStream:
        """Continue a stream: a repeated step gives the same bytes, so an interrupted step is not paid
        twice."""
        return cls(bytes.fromhex(state["key"]), secure=bool(state["secure"]), infinite=bool(state["infinite"]))


class Streams:
    """The streams of one run. `seed` fixes model and sampling, never secure noise.

    Every call of `model`, `sampling` or `numpy` starts the named generator afresh: hold on to it.
    """

    def __init__(
        self,
        seed: int = 0,
        noise: Noise = "secure",
        *,
        infinite: bool = False,
        privacy: PrivacyStream | None = None,
    ) -> None:
        if noise not in ("secure", "seeded"):
            raise BudgetError(f"privacy.noise must be secure or seeded, not {noise!r}")
        self.seed = int(seed)
        if privacy is None:
            privacy = (
                PrivacyStream.fresh(infinite=infinite)
                if noise == "secure"
                else PrivacyStream.seeded(self.seed, infinite=infinite)
            )
        self.privacy = privacy

    def under(self, budget: Budget) -> Streams:
        """The same streams for a run with this budget: without a finite epsilon, noise of scale 0 is let
        through."""
        self.privacy.infinite = not budget.private
        return self

    @property
    def noise(self) -> Noise:
        """Where the privacy noise comes from."""
        return "secure" if self.privacy.secure else "seeded"

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


def _digest(*parts: str) -> bytes:
    """sha256 over length-prefixed parts, so that no two lists of parts collide."""
    digest = hashlib.sha256(b"dpsynth")
    for part in parts:
        encoded = part.encode()
        digest.update(len(encoded).to_bytes(8, "little") + encoded)
    return digest.digest()
