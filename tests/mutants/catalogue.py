"""All mutants, by topic."""

from __future__ import annotations

from .accountants import ACCOUNTANTS
from .gate import GATE
from .gradients import GRADIENTS
from .methods import METHODS
from .mutant import Mutant
from .noise import NOISE
from .rows import ROWS
from .sensitivities import SENSITIVITIES

MUTANTS: tuple[Mutant, ...] = (*GATE, *NOISE, *SENSITIVITIES, *ACCOUNTANTS, *GRADIENTS, *METHODS, *ROWS)
QUICK = (
    "normals of half the variance",
    "the filter does not subtract",
    "twice the planned steps are accepted",
    "marginals without the root of their number",
    "deltas of single charges are forgotten",
    "rows are clipped at twice the norm",
    "the split goes by position",
    "teachers are dealt by position",
)  # tried in the default suite
