"""The methods, one file each, behind one contract (`synthesizer.py`)."""

from dpsynth.models.fitted import Fitted
from dpsynth.models.maf import MAF
from dpsynth.models.synthesizer import Synthesizer

__all__ = ["MAF", "Fitted", "Synthesizer"]
