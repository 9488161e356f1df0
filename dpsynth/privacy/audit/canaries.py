"""A one-run audit of any program: canary records put in by coins, and one run in which every release is seen.

The attacker scores a canary by the log likelihood ratio of the released answers between the data with this canary
alone and the data with none, given all answers released before (`witness.py`). The other canaries are noise to him;
they should be made so that they hardly meet, each in a class of its own.
"""

# pyright: reportMissingTypeStubs=false, reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dpsynth.privacy.audit.one_run import Guesses
from dpsynth.privacy.audit.white_box import SEED, Program
from dpsynth.privacy.audit.witness import Enough, Twin, Witness, log_likelihood_ratio
from dpsynth.privacy.random import Streams
from dpsynth.privacy.replay import AuditError, Release

Bools = NDArray[np.bool_]


def canary_run(
    program: Program,
    data: Callable[[Bools], Any],
    canaries: int,
    guesses: int,
    key: bytes,
    coins: np.random.Generator,
) -> Guesses:
    """One run, and as many guesses on its canaries.

    data: the data set with the canaries marked in a mask (canaries,). key: of the run's privacy stream. coins: which
    canaries are in; independent of everything else.
    """
    inside = coins.random(canaries) < 0.5
    witness = Witness(key)
    program(data(inside), Streams(SEED, privacy=witness))
    none = _answered(program, data(np.zeros(canaries, dtype=bool)), witness, key)
    scores = np.zeros(canaries)
    for canary in range(canaries):
        alone = _answered(program, data(np.arange(canaries) == canary), witness, key)
        triples = zip(witness.releases, none, alone, strict=False)
        scores[canary] = sum(log_likelihood_ratio(seen, zero.query, one.query) for seen, zero, one in triples)
    return Guesses.of(scores, inside, guesses)


def _answered(program: Program, data: Any, witness: Witness, key: bytes) -> list[Release]:
    """The releases of the program on other data, given the answers that the witness saw."""
    twin = Twin(witness, key)
    with suppress(Enough, AuditError):
        program(data, Streams(SEED, privacy=twin))
    return twin.releases
