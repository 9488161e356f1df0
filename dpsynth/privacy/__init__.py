"""The only package that draws privacy noise or spends budget.

budget = Budget(epsilon=1.0, delta=1e-6)
batches = PoissonBatches(rate=0.05, steps=1000)
sgd = DPSGD.sampled("dp-sgd", budget.neighbours, batches, noise=1.5, clipping_norm=1.0)
plan = Plan(budget, (sgd,))                      # public; refuses what exceeds the budget
ledger = Ledger(plan, RandomGenerators(seed=0))           # secure noise by default
gradient = sgd.gradient(0, engine, data, ledger, divisor=batches.expected(10_000))
"""

from dpsynth.privacy.accounted_run import AccountedRun
from dpsynth.privacy.accounting.account import Account
from dpsynth.privacy.accounting.accounting import Proven, prove
from dpsynth.privacy.accounting.adaptive_budget import AdaptiveBudget
from dpsynth.privacy.accounting.budget import Budget
from dpsynth.privacy.accounting.calibration import calibrate
from dpsynth.privacy.dpsgd.dp_sgd import DPSGD
from dpsynth.privacy.dpsgd.sampling import FixedSizeBatches, PoissonBatches
from dpsynth.privacy.ledger import Ledger, Plan
from dpsynth.privacy.mechanism import Mechanism
from dpsynth.privacy.mechanisms.marginals import NoisyMarginals
from dpsynth.privacy.noise.exponential import ExponentialMechanism
from dpsynth.privacy.noise.gaussian import GaussianMechanism, GaussianQuery
from dpsynth.privacy.noise.integer_noise import CountMechanism
from dpsynth.privacy.noise.random import RandomGenerators, SeededGenerators, fresh_key

__all__ = [
    "DPSGD",
    "Account",
    "AccountedRun",
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
    "RandomGenerators",
    "SeededGenerators",
    "calibrate",
    "fresh_key",
    "prove",
]
