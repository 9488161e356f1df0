"""Methods over noisy marginals: independent, mst, aim, privbayes and napsu.

`method.py` holds what they share; each method is one file: the recipe, what it releases, the fitted model.
"""

from dpsynth.models.marginal.aim import AIM
from dpsynth.models.marginal.independent import Independent
from dpsynth.models.marginal.mst import MST
from dpsynth.models.marginal.napsu import NAPSU
from dpsynth.models.marginal.privbayes import PrivBayes

__all__ = ["AIM", "MST", "NAPSU", "Independent", "PrivBayes"]
