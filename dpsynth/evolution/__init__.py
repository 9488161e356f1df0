"""Private Evolution without the private part: populations, the APIs that make and vary them, and where they stand.

Nothing here sees a private row. Votes come in as released numbers (`privacy/nearest_votes.py`); everything else is
post-processing of them.
"""

from dpsynth.evolution.api import PEApi, Provenance
from dpsynth.evolution.batch import Batch
from dpsynth.evolution.generations import Evolution, Population
from dpsynth.evolution.schedule import Degrees, Phase

__all__ = ["Batch", "Degrees", "Evolution", "PEApi", "Phase", "Population", "Provenance"]
