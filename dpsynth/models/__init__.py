"""The methods, one file each, behind one contract (`synthesizer.py`)."""

from dpsynth.models.aim import AIM
from dpsynth.models.datalens import DataLens
from dpsynth.models.dpvi import DPVI
from dpsynth.models.fitted import Fitted
from dpsynth.models.independent import Independent
from dpsynth.models.maf import MAF
from dpsynth.models.merf import MERF
from dpsynth.models.mst import MST
from dpsynth.models.napsu import NAPSU
from dpsynth.models.pe import PE
from dpsynth.models.pixel_maf import PixelMAF
from dpsynth.models.privbayes import PrivBayes
from dpsynth.models.synthesizer import Synthesizer

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
