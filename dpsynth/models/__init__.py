"""The methods, a package each, behind one contract (`contract/`). Marginal methods share one package."""

from dpsynth.models.contract.fitted import Fitted
from dpsynth.models.contract.synthesizer import Synthesizer
from dpsynth.models.datalens.recipe import DataLens
from dpsynth.models.dpvi.recipe import DPVI
from dpsynth.models.maf.recipe import MAF
from dpsynth.models.marginal.aim import AIM
from dpsynth.models.marginal.independent import Independent
from dpsynth.models.marginal.mst import MST
from dpsynth.models.marginal.napsu import NAPSU
from dpsynth.models.marginal.privbayes import PrivBayes
from dpsynth.models.merf.recipe import MERF
from dpsynth.models.pe.recipe import PE
from dpsynth.models.pixels.recipe import PixelMAF

__all__ = [
    "AIM",
    "DPVI",
    "MAF",
    "MERF",
    "MST",
    "NAPSU",
    "PE",
    "DataLens",
    "Fitted",
    "Independent",
    "PixelMAF",
    "PrivBayes",
    "Synthesizer",
]
