"""The options of `pe` in their groups; `configs/model/pe.yaml` shows them with their defaults.

None takes the default of the modality, for tables or for images.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from dpsynth.models.contract.option_groups import OptionGroup, at_least, between, one_of, refuse
from dpsynth.models.contract.synthesizer import Synthesizer
from dpsynth.models.pe.generations import Degrees, Phase
from dpsynth.models.pe.image_apis import Kind

LabelPrior = Literal["uniform", "public", "private"]


@dataclass(frozen=True)
class ProposalOptions(OptionGroup):
    """The model that proposes rows of a table, fitted with a part of the budget.

    Attributes:
        model: Its name (independent, mst, aim, privbayes), its recipe, or None for even proposals.
        fraction: Of the budget, for it.
        rows: That it proposes, which are kept in the model.
    """

    model: str | Synthesizer | None = "mst"
    fraction: float = 0.6
    rows: int = 40_000

    def __post_init__(self) -> None:
        between(self, 0, 1, "fraction", ends="()")
        at_least(self, 1, "rows")


@dataclass(frozen=True)
class EvolutionOptions(OptionGroup):
    """How candidates are voted on, and become parents.

    Attributes:
        phases: Of iterations, see `Phase`.
        degrees: How far children stray, see `Degrees`.
        threshold: Of votes, in standard deviations of their noise.
        lookahead: Variations whose mean is where a candidate stands.
        nearest: Candidates that a row votes for, with weight 1 / sqrt(nearest) each.
    """

    phases: Sequence[Phase | Mapping[str, Any]] | None = None
    degrees: Degrees | None = None
    threshold: float = 0.0
    lookahead: int | None = None
    nearest: int = 1

    def __post_init__(self) -> None:
        if self.phases is not None and not isinstance(self.phases, list | tuple):
            refuse(self, "phases", "must be a list of mappings, or null")
        at_least(self, 0, "lookahead")
        at_least(self, 1, "nearest")


@dataclass(frozen=True)
class LabelOptions(OptionGroup):
    """The fractions of the classes.

    Attributes:
        prior: uniform; public, as `fractions` says; or private: taken from the proposal model, else estimated
            privately.
        fractions: Public fraction of every class.
        budget_fraction: Of the budget, for fractions that no proposal model knows.
    """

    prior: LabelPrior | None = None
    fractions: Sequence[float] | None = None
    budget_fraction: float = 0.05

    def __post_init__(self) -> None:
        one_of(self, ("uniform", "public", "private", None), "prior")
        between(self, 0, 1, "budget_fraction", ends="()")
        if (self.prior == "public") != (self.fractions is not None):
            refuse(self, "fractions", "list the public fraction of every class, with prior=public only")


@dataclass(frozen=True)
class ImageEmbeddingOptions(OptionGroup):
    """Where images stand when a private image looks for the nearest candidate; see `ImagePoints`.

    Attributes:
        kind: pixels, dct, random or inception.
        size: Pixels of the longer side at which images are embedded, unless the domain says otherwise.
        inception: Local .safetensors file with the weights of torchvision's inception_v3.
    """

    kind: Kind = "pixels"
    size: int = 14
    inception: str | None = None

    def __post_init__(self) -> None:
        at_least(self, 1, "size")


@dataclass(frozen=True)
class TablePoolOptions(OptionGroup):
    """The rows that the model of a table holds in the end, and how rows are varied.

    Attributes:
        crossover: Fraction of the changed cells that come from a mate; see `TablePerturbation`.
        variants: Variations of the population in the final pool, beside the proposals.
        degree: Of these variations.
    """

    crossover: float = 0.5
    variants: int = 5_000
    degree: float = 0.3

    def __post_init__(self) -> None:
        between(self, 0, 1, "crossover", "degree")
        at_least(self, 1, "variants")
