"""Plots in one house style. Each function returns a `matplotlib.figure.Figure`; `style.save` writes it.

Pictures of real rows are private output.
"""

from dpsynth.figures.histograms import histograms
from dpsynth.figures.style import save

__all__ = ["histograms", "save"]
