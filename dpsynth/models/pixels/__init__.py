"""maf for images: masked autoregression over quantised pixels (`recipe.py`, `neighbour_tables.py`, `fitted.py`)."""

from dpsynth.models.pixels.recipe import PixelMAF

__all__ = ["PixelMAF"]
