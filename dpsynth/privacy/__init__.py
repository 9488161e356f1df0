"""The only package that draws privacy noise or spends budget.

budget = Budget(epsilon=1.0, delta=1e-6)
batches = PoissonBatches(rate=0.05, steps=1000)
sgd = DPSGD.sampled("dp-sgd", budget.neighbours, batches, noise=1.5, clipping_norm=1.0)
plan = Plan(budget, (sgd,))                      # public; refuses what exceeds the budget
ledger = Ledger(plan, Streams(seed=0))           # secure noise by default
gradient = sgd.gradient(0, engine, data, ledger, divisor=batches.expected(10_000))
"""

from dpsynth.privacy.accounting import Proven, prove
from dpsynth.privacy.adaptive_budget import AdaptiveBudget
from dpsynth.privacy.budget import Budget
from dpsynth.privacy.calibration import calibrate
from dpsynth.privacy.dp_sgd import DPSGD
from dpsynth.privacy.exponential import ExponentialMechanism
from dpsynth.privacy.gaussian import GaussianMechanism, GaussianQuery
from dpsynth.privacy.integer_noise import CountMechanism
from dpsynth.privacy.ledger import Ledger, Plan
from dpsynth.privacy.marginals import NoisyMarginals
from dpsynth.privacy.mechanism import Mechanism
from dpsynth.privacy.random import SeededStreams, Streams, fresh_key
from dpsynth.privacy.sampling import FixedSizeBatches, PoissonBatches

__all__ = [
    "DPSGD",
    "AdaptiveBudget",
    "Budget",
    "CountMechanism",
    "ExponentialMechanism",
    "FixedSizeBatches",
    "GaussianMechanism",
    "GaussianQuery",
    "Ledger",
    "Mechanism",
    "NoisyMarginals",
    "Plan",
    "PoissonBatches",
    "Proven",
    "SeededStreams",
    "Streams",
    "calibrate",
    "fresh_key",
    "prove",
]
