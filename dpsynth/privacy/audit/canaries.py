"""A one-run audit of any program: canary records put in by coins, and one run in which every release is seen.

The attacker scores a canary by the log likelihood ratio of the released answers between the data with this canary
alone and the data with none, given all answers released before (`witness.py`). The other canaries are noise to him;
they should be made so that they hardly meet, each in a class of its own.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dpsynth.privacy.audit.likelihood_ratios import log_likelihood_ratio
from dpsynth.privacy.audit.one_run import Guesses
from dpsynth.privacy.audit.white_box import SEED, Program
from dpsynth.privacy.audit.witness import Enough, Twin, Witness, run_key
from dpsynth.privacy.noise.random import RandomGenerators
from dpsynth.privacy.replay import AuditError, Coupling, RecordedRelease

Bools = NDArray[np.bool_]


def canary_run(
    program: Program,
    data: Callable[[Bools], Any],
    canaries: int,
    guesses: int,
    seed: int | None = None,
) -> Guesses:
    """One run, and as many guesses on its canaries.

    data: the data set of the canaries that a mask (canaries,) names, in their order and without other rows. seed: of
    the coins and the privacy generator; None takes fresh ones.
    """
    inside, key = tossed(canaries, seed), run_key(seed, "canaries")
    witness = Witness(key, _coupling(inside))
    program(data(inside), RandomGenerators(SEED, privacy=witness))

    def answered(mask: Bools) -> list[RecordedRelease]:
        """The releases of the program on other canaries, given the answers that the witness saw."""
        twin = Twin(witness, key, _coupling(mask))
        with suppress(Enough, AuditError):
            program(data(mask), RandomGenerators(SEED, privacy=twin))
        return twin.releases

    none = answered(np.zeros(canaries, dtype=bool))
    scores = np.zeros(canaries)
    for canary in range(canaries):
        alone = answered(np.arange(canaries) == canary)
        triples = zip(witness.releases, none, alone, strict=False)
        scores[canary] = sum(log_likelihood_ratio(seen, zero.query, one.query) for seen, zero, one in triples)
    return Guesses.of(scores, inside, guesses)


def tossed(canaries: int, seed: int | None) -> Bools:
    """(canaries,) which are in, each by a fair coin."""
    return np.random.default_rng(seed).random(canaries) < 0.5


def _coupling(mask: Bools) -> Coupling:
    """Every canary has the place in batches and shards that it would have among all of them."""
    return Coupling(np.flatnonzero(mask), mask.size)
