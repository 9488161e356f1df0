"""Variational inference with differential privacy: for the user's own model, and for mixtures of tables.

Knows no `Synthesizer`; `models/dpvi/recipe.py` builds one from it.
"""

from dpsynth.vi.dpsvi import DPSVI
from dpsynth.vi.posterior import Posterior

__all__ = ["DPSVI", "Posterior"]
