"""maf: a masked autoregressive flow over the whole mixed table (`recipe.py`, `tree_conditionals.py`, `fitted.py`)."""

from dpsynth.models.maf.recipe import MAF

__all__ = ["MAF"]
