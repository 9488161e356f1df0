"""The methods, one file each, behind one contract (`synthesizer.py`)."""

from dpsynth.models.fitted import Fitted
from dpsynth.models.synthesizer import Synthesizer

__all__ = ["Fitted", "Synthesizer"]
