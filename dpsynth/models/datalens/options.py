"""The options of `datalens` in their groups; `configs/model/datalens.yaml` shows them with their defaults.

Those of the class-rejection classifier are shared with other methods (`models/shared/class_rejection.py`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from dpsynth.errors import ConfigError
from dpsynth.models.contract.option_groups import OptionGroup, above_zero, at_least, between, one_of
from dpsynth.networks.generators import Architecture
from dpsynth.privacy.mechanisms.votes import REFUSED, Aggregate, Compress


@dataclass(frozen=True)
class TeacherOptions(OptionGroup):
    """Small discriminators, each trained on a shard of its own.

    Attributes:
        count: Teachers, and so shards; None is the declared number of rows over `rows`.
        rows: Average rows of a shard. Few rows make many votes, and many votes outweigh the noise.
        hidden: Units, or filters, of a teacher.
        steps: Of Adam in a round.
        learning_rate: Of Adam.
        batch: Rows of its shard that a teacher sees in a round.
        focus: How near a query must be to a teacher's rows to matter, in units of a row's norm; 0 treats all alike.
        at_once: Teachers trained at a time; bounds memory, never changes the result.
    """

    count: int | None = None
    rows: int = 5
    hidden: int = 16
    steps: int = 1
    learning_rate: float = 1e-2
    batch: int = 6
    focus: float = 0.24
    at_once: int = 200

    def __post_init__(self) -> None:
        at_least(self, 1, "count", "rows", "hidden", "steps", "batch", "at_once")
        above_zero(self, "learning_rate")
        at_least(self, 0, "focus")


@dataclass(frozen=True)
class VoteOptions(OptionGroup):
    """How the gradient of a teacher becomes a bounded vote, and the noisy sum of votes a direction
    (`privacy/mechanisms/votes.py`).

    Attributes:
        compress: How a vote is bounded; `project` clips the low frequencies of an image.
        frequencies: Of `project`, along each side of an image; None follows from the queries.
        k: Of `topk_*`: numbers that a teacher votes on for each query.
        levels: Of `klevel`, even.
        bound: Of `clip` and `project`: norm of a vote. Of `topk_stochastic` and `klevel`: the largest magnitude told
            apart.
        aggregate: What is made of the noisy sum.
        threshold: Fraction of the teachers, of the aggregates `threshold` and `clip`.
    """

    compress: Compress = "project"
    frequencies: int | None = None
    k: int = 200
    levels: int = 4
    bound: float = 1e-3
    aggregate: Aggregate = "linear"
    threshold: float = 0.5

    def __post_init__(self) -> None:
        if self.compress in REFUSED:
            raise ConfigError(f"compress={self.compress}: refused, {REFUSED[self.compress]}")
        at_least(self, 1, "frequencies", "k")


@dataclass(frozen=True)
class StudentOptions(OptionGroup):
    """The generator, and how it follows the released directions: post-processing, free of charge.

    Attributes:
        latent: Numbers of its code.
        width: Units of a layer, or channels of the widest convolution.
        steps: Of Adam in a round.
        last_steps: After the last round.
        learning_rate: Of Adam.
        averaging: Decay of the average of its weights; 0 takes the last ones.
        step_size: Of the queries along the released direction, in units of a row's typical norm; falls to zero.
        momentum: Of the released directions, while queries stay.
    """

    latent: int = 32
    width: int = 256
    steps: int = 40
    last_steps: int = 300
    learning_rate: float = 2e-3
    averaging: float = 0.0
    step_size: float = 1.2
    momentum: float = 0.5

    def __post_init__(self) -> None:
        at_least(self, 1, "latent", "width", "steps")
        at_least(self, 0, "last_steps")
        above_zero(self, "learning_rate", "step_size")
        between(self, 0, 1, "averaging", "momentum", ends="[)")


@dataclass(frozen=True)
class ScatterOptions(OptionGroup):
    """How images are found to scatter around the queries of their class, from a fraction of the budget.

    Attributes:
        fraction: Of the budget; 0 leaves it out.
        frequencies: Along each side of an image.
        radius: Longer offsets are scaled down to it; in units of a row's norm.
    """

    fraction: float = 0.1
    frequencies: int = 8
    radius: float = 0.7

    def __post_init__(self) -> None:
        at_least(self, 0, "fraction")
        at_least(self, 1, "frequencies")
        above_zero(self, "radius")


@dataclass(frozen=True)
class PostProcessingOptions(OptionGroup):
    """What is done to the generator's images, without a look at the data.

    Attributes:
        blend: Samples blend two codes of a class, the second with a weight up to this; not where images scatter.
        spread: Noise of a falling spectrum, root mean square of the pixels' range.
        deformation: Small random rotations, stretches and shifts; 0 for none.
    """

    blend: float = 0.5
    spread: float = 0.2
    deformation: float = 0.4

    def __post_init__(self) -> None:
        at_least(self, 0, "blend", "spread", "deformation")


@dataclass(frozen=True)
class PublishedVariant(OptionGroup):
    """Choices of the published method (arXiv:2103.11109) that this implementation otherwise makes differently.

    The defaults are those of the source; `configs/reproduction/datalens*.yaml` set them for its experiments.

    Attributes:
        alike: All teachers start from the same weights.
        keep: Teachers keep weights and Adam's moments from round to round, instead of starting afresh.
        linear: The perceptron of a teacher has a linear term for each class too.
        fresh: New queries every round, instead of queries whose codes stay.
        first_steps: Of a teacher's Adam in the first round.
        adam_epsilon: Of a teacher's Adam; large: steps follow the size of the gradient, small: its sign.
        discriminator: Network of a teacher; conv is for images, and not for votes on projections.
        generator: Network of the student.
        sigma: Noise of a sum of votes, checked against the budget; None solves it from epsilon.
        accountant: rdp_2017 shows the epsilon of the published accounting too; it never is the guarantee.
    """

    alike: bool = False
    keep: bool = True
    linear: bool = False
    fresh: bool = True
    first_steps: int = 1
    adam_epsilon: float = 1e-8
    discriminator: Literal["mlp", "conv"] = "mlp"
    generator: Architecture = "dcgan"
    sigma: float | None = None
    accountant: Literal["gdp", "rdp_2017"] = "gdp"

    def __post_init__(self) -> None:
        at_least(self, 1, "first_steps")
        above_zero(self, "adam_epsilon", "sigma")
        one_of(self, ("mlp", "conv"), "discriminator")
        one_of(self, ("mlp", "dcgan"), "generator")
        one_of(self, ("gdp", "rdp_2017"), "accountant")


OWN_CHOICES = PublishedVariant(alike=True, keep=False, linear=True, fresh=False, adam_epsilon=1.0, generator="mlp")
"""What is done where no published variant is asked for; `recipe.py` says why."""
