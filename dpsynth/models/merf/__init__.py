"""merf: one noisy mean embedding, and a generator fitted to it (`recipe.py`, `fitted.py`)."""

from dpsynth.models.merf.recipe import MERF

__all__ = ["MERF"]
