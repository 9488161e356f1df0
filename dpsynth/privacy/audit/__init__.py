"""Black-box audits: attack a program on the worst neighbouring data, and see how much privacy it loses at least.

    attack = WhiteBox.prepared(program, (without, with_record))     # program(data, randomness), as in the replay audit
    with Workers.started(2) as workers:
        scores = workers.collect(attack, runs=20_000, minutes=2)
    bound = lower_bound(*scores, delta=1e-5)                        # bound.mu, bound.epsilon, at 95 % confidence

A bound above the claim shows that the claim is false. A bound below it shows nothing but what this attacker can do.
"""

from dpsynth.privacy.audit.claim import Claim, Finding
from dpsynth.privacy.audit.error_rates import LowerBound, lower_bound
from dpsynth.privacy.audit.one_run import Guesses
from dpsynth.privacy.audit.release_only import ReleaseOnly, discriminated
from dpsynth.privacy.audit.trials import Workers
from dpsynth.privacy.audit.white_box import WhiteBox
from dpsynth.privacy.audit.witness import selection_key
from dpsynth.privacy.audit.worst_case import NeighbourPair, neighbours_in

__all__ = [
    "Claim",
    "Finding",
    "Guesses",
    "LowerBound",
    "NeighbourPair",
    "ReleaseOnly",
    "WhiteBox",
    "Workers",
    "discriminated",
    "lower_bound",
    "neighbours_in",
    "selection_key",
]
