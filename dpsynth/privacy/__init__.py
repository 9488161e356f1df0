"""The only room that draws privacy noise or spends budget.

budget = Budget(epsilon=1.0, delta=1e-6)
batches = PoissonBatches(rate=0.05, steps=1000)
noise = calibrate(lambda z: [Charge("dp_sgd", batches.event(z))], budget)
plan = Plan(budget, (Charge("dp_sgd", batches.event(noise)),))     # public; refuses what exceeds the budget
ledger, streams = Ledger(plan), Streams(seed=0)                    # secure noise by default
"""

from dpsynth.privacy.accounting import Proven, prove
from dpsynth.privacy.budget import Budget
from dpsynth.privacy.calibration import calibrate
from dpsynth.privacy.ledger import Charge, Ledger, Plan
from dpsynth.privacy.random import PrivacyStream, Streams, fresh_key
from dpsynth.privacy.sampling import FixedSizeBatches, PoissonBatches

__all__ = [
    "Budget",
    "Charge",
    "FixedSizeBatches",
    "Ledger",
    "Plan",
    "PoissonBatches",
    "PrivacyStream",
    "Proven",
    "Streams",
    "calibrate",
    "fresh_key",
    "prove",
]
