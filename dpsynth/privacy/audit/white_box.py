"""The white-box attack on a program: every noisy release is seen, and weighed as a likelihood ratio.

What the attacker compares the releases with is settled by a few pilot runs on both data sets:

    fixed      the program asks the same queries in every run: their exact answers are known once and for all
    adaptive   queries follow from earlier releases: every run is repeated on the other data set with the releases
               frozen, and the exact answers of both are compared
    average    exact answers differ from run to run for reasons that the attacker may not know (secret batches, a secret
               key of a split): he compares with their means over the pilots, which costs power

In the adaptive case he is told the key by which rows were dealt to batches or shards, which differential privacy allows
where no amplification by sampling was claimed; `secret_batches` says that it was, and rules the case out. Pilots are
replayed on their own data too: a program whose exact answers are not reproduced has randomness of its own, which must
not help the attacker, and falls under average.
"""

# pyright: reportMissingTypeStubs=false, reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np

from dpsynth.privacy.audit.likelihood_ratios import CERTAIN, log_likelihood_ratio, vector
from dpsynth.privacy.audit.witness import Enough, Twin, Witness, comparable, run_key
from dpsynth.privacy.noise.random import RandomGenerators
from dpsynth.privacy.replay import AuditError, RecordedRelease

Program = Callable[[Any, RandomGenerators], object]
View = Literal["fixed", "adaptive", "average"]
PILOTS = 4  # runs on each data set
SEED = 0  # of the public generators, which the attacker knows


@dataclass(frozen=True)
class WhiteBox:
    """A prepared attack; every trial is one run of the program and a score.

    program: run(data, randomness), whose private randomness all comes from the random generators. data: (without, with)
    the record. expected: of fixed and average, the exact answers (without, with) of each release.
    stop: releases after which a run is ended, None where their number varies.
    first_of: an upper bound on the rows and persons of both data sets where the record in doubt is the first row; None
    where it is the last, or replaces another.
    seed: of reproducible keys, for tests; None takes fresh ones from the operating system.
    """

    program: Program
    data: tuple[Any, Any]
    view: View = "adaptive"
    expected: tuple[tuple[Any, Any], ...] = ()
    stop: int | None = None
    first_of: int | None = None
    seed: int | None = None

    sees = "every release"

    @classmethod
    def prepared(
        cls,
        program: Program,
        data: tuple[Any, Any],
        *,
        secret_batches: bool = False,
        first_of: int | None = None,
        seed: int | None = None,
        pilots: int = PILOTS,
    ) -> WhiteBox:
        """The attack that suits the program, by pilot runs on both data sets."""
        attack = cls(program, data, first_of=first_of, seed=seed)
        runs: tuple[list[list[RecordedRelease]], list[list[RecordedRelease]]] = ([], [])
        repeated = True
        for world in (0, 1):
            for number in range(pilots):
                key = attack._key("pilot", world, number)
                witness = attack._witness(key, world)
                runs[world].append(witness.releases)
                repeated = repeated and attack._repeats(witness, key, world)
        lengths = {len(releases) for world in runs for releases in world}
        stop = lengths.pop() if len(lengths) == 1 else None
        attack = replace(attack, stop=stop)
        steady = stop is not None and _alike([*runs[0], *runs[1]])
        if steady and all(_constant(runs[world]) for world in (0, 1)):
            return replace(attack, view="fixed", expected=_means(runs))
        if repeated and not secret_batches:
            return attack
        if not steady:
            raise AuditError("the audit cannot follow the program: its releases differ in number or shape by chance")
        return replace(attack, view="average", expected=_means(runs))

    def trial(self, world: int, number: int) -> float:
        """One run on `data[world]`: the log likelihood ratio that the attacker makes of it."""
        key = self._key("trial", world, number)
        witness = self._witness(key, world)
        if self.view == "adaptive":
            return self._compared(witness, key, world)
        pairs = zip(witness.releases, self.expected, strict=False)
        return sum(log_likelihood_ratio(release, *expected) for release, expected in pairs)

    def _compared(self, witness: Witness, key: bytes, world: int) -> float:
        other, parted = self._replayed(witness, key, 1 - world)
        score = 0.0
        for seen, answer in zip(witness.releases, other, strict=False):
            pair = (seen.query, answer.query) if world == 0 else (answer.query, seen.query)
            score += log_likelihood_ratio(seen, *pair)
        return score + (CERTAIN * (2 * world - 1) if parted else 0.0)

    def _witness(self, key: bytes, world: int) -> Witness:
        witness = Witness(key, first_of=self.first_of, stop=self.stop)
        with suppress(Enough):
            self.program(self.data[world], RandomGenerators(SEED, privacy=witness))
        return witness

    def _replayed(self, witness: Witness, key: bytes, world: int) -> tuple[list[RecordedRelease], bool]:
        """(releases of the program on `data[world]` given the answers of `witness`, whether it went another way)."""
        twin = Twin(witness, key, first_of=self.first_of)
        try:
            self.program(self.data[world], RandomGenerators(SEED, privacy=twin))
        except Enough:
            return twin.releases, False
        except AuditError:
            return twin.releases, True
        return twin.releases, len(twin.releases) < len(witness.releases)

    def _repeats(self, witness: Witness, key: bytes, world: int) -> bool:
        """Whether the same data and answers give the same queries again."""
        again, parted = self._replayed(witness, key, world)
        return not parted and all(_same(a, b) for a, b in zip(witness.releases, again, strict=True))

    def _key(self, purpose: str, world: int, number: int) -> bytes:
        return run_key(self.seed, purpose, world, number)


def _same(one: RecordedRelease, other: RecordedRelease) -> bool:
    return one.query == other.query if isinstance(one.query, dict) else _equal(one.query, other.query)


def _equal(one: Any, other: Any) -> bool:
    return np.array_equal(vector(one), vector(other), equal_nan=True)


def _alike(runs: Sequence[Sequence[RecordedRelease]]) -> bool:
    """Whether all runs make the same releases of the same shapes."""
    return all(comparable(a, b) for run in runs[1:] for a, b in zip(runs[0], run, strict=True))


def _constant(runs: Sequence[Sequence[RecordedRelease]]) -> bool:
    """Whether the exact answers are the same in all runs."""
    return all(_same(a, b) for run in runs[1:] for a, b in zip(runs[0], run, strict=True))


def _means(runs: tuple[list[list[RecordedRelease]], list[list[RecordedRelease]]]) -> tuple[tuple[Any, Any], ...]:
    """Of every release, the exact answers (without, with), averaged over the runs; mappings as in the first run."""

    def mean(releases: Sequence[RecordedRelease]) -> Any:
        if isinstance(releases[0].query, dict):
            return releases[0].query
        return np.mean([vector(release.query) for release in releases], axis=0)

    sides = [[mean(releases) for releases in zip(*world, strict=True)] for world in runs]
    return tuple(zip(*sides, strict=True))
