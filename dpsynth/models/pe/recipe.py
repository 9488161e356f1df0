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
from dataclasses import dataclass, field
from typing import Any, ClassVar, NamedTuple

import numpy as np

from dpsynth.data.image.domain import ImageDomain
from dpsynth.data.image.images import Images
from dpsynth.data.table.domain import Domain
from dpsynth.data.table.table import Table
from dpsynth.errors import ConfigError
from dpsynth.models.contract.fitted import Fitted
from dpsynth.models.contract.option_groups import at_least
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
from dpsynth.models.pe.image_apis import NAMES, PORTABLE, ImagePoints, image_api, provenance_of
from dpsynth.models.pe.options import (
    EvolutionOptions,
    ImageEmbeddingOptions,
    LabelOptions,
    LabelPrior,
    ProposalOptions,
    TablePoolOptions,
)
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
            f"model.proposal.model={wanted}: choose {', '.join(PROPOSAL_MODELS)}, null, or a recipe for tables"
        )
    return PROPOSAL_MODELS[wanted]()


# -------------------- Recipe -----------------------------------------------------

VOTES, CLASSES = "nearest-neighbour votes", "fractions of the classes"
LEAST, MOST = 4, 10_000  # members of a class; of a population
TAB_PE = (Phase(5, "sample"), Phase(9, "rank", variations=3, keep=True))
REWEIGHTED = (Phase(2, "sample"),)  # rows that a proposal model proposes need little more than to be weighted
IMAGES = (Phase(4, "sample"),)
IMAGE_DEGREES, IMAGE_LOOKAHEAD = Degrees(0.5, 0.3, 1.0), 4


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
    """The recipe. None takes the default of the modality.

    Attributes:
        api: auto (tables: perturbation; images: glyphs), or of images glyphs, faces, pool, generator, diffusion, or a
            `PEApi` made from public things.
        source: The public images, or the local pipeline, that the API needs.
        population: Members; None gives every one of them twice the noise in votes on average, n / (2 sigma).
        copies: Variations of every member kept in the model where its API needs things outside of it.
        proposal, evolution, labels, embedding, pool: Options in groups.
    """

    modalities: ClassVar[frozenset[str]] = frozenset({"table", "image"})
    learns_from: ClassVar[tuple[type[PrivateRows], ...]] = (Table, Images)

    api: Any = "auto"
    source: str | None = None
    population: int | None = None
    copies: int = 4
    proposal: ProposalOptions = field(default_factory=ProposalOptions)
    evolution: EvolutionOptions = field(default_factory=EvolutionOptions)
    labels: LabelOptions = field(default_factory=LabelOptions)
    embedding: ImageEmbeddingOptions = field(default_factory=ImageEmbeddingOptions)
    pool: TablePoolOptions = field(default_factory=TablePoolOptions)

    def __post_init__(self) -> None:
        at_least(self, 1, "population", where="model.")
        at_least(self, 0, "copies", where="model.")
        if not isinstance(self.api, str) and not isinstance(getattr(self.api, "modality", None), str):
            raise ConfigError(f"model.api={self.api!r:.40}: choose auto, {', '.join(NAMES)}, or give a PEApi")
        if isinstance(self.api, str) and self.api not in ("auto", *NAMES):
            raise ConfigError(f"model.api={self.api}: choose auto, {', '.join(NAMES)}")
        if self.api in NAMES and (self.api in PORTABLE) != (self.source is None):
            raise ConfigError(
                f"model.source={self.source}: pool and generator need public images, diffusion a local pipeline"
            )
        if isinstance(proposal_recipe(self.proposal.model), PE):
            raise ConfigError("model.proposal.model: pe does not propose to itself; choose another model of tables")

    def _plan(self, domain: Domain | ImageDomain, budget: Budget, before: Sequence[Charge]) -> EvolutionPlan:
        terms, classes, proposal_model = self.terms(domain), None, None
        iterations, rows = terms.timetable.iterations, domain.rows or UNKNOWN_ROWS

        def votes(noise: float, releases: int = iterations) -> NearestVotes:
            return NearestVotes(
                name=VOTES, neighbours=budget.neighbours, releases=releases, noise_multiplier=noise,
                nearest=self.evolution.nearest, provenance=terms.provenance,
            )  # fmt: skip

        if terms.proposal_model is not None:
            # Of what is left, the votes take their part, as costs add up; the proposal model is calibrated to the rest.
            whole = calibrate(lambda z: (*before, votes(z, 1)), budget)
            rule = votes(whole * math.sqrt(iterations / (1 - self.proposal.fraction)))
            proposal_model = terms.proposal_model.plan_part(domain, budget, (*before, rule))
        else:
            if terms.prior == "private":
                classes = NoisyMarginals.at_fraction(CLASSES, 1, budget, self.labels.budget_fraction)
            fixed = (*before, *((classes,) if classes else ()))
            rule = votes(calibrate(lambda z: (*fixed, votes(z)), budget))
        members = self.members(rows, rule.deviation)
        pool = self.proposal.rows + self.pool.variants if isinstance(domain, Domain) else 0
        memory = 4 * terms.dimensions * (rows + 8 * members + pool) + (1 << 26)
        return EvolutionPlan(
            terms=terms, proposal_model=proposal_model, classes=classes, votes=rule, members=members,
            vote_noise=rule.deviation,
            provenance=terms.provenance, memory_bytes=memory,
        )  # fmt: skip

    def terms(self, domain: Domain | ImageDomain) -> Terms:
        """What `domain` makes of the recipe; `ConfigError` where the two do not fit."""
        table = isinstance(domain, Domain)
        wanted = self.evolution
        if not isinstance(self.api, str) and self.api.modality != ("table" if table else "image"):
            raise ConfigError(f"model.api: makes {self.api.modality}s, which the data are not")
        if table:
            if self.api in NAMES:
                raise ConfigError(f"model.api={self.api}: makes images; tables have api=auto")
            view, proposal_model = TableView(domain), proposal_recipe(self.proposal.model)
            labels, dimensions = view.groups, int(view.sizes.sum())
            phases = wanted.phases if wanted.phases is not None else (REWEIGHTED if proposal_model else TAB_PE)
            timetable = Timetable.of(phases, wanted.degrees or Degrees())
            provenance = "none" if isinstance(self.api, str) else str(self.api.provenance)
        else:
            labels, proposal_model = max(len(domain.classes), 1), None
            dimensions = domain.channels * self.embedding.size**2
            phases = IMAGES if wanted.phases is None else wanted.phases
            timetable = Timetable.of(phases, wanted.degrees or IMAGE_DEGREES)
            name = "glyphs" if self.api == "auto" else self.api
            provenance = str(provenance_of(name, self.source) if isinstance(name, str) else name.provenance)
        prior = self.labels.prior or ("private" if table else "uniform")
        given = self.labels.fractions or ()
        if prior == "public" and len(given) != labels:
            raise ConfigError(f"model.labels.fractions: {len(given)} fractions for {labels} classes")
        lookahead = wanted.lookahead if wanted.lookahead is not None else (0 if table else IMAGE_LOOKAHEAD)
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
                self.proposal.rows, seed=_seed(run, "proposed rows")
            )
            proposal = view.batch(proposed.frame)
        fractions = self._fractions(terms, private.labels, rows, proposal, plan, ledger)
        api = TablePerturbation(view, proposal, self.pool.crossover) if isinstance(self.api, str) else self.api
        evolution = self._evolution(api, view.points, terms, rows, fractions, plan)
        points = Points(view.points(private), private.labels)
        population, vote_histograms = self._run(evolution, points, rows, plan, ledger, run)
        pool = TablePool.of(
            view,
            api,
            population,
            fractions,
            proposal,
            self.pool.variants,
            self.pool.degree,
            run.randomness.numpy("pool"),
        )
        weighted, known = pool.weighted(vote_histograms, rows, plan.votes.deviation, self.evolution.nearest, fractions)
        fractions = known if terms.prior == "private" else fractions
        degree = terms.timetable.degrees.last
        return EvolvedTable(
            table.domain, weighted, fractions, degree, self.pool.crossover, proposal is not None, terms.provenance
        )

    def _fit_images(self, images: Images, rows: int, plan: EvolutionPlan, ledger: Ledger, run: FitRun) -> EvolvedImages:
        terms, domain = plan.terms, images.domain
        points = ImagePoints(domain, self.embedding.kind, self.embedding.size, self.embedding.inception)
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
                "fewer iterations (model.evolution.phases) or a larger epsilon would help",
                per_member,
                noise,
            )

    def _evolution(
        self, api: PEApi, embedding: Embedding, terms: Terms, rows: int, fractions: np.ndarray, plan: EvolutionPlan
    ) -> Evolution:
        noise = plan.votes.deviation
        sizes = apportioned(self.members(rows, noise), fractions, LEAST)
        return Evolution(api, embedding, terms.timetable, sizes, self.evolution.threshold * noise, terms.lookahead)

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
            given = np.array(self.labels.fractions, dtype=np.float64)
            return given / given.sum()
        if proposal is not None:
            counts = np.bincount(proposal.labels, minlength=terms.labels).astype(np.float64)
        else:
            assert plan.classes is not None, "planned for private classes"
            exact = exact_counts(labels[:, None], [(0,)], (terms.labels,))
            counts = nearest_counts(plan.classes.measure(exact, ledger)[0], rows)
        return counts / counts.sum()


def _seed(run: FitRun, name: str) -> int:
    return int(run.randomness.numpy(name).integers(2**31))
