"""mixture: images of each class as a mixture of Gaussians, from noisy moments and clusters (`recipe.py`)."""

from dpsynth.models.mixture.recipe import ImageMixture

__all__ = ["ImageMixture"]
