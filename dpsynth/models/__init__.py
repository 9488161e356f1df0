"""The methods, a package each, behind one contract (`contract/`). Marginal methods share one package."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from dpsynth.models.auto.recipe import Auto
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
    from dpsynth.models.mixture.recipe import ImageMixture
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
    "Auto",
    "DataLens",
    "Fitted",
    "ImageMixture",
    "Independent",
    "PixelMAF",
    "PrivBayes",
    "Synthesizer",
]

# Where each name lives; a method is imported when it is first used.
_PLACES = {
    "AIM": "dpsynth.models.marginal.aim",
    "Auto": "dpsynth.models.auto.recipe",
    "DPVI": "dpsynth.models.dpvi.recipe",
    "DataLens": "dpsynth.models.datalens.recipe",
    "Fitted": "dpsynth.models.contract.fitted",
    "ImageMixture": "dpsynth.models.mixture.recipe",
    "Independent": "dpsynth.models.marginal.independent",
    "MAF": "dpsynth.models.maf.recipe",
    "MERF": "dpsynth.models.merf.recipe",
    "MST": "dpsynth.models.marginal.mst",
    "NAPSU": "dpsynth.models.marginal.napsu",
    "PE": "dpsynth.models.pe.recipe",
    "PixelMAF": "dpsynth.models.pixels.recipe",
    "PrivBayes": "dpsynth.models.marginal.privbayes",
    "Synthesizer": "dpsynth.models.contract.synthesizer",
}


def __getattr__(name: str) -> Any:
    if name not in _PLACES:
        raise AttributeError(f"module 'dpsynth.models' has no attribute {name!r}")
    globals()[name] = found = getattr(import_module(_PLACES[name]), name)
    return found


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
