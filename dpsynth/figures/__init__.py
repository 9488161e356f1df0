"""Plots in one common style. Each function returns a `matplotlib.figure.Figure`; `style.save` writes it.

Pictures of real rows are private output.
"""

from dpsynth.figures.dependence import dependence
from dpsynth.figures.diagnostics import base_marginals, base_pairs, base_quantiles, diagnostics
from dpsynth.figures.histograms import histograms
from dpsynth.figures.images import evolution_grid, image_comparison, image_grid, population_grid
from dpsynth.figures.overview import score_overview
from dpsynth.figures.style import save
from dpsynth.figures.tradeoff import tradeoff

__all__ = [
    "base_marginals",
    "base_pairs",
    "base_quantiles",
    "dependence",
    "diagnostics",
    "evolution_grid",
    "histograms",
    "image_comparison",
    "image_grid",
    "population_grid",
    "save",
    "score_overview",
    "tradeoff",
]
