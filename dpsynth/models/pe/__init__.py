"""pe: Private Evolution. The recipe, the private votes on a population, and the APIs that make and vary it.

Only `recipe.py` sees private rows. Votes come from it as released numbers (`privacy/mechanisms/nearest_votes.py`);
everything else is post-processing of them.
"""

from dpsynth.models.pe.api import Batch, PEApi, Provenance
from dpsynth.models.pe.generations import Degrees, Evolution, Phase, Population
from dpsynth.models.pe.recipe import PE

__all__ = ["PE", "Batch", "Degrees", "Evolution", "PEApi", "Phase", "Population", "Provenance"]
