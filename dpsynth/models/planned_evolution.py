"""The recipe of `pe` and its plan: all that is known of a run before a private row is touched.

Kinds of domains, classes, timetables, noise and sizes follow from public settings alone; `pe.py` runs what is planned.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Literal, NamedTuple, get_args

from dpsynth.data.domain import Domain
from dpsynth.data.image_domain import ImageDomain
from dpsynth.data.images import Images
from dpsynth.data.table import Table
from dpsynth.errors import ConfigError
from dpsynth.evolution.image_apis import NAMES, PORTABLE, provenance_of
from dpsynth.evolution.image_points import Kind
from dpsynth.evolution.schedule import Degrees, Phase, Timetable
from dpsynth.evolution.table_view import TableView
from dpsynth.models.seeds import seed_recipe
from dpsynth.models.synthesizer import MethodPlan, Rows, Synthesizer
from dpsynth.privacy.accounting import Charge
from dpsynth.privacy.budget import Budget
from dpsynth.privacy.calibration import calibrate
from dpsynth.privacy.ledger import Planned
from dpsynth.privacy.marginals import NoisyMarginals
from dpsynth.privacy.nearest_votes import NearestVotes

VOTES, CLASSES = "nearest-neighbour votes", "shares of the classes"
UNKNOWN_ROWS = 30_000  # stands for the number of rows when none is declared
LEAST, MOST = 4, 10_000  # members of a class; of a population
TAB_PE = (Phase(5, "sample"), Phase(9, "rank", variations=3, keep=True))
SEEDED = (Phase(2, "sample"),)  # rows that a seed model proposes need little more than to be weighted
IMAGES = (Phase(4, "sample"),)
IMAGE_DEGREES, IMAGE_LOOKAHEAD = Degrees(0.5, 0.3, 1.0), 4

LabelPrior = Literal["uniform", "public", "private"]


class Terms(NamedTuple):
    """What a domain makes of the recipe, public. labels: classes of the histogram, 1 where there are none."""

    labels: int
    prior: LabelPrior
    timetable: Timetable
    lookahead: int
    provenance: str
    seed: Synthesizer | None
    dimensions: int


@dataclass(frozen=True, kw_only=True)
class EvolutionPlan(MethodPlan):
    """What is released: by the seed model, if there is one, the class counts, if they are private, and the votes.

    members: of the population. vote_noise: standard deviation of the noise on a member's votes.
    """

    terms: Terms
    seed: MethodPlan | None
    classes: NoisyMarginals | None
    votes: NearestVotes
    members: int
    vote_noise: float
    provenance: str

    @property
    def charges(self) -> tuple[Planned, ...]:
        first = self.seed.charges if self.seed else ()
        return (*first, *((self.classes,) if self.classes else ()), self.votes)


@dataclass(frozen=True)
class PlannedEvolution(Synthesizer):
    """The recipe. None takes the default of the modality: tables before images below.

    api: auto (tables: perturbation; images: glyphs), or of images glyphs, faces, pool, generator, diffusion, or a
    `PEApi` made from public things. source: the public images, or the local pipeline, that the API needs.
    seed_model: name of the model that proposes rows of a table (independent, mst, aim, privbayes), its recipe, or None
    for even proposals. seed_share: its part of the budget. proposals: rows it proposes, which are kept in the model.
    phases: of iterations, see `Phase`. degrees: see `Degrees`. population: members; None gives every one of them
    twice the noise in votes on average, n / (2 sigma). threshold: of votes, in standard deviations of their noise.
    lookahead: variations whose mean is where a candidate stands. nearest: candidates that a row votes for.
    label_prior: uniform, public (`label_shares`), or private: taken from the seed model, else bought with
    `label_share` of the budget. embedding, size, inception: see `ImagePoints`. crossover: see `TablePerturbation`.
    variants, spread: a table's final pool holds the proposals and so many variations of the population, of this degree.
    copies: variations of every member kept in the model where its API needs things outside of it.
    """

    modalities: ClassVar[frozenset[str]] = frozenset({"table", "image"})
    learns_from: ClassVar[tuple[type[Rows], ...]] = (Table, Images)

    api: Any = "auto"
    source: str | None = None
    seed_model: Any = "mst"
    seed_share: float = 0.6
    proposals: int = 40_000
    phases: Any = None
    degrees: Any = None
    population: int | None = None
    threshold: float = 0.0
    lookahead: int | None = None
    nearest: int = 1
    label_prior: LabelPrior | None = None
    label_shares: Sequence[float] | None = None
    label_share: float = 0.05
    embedding: Kind = "pixels"
    size: int = 14
    inception: str | None = None
    crossover: float = 0.5
    variants: int = 5_000
    spread: float = 0.3
    copies: int = 4

    def __post_init__(self) -> None:
        for name in ("seed_share", "label_share"):
            if not 0 < getattr(self, name) < 1:
                raise ConfigError(f"model.{name}={getattr(self, name)}: must lie between 0 and 1")
        for name, least in (
            ("nearest", 1),
            ("proposals", 1),
            ("variants", 1),
            ("copies", 0),
            ("lookahead", 0),
            ("population", 1),
        ):
            value = getattr(self, name)
            if value is not None and value < least:
                raise ConfigError(f"model.{name}={value}: must be at least {least}")
        if not 0 <= self.crossover <= 1:
            raise ConfigError(f"model.crossover={self.crossover}: must lie between 0 and 1")
        if self.label_prior not in (None, *get_args(LabelPrior)):
            raise ConfigError(
                f"model.label_prior={self.label_prior}: choose {', '.join(get_args(LabelPrior))}, or null"
            )
        if (self.label_prior == "public") != (self.label_shares is not None):
            raise ConfigError("model.label_shares: list the public share of every class, with label_prior=public only")
        if not isinstance(self.api, str) and not isinstance(getattr(self.api, "modality", None), str):
            raise ConfigError(f"model.api={self.api!r:.40}: choose auto, {', '.join(NAMES)}, or give a PEApi")
        if self.phases is not None and not isinstance(self.phases, list | tuple):
            raise ConfigError(f"model.phases={self.phases!r:.40}: must be a list of mappings, or null")
        if isinstance(self.api, str) and self.api not in ("auto", *NAMES):
            raise ConfigError(f"model.api={self.api}: choose auto, {', '.join(NAMES)}")
        if self.api in NAMES and (self.api in PORTABLE) != (self.source is None):
            raise ConfigError(
                f"model.source={self.source}: pool and generator need public images, diffusion a local pipeline"
            )
        if isinstance(seed_recipe(self.seed_model), PlannedEvolution):
            raise ConfigError("model.seed_model: pe does not seed itself; choose another model of tables")

    def _plan(self, domain: Domain | ImageDomain, budget: Budget, before: Sequence[Charge]) -> EvolutionPlan:
        terms, classes, seed = self.terms(domain), None, None
        iterations, rows = terms.timetable.iterations, domain.rows or UNKNOWN_ROWS

        def votes(noise: float, releases: int = iterations) -> NearestVotes:
            return NearestVotes(
                name=VOTES, neighbours=budget.neighbours, releases=releases, noise_multiplier=noise,
                nearest=self.nearest, provenance=terms.provenance,
            )  # fmt: skip

        if terms.seed is not None:
            # Of what is left, the votes take their part, as costs add up; the seed model is calibrated to the rest.
            whole = calibrate(lambda z: (*before, votes(z, 1)), budget)
            rule = votes(whole * math.sqrt(iterations / (1 - self.seed_share)))
            seed = terms.seed.plan_part(domain, budget, (*before, rule))
        else:
            if terms.prior == "private":
                classes = NoisyMarginals.at_fraction(CLASSES, 1, budget, self.label_share)
            fixed = (*before, *((classes,) if classes else ()))
            rule = votes(calibrate(lambda z: (*fixed, votes(z)), budget))
        members = self.members(rows, rule.deviation)
        pool = self.proposals + self.variants if isinstance(domain, Domain) else 0
        memory = 4 * terms.dimensions * (rows + 8 * members + pool) + (1 << 26)
        return EvolutionPlan(
            terms=terms, seed=seed, classes=classes, votes=rule, members=members, vote_noise=rule.deviation,
            provenance=terms.provenance, memory_bytes=memory,
        )  # fmt: skip

    def terms(self, domain: Domain | ImageDomain) -> Terms:
        """What `domain` makes of the recipe; `ConfigError` where the two do not fit."""
        table = isinstance(domain, Domain)
        if not isinstance(self.api, str) and self.api.modality != ("table" if table else "image"):
            raise ConfigError(f"model.api: makes {self.api.modality}s, which the data are not")
        if table:
            if self.api in NAMES:
                raise ConfigError(f"model.api={self.api}: makes images; tables have api=auto")
            view, seed = TableView(domain), seed_recipe(self.seed_model)
            labels, dimensions = view.groups, int(view.sizes.sum())
            phases = self.phases if self.phases is not None else (SEEDED if seed else TAB_PE)
            timetable = Timetable.of(phases, self.degrees or Degrees())
            provenance = "none" if isinstance(self.api, str) else str(self.api.provenance)
        else:
            labels, seed, dimensions = max(len(domain.classes), 1), None, domain.channels * self.size**2
            timetable = Timetable.of(IMAGES if self.phases is None else self.phases, self.degrees or IMAGE_DEGREES)
            name = "glyphs" if self.api == "auto" else self.api
            provenance = str(provenance_of(name, self.source) if isinstance(name, str) else name.provenance)
        prior = self.label_prior or ("private" if table else "uniform")
        if prior == "public" and len(self.label_shares or ()) != labels:
            raise ConfigError(f"model.label_shares: {len(self.label_shares or ())} shares for {labels} classes")
        lookahead = self.lookahead if self.lookahead is not None else (0 if table else IMAGE_LOOKAHEAD)
        return Terms(labels, prior, timetable, lookahead, provenance, seed, dimensions)

    def members(self, rows: int, noise: float) -> int:
        """Members of the population: few enough that on average each gets twice as many votes as their noise."""
        wanted = self.population or (rows / (2 * noise) if noise else rows)
        return int(max(1, min(wanted, MOST)))
