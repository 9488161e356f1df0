"""pe: Private Evolution, for tables and images (Lin et al. 2023, arXiv 2305.15560; Tab-PE 2026, arXiv 2606.08259).

The models that may propose rows to another one: chosen by name, or given as a recipe.

The recipe of `pe` and its plan: all that is known of a run before a private row is touched.

Kinds of domains, classes, timetables, noise and sizes follow from public settings alone; `recipe.py` runs what is
planned.

    1  optionally a model of marginals, fitted with part of the budget, proposes rows (tables)
    2  an API that knows nothing of the private rows makes a population; a table's API perturbs rows, an image's API
       simulates them or uses declared public data (`dpsynth.models.pe`)
    3  in every iteration each private row votes for the nearest candidate of its class; the votes leave with noise
    4  candidates with votes become parents, their variations the next candidates
    5  the population is what the last vote left; more rows than it holds are variations of its members, free of cost

Guarantee. The private rows are touched by step 3: T Gaussian releases of one histogram over all classes, in which a row
has a vote vector of L2 norm at most 1; sensitivity 1 under add_remove, sqrt(2) under replace_one, also when the class
changes (`privacy/mechanisms/nearest_votes.py` derives both). Their noise is calibrated exactly, together with what step
1 and the fractions of the classes cost, if they are estimated privately. Sizes, schedules and thresholds follow from
public settings and from released numbers. The API is handed released batches only.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Literal, NamedTuple, get_args

import numpy as np

from dpsynth.data.image.domain import ImageDomain
from dpsynth.data.image.images import Images
from dpsynth.data.table.domain import Domain
from dpsynth.data.table.table import Table
from dpsynth.errors import ConfigError
from dpsynth.models.contract.fitted import Fitted
from dpsynth.models.contract.preparation import UNKNOWN_ROWS
from dpsynth.models.contract.synthesizer import FitRun, MethodPlan, PrivateRows, Synthesizer
from dpsynth.models.marginal.aim import AIM
from dpsynth.models.marginal.independent import Independent
from dpsynth.models.marginal.mst import MST
from dpsynth.models.marginal.privbayes import PrivBayes
from dpsynth.models.pe.api import Batch, PEApi
from dpsynth.models.pe.fitted import EvolvedImages, EvolvedTable, History
from dpsynth.models.pe.generations import (
    Degrees,
    Embedding,
    Evolution,
    Phase,
    Population,
    Timetable,
    VoteHistogram,
    Watch,
    apportioned,
)
from dpsynth.models.pe.image_apis import NAMES, PORTABLE, ImagePoints, Kind, image_api, provenance_of
from dpsynth.models.pe.table_api import TablePerturbation, TableView
from dpsynth.models.pe.table_pool import TablePool
from dpsynth.privacy.accounting.accounting import Charge
from dpsynth.privacy.accounting.budget import Budget
from dpsynth.privacy.accounting.calibration import calibrate
from dpsynth.privacy.ledger import Ledger, Planned
from dpsynth.privacy.mechanisms.marginals import NoisyMarginals, exact_counts, nearest_counts
from dpsynth.privacy.mechanisms.nearest_votes import NearestVotes, Points
from dpsynth.training import Public, Quiet, resolve_device
from dpsynth.training.device import processor_threads

PROPOSAL_MODELS: dict[str, type[Synthesizer]] = {
    "independent": Independent,
    "mst": MST,
    "aim": AIM,
    "privbayes": PrivBayes,
}


def proposal_recipe(wanted: Any) -> Synthesizer | None:
    """The recipe called `wanted`, or `wanted` itself when it is one of tables; None for None.

    Raises `ConfigError` for anything else.
    """
    if wanted is None or (isinstance(wanted, Synthesizer) and "table" in wanted.modalities):
        return wanted
    if not isinstance(wanted, str) or wanted not in PROPOSAL_MODELS:
        raise ConfigError(
            f"model.proposal_model={wanted}: choose {', '.join(PROPOSAL_MODELS)}, null, or a recipe for tables"
        )
    return PROPOSAL_MODELS[wanted]()


# -------------------- Recipe -----------------------------------------------------

VOTES, CLASSES = "nearest-neighbour votes", "fractions of the classes"
LEAST, MOST = 4, 10_000  # members of a class; of a population
TAB_PE = (Phase(5, "sample"), Phase(9, "rank", variations=3, keep=True))
REWEIGHTED = (Phase(2, "sample"),)  # rows that a proposal model proposes need little more than to be weighted
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
    proposal_model: Synthesizer | None
    dimensions: int


@dataclass(frozen=True, kw_only=True)
class EvolutionPlan(MethodPlan):
    """What is released: by the proposal model, if there is one, the class counts, if they are private, and the votes.

    members: of the population. vote_noise: standard deviation of the noise on a member's votes.
    """

    terms: Terms
    proposal_model: MethodPlan | None
    classes: NoisyMarginals | None
    votes: NearestVotes
    members: int
    vote_noise: float
    provenance: str

    @property
    def charges(self) -> tuple[Planned, ...]:
        first = self.proposal_model.charges if self.proposal_model else ()
        return (*first, *((self.classes,) if self.classes else ()), self.votes)


log = logging.getLogger(__name__)


@dataclass(frozen=True)
class PE(Synthesizer):
    """The recipe. None takes the default of the modality: tables before images below.

    api: auto (tables: perturbation; images: glyphs), or of images glyphs, faces, pool, generator, diffusion, or a
    `PEApi` made from public things. source: the public images, or the local pipeline, that the API needs.
    proposal_model: name of the model that proposes rows of a table (independent, mst, aim, privbayes), its recipe, or
    None for even proposals. proposal_fraction: its part of the budget. proposals: rows it proposes, which are kept in
    the model. phases: of iterations, see `Phase`. degrees: see `Degrees`. population: members; None gives every one of
    them twice the noise in votes on average, n / (2 sigma). threshold: of votes, in standard deviations of their noise.
    lookahead: variations whose mean is where a candidate stands. nearest: candidates that a row votes for.
    label_prior: uniform, public (`label_fractions`), or private: taken from the proposal model, else estimated
    privately with `label_fraction` of the budget. embedding, size, inception: see `ImagePoints`. crossover: see
    `TablePerturbation`. variants, spread: a table's final pool holds the proposals and so many variations of the
    population, of this degree. copies: variations of every member kept in the model where its API needs things outside
    of it.
    """

    modalities: ClassVar[frozenset[str]] = frozenset({"table", "image"})
    learns_from: ClassVar[tuple[type[PrivateRows], ...]] = (Table, Images)

    api: Any = "auto"
    source: str | None = None
    proposal_model: Any = "mst"
    proposal_fraction: float = 0.6
    proposals: int = 40_000
    phases: Any = None
    degrees: Any = None
    population: int | None = None
    threshold: float = 0.0
    lookahead: int | None = None
    nearest: int = 1
    label_prior: LabelPrior | None = None
    label_fractions: Sequence[float] | None = None
    label_fraction: float = 0.05
    embedding: Kind = "pixels"
    size: int = 14
    inception: str | None = None
    crossover: float = 0.5
    variants: int = 5_000
    spread: float = 0.3
    copies: int = 4

    def __post_init__(self) -> None:
        for name in ("proposal_fraction", "label_fraction"):
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
        if (self.label_prior == "public") != (self.label_fractions is not None):
            raise ConfigError(
                "model.label_fractions: list the public fraction of every class, with label_prior=public only"
            )
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
        if isinstance(proposal_recipe(self.proposal_model), PE):
            raise ConfigError("model.proposal_model: pe does not propose to itself; choose another model of tables")

    def _plan(self, domain: Domain | ImageDomain, budget: Budget, before: Sequence[Charge]) -> EvolutionPlan:
        terms, classes, proposal_model = self.terms(domain), None, None
        iterations, rows = terms.timetable.iterations, domain.rows or UNKNOWN_ROWS

        def votes(noise: float, releases: int = iterations) -> NearestVotes:
            return NearestVotes(
                name=VOTES, neighbours=budget.neighbours, releases=releases, noise_multiplier=noise,
                nearest=self.nearest, provenance=terms.provenance,
            )  # fmt: skip

        if terms.proposal_model is not None:
            # Of what is left, the votes take their part, as costs add up; the proposal model is calibrated to the rest.
            whole = calibrate(lambda z: (*before, votes(z, 1)), budget)
            rule = votes(whole * math.sqrt(iterations / (1 - self.proposal_fraction)))
            proposal_model = terms.proposal_model.plan_part(domain, budget, (*before, rule))
        else:
            if terms.prior == "private":
                classes = NoisyMarginals.at_fraction(CLASSES, 1, budget, self.label_fraction)
            fixed = (*before, *((classes,) if classes else ()))
            rule = votes(calibrate(lambda z: (*fixed, votes(z)), budget))
        members = self.members(rows, rule.deviation)
        pool = self.proposals + self.variants if isinstance(domain, Domain) else 0
        memory = 4 * terms.dimensions * (rows + 8 * members + pool) + (1 << 26)
        return EvolutionPlan(
            terms=terms, proposal_model=proposal_model, classes=classes, votes=rule, members=members,
            vote_noise=rule.deviation,
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
            view, proposal_model = TableView(domain), proposal_recipe(self.proposal_model)
            labels, dimensions = view.groups, int(view.sizes.sum())
            phases = self.phases if self.phases is not None else (REWEIGHTED if proposal_model else TAB_PE)
            timetable = Timetable.of(phases, self.degrees or Degrees())
            provenance = "none" if isinstance(self.api, str) else str(self.api.provenance)
        else:
            labels, proposal_model, dimensions = max(len(domain.classes), 1), None, domain.channels * self.size**2
            timetable = Timetable.of(IMAGES if self.phases is None else self.phases, self.degrees or IMAGE_DEGREES)
            name = "glyphs" if self.api == "auto" else self.api
            provenance = str(provenance_of(name, self.source) if isinstance(name, str) else name.provenance)
        prior = self.label_prior or ("private" if table else "uniform")
        if prior == "public" and len(self.label_fractions or ()) != labels:
            raise ConfigError(
                f"model.label_fractions: {len(self.label_fractions or ())} fractions for {labels} classes"
            )
        lookahead = self.lookahead if self.lookahead is not None else (0 if table else IMAGE_LOOKAHEAD)
        return Terms(labels, prior, timetable, lookahead, provenance, proposal_model, dimensions)

    def members(self, rows: int, noise: float) -> int:
        """Members of the population: few enough that on average each gets twice as many votes as their noise."""
        wanted = self.population or (rows / (2 * noise) if noise else rows)
        return int(max(1, min(wanted, MOST)))

    def _fit(self, table: Table | Images, rows: int, plan: EvolutionPlan, ledger: Ledger, run: FitRun) -> Fitted:
        with processor_threads(run.settings.threads):
            if isinstance(table, Images):
                return self._fit_images(table, rows, plan, ledger, run)
            return self._fit_table(table, rows, plan, ledger, run)

    def _fit_table(self, table: Table, rows: int, plan: EvolutionPlan, ledger: Ledger, run: FitRun) -> EvolvedTable:
        terms, view, proposal = self.terms(table.domain), TableView(table.domain), None
        private = view.batch(table.frame)
        if terms.proposal_model is not None and plan.proposal_model is not None:
            proposed = terms.proposal_model.fit_part(table, rows, plan.proposal_model, ledger, run).sample(
                self.proposals, seed=_seed(run, "proposed rows")
            )
            proposal = view.batch(proposed.frame)
        fractions = self._fractions(terms, private.labels, rows, proposal, plan, ledger)
        api = TablePerturbation(view, proposal, self.crossover) if isinstance(self.api, str) else self.api
        evolution = self._evolution(api, view.points, terms, rows, fractions, plan)
        points = Points(view.points(private), private.labels)
        population, vote_histograms = self._run(evolution, points, rows, plan, ledger, run)
        pool = TablePool.of(
            view, api, population, fractions, proposal, self.variants, self.spread, run.randomness.numpy("pool")
        )
        weighted, known = pool.weighted(vote_histograms, rows, plan.votes.deviation, self.nearest, fractions)
        fractions = known if terms.prior == "private" else fractions
        degree = terms.timetable.degrees.last
        return EvolvedTable(
            table.domain, weighted, fractions, degree, self.crossover, proposal is not None, terms.provenance
        )

    def _fit_images(self, images: Images, rows: int, plan: EvolutionPlan, ledger: Ledger, run: FitRun) -> EvolvedImages:
        terms, domain = plan.terms, images.domain
        points = ImagePoints(domain, self.embedding, self.size, self.inception)
        labels = np.zeros(len(images), dtype=np.int64) if images.labels is None else images.labels
        fractions = self._fractions(terms, labels, rows, None, plan, ledger)
        name = "glyphs" if self.api == "auto" else self.api
        api = image_api(name, domain, self.source, points) if isinstance(name, str) else name
        evolution = self._evolution(api, lambda batch: points(batch.genes["pixels"]), terms, rows, fractions, plan)
        history = History(terms.labels, domain)
        private = Points(points(images.pixels), labels)
        population, _ = self._run(evolution, private, rows, plan, ledger, run, history.add)
        degree = terms.timetable.degrees.last
        if not api.portable:
            population = population.enlarged(api, self.copies, degree, run.randomness.numpy("enlargement"))
        kept = name if name in PORTABLE else None
        return EvolvedImages(domain, population, fractions, kept, degree, terms.provenance, history.pictures)

    def _run(
        self,
        evolution: Evolution,
        private: Points,
        rows: int,
        plan: EvolutionPlan,
        ledger: Ledger,
        run: FitRun,
        watch: Watch | None = None,
    ) -> tuple[Population, list[VoteHistogram]]:
        """The evolution under the votes of `private`, which go nowhere but into the mechanism."""
        votes, device = plan.votes, resolve_device(run.settings.device)
        listener = run.progress or Quiet()
        self._report(evolution, votes.deviation, rows, ledger.budget)

        def vote(points: np.ndarray, labels: np.ndarray, step: int) -> np.ndarray:
            noisy = votes.measure(private, Points(points, labels), ledger, step, device)
            listener.update(step + 1, {"noise_to_signal": Public(votes.deviation * len(labels) / rows)})
            return noisy

        listener.start("evolution", 0, votes.releases)
        try:
            return evolution.run(vote, run.randomness.numpy("evolution"), watch)
        finally:
            listener.stop()

    def _report(self, evolution: Evolution, noise: float, rows: int, budget: Budget) -> None:
        """What a reader of the log must know, from public numbers; a warning where votes drown in noise."""
        log.info(
            "Private Evolution: %s; %s; T = %d; noise of a vote %.3g",
            *(evolution.api.provenance, budget.neighbours),
            *(evolution.timetable.iterations, noise),
        )
        per_member = rows / evolution.sizes.sum()
        if per_member < noise:
            log.warning(
                "Private Evolution: %.3g votes per member against noise of %.3g: fewer members (model.population), "
                "fewer iterations (model.phases) or a larger epsilon would help",
                per_member,
                noise,
            )

    def _evolution(
        self, api: PEApi, embedding: Embedding, terms: Terms, rows: int, fractions: np.ndarray, plan: EvolutionPlan
    ) -> Evolution:
        noise = plan.votes.deviation
        sizes = apportioned(self.members(rows, noise), fractions, LEAST)
        return Evolution(api, embedding, terms.timetable, sizes, self.threshold * noise, terms.lookahead)

    def _fractions(
        self,
        terms: Terms,
        labels: np.ndarray,
        rows: int,
        proposal: Batch | None,
        plan: EvolutionPlan,
        ledger: Ledger,
    ) -> np.ndarray:
        """(labels,) float64 fractions of the classes: public, or released. `labels` is private."""
        if terms.prior == "uniform":
            return np.full(terms.labels, 1 / terms.labels)
        if terms.prior == "public":
            assert self.label_fractions is not None
            return np.array(self.label_fractions, dtype=np.float64) / sum(self.label_fractions)
        if proposal is not None:
            counts = np.bincount(proposal.labels, minlength=terms.labels).astype(np.float64)
        else:
            assert plan.classes is not None, "planned for private classes"
            exact = exact_counts(labels[:, None], [(0,)], (terms.labels,))
            counts = nearest_counts(plan.classes.measure(exact, ledger)[0], rows)
        return counts / counts.sum()


def _seed(run: FitRun, name: str) -> int:
    return int(run.randomness.numpy(name).integers(2**31))
