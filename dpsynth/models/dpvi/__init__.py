"""dpvi: a mixture by DP variational inference, built from `dpsynth.vi` (`recipe.py`, `fitted.py`)."""

from dpsynth.models.dpvi.recipe import DPVI

__all__ = ["DPVI"]
