"""pe: Private Evolution, for tables and images (Lin et al. 2023, arXiv 2305.15560; Tab-PE 2026, arXiv 2606.08259).

    1  optionally a model of marginals, fitted with part of the budget, proposes rows (tables)
    2  an API that knows nothing of the private rows makes a population; a table's API perturbs rows, an image's API
       simulates them or uses declared public data (`dpsynth.evolution`)
    3  in every iteration each private row votes for the nearest candidate of its class; the votes leave with noise
    4  candidates with votes become parents, their variations the next candidates
    5  the population is what the last vote left; more rows than it holds are variations of its members, free of cost

Guarantee. The private rows are touched by step 3: T Gaussian releases of one histogram over all classes, in which a row
has a vote vector of L2 norm at most 1; sensitivity 1 under add_remove, sqrt(2) under replace_one, also when the class
changes (`privacy/nearest_votes.py` derives both). Their noise is calibrated exactly, together with what step 1 and the
shares of the classes cost, if they are bought. Sizes, schedules and thresholds follow from public settings and from
released numbers. The API is handed released batches only.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Literal, NamedTuple, get_args

import numpy as np

from dpsynth.data.domain import Domain
from dpsynth.data.image_domain import ImageDomain
from dpsynth.data.images import Images
from dpsynth.data.table import Table
from dpsynth.errors import ConfigError
from dpsynth.evolution.api import PEApi
from dpsynth.evolution.batch import Batch
from dpsynth.evolution.generations import Ballot, Embedding, Evolution, Population, Watch
from dpsynth.evolution.image_apis import NAMES, PORTABLE, image_api, provenance_of
from dpsynth.evolution.image_points import ImagePoints, Kind
from dpsynth.evolution.schedule import Degrees, Phase, Timetable
from dpsynth.evolution.selection import whole_shares
from dpsynth.evolution.table_perturbation import TablePerturbation
from dpsynth.evolution.table_view import TableView
from dpsynth.models.evolved_images import EvolvedImages, History
from dpsynth.models.evolved_table import EvolvedTable
from dpsynth.models.fitted import Fitted
from dpsynth.models.seeds import seed_recipe
from dpsynth.models.synthesizer import OwnPlan, Rows, Run, Synthesizer
from dpsynth.models.table_pool import TablePool
from dpsynth.privacy.budget import Budget
from dpsynth.privacy.calibration import calibrate
from dpsynth.privacy.ledger import Charge, Ledger
from dpsynth.privacy.marginals import NoisyMarginals, nearest_counts
from dpsynth.privacy.nearest_votes import NearestVotes, Points
from dpsynth.training import Quiet, resolve_device
from dpsynth.training.device import processor_threads

VOTES, CLASSES = "nearest-neighbour votes", "shares of the classes"
UNKNOWN_ROWS = 30_000  # stands for the number of rows when none is declared
LEAST, MOST = 4, 10_000  # members of a class; of a population
TAB_PE = (Phase(5, "sample"), Phase(9, "rank", variations=3, keep=True))
SEEDED = (Phase(2, "sample"),)  # rows that a seed model proposes need little more than to be weighted
IMAGES = (Phase(4, "sample"),)
IMAGE_DEGREES, IMAGE_LOOKAHEAD = Degrees(0.5, 0.1, 1.0), 4

LabelPrior = Literal["uniform", "public", "private"]
log = logging.getLogger(__name__)


class _Kind(NamedTuple):
    """What a domain makes of the recipe, public. labels: classes of the histogram, 1 where there are none."""

    labels: int
    prior: LabelPrior
    timetable: Timetable
    lookahead: int
    provenance: str
    seed: Synthesizer | None
    dimensions: int


@dataclass(frozen=True)
class PE(Synthesizer):
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
        if isinstance(self.api, str) and self.api not in ("auto", *NAMES):
            raise ConfigError(f"model.api={self.api}: choose auto, {', '.join(NAMES)}")
        if self.api in NAMES and (self.api in PORTABLE) != (self.source is None):
            raise ConfigError(
                f"model.source={self.source}: pool and generator need public images, diffusion a local pipeline"
            )
        seed_recipe(self.seed_model)  # refuses what is none

    def _plan(self, domain: Domain | ImageDomain, budget: Budget, before: Sequence[Charge]) -> OwnPlan:
        kind = self._kind(domain)
        iterations, bought = kind.timetable.iterations, ()
        settings: dict[str, Any] = {"provenance": kind.provenance}
        if kind.seed is not None:
            # Of what is left, the votes take their share, as rho adds up; the seed model is calibrated to the rest.
            whole = calibrate(lambda z: (*before, self._votes(1, z).charge()), budget)
            noise = whole * math.sqrt(iterations / (1 - self.seed_share))
            own = kind.seed._plan(domain, budget, (*before, self._votes(iterations, noise).charge()))
            bought, settings = own.charges, {**settings, "seed": type(kind.seed).__name__, **own.settings}
        else:
            if kind.prior == "private":
                classes = NoisyMarginals.at_share(CLASSES, ((0,),), (kind.labels,), budget, self.label_share)
                bought, settings["class noise"] = (classes.charge(budget),), classes.sigma
            fixed = (*before, *bought)
            noise = calibrate(lambda z: (*fixed, self._votes(iterations, z).charge()), budget)
        votes, rows = self._votes(iterations, noise), domain.rows or UNKNOWN_ROWS
        members = self._members(rows, votes.noise(budget))
        detail = {"noise of a vote": votes.noise(budget), "members": members, "provenance": kind.provenance}
        pool = self.proposals + self.variants if isinstance(domain, Domain) else 0
        memory = 4 * kind.dimensions * (rows + 8 * members + pool) + (1 << 26)
        return OwnPlan((*bought, votes.charge(detail)), {**settings, "vote noise": noise, "members": members}, memory)

    def _fit(self, table: Table | Images, rows: int, ledger: Ledger, run: Run) -> Fitted:
        kind = self._kind(table.domain)
        with processor_threads(run.settings.threads):
            if isinstance(table, Images):
                return self._fit_images(table, kind, rows, ledger, run)
            return self._fit_table(table, kind, rows, ledger, run)

    def _fit_table(self, table: Table, kind: _Kind, rows: int, ledger: Ledger, run: Run) -> EvolvedTable:
        view, proposal = TableView(table.domain), None
        private = view.batch(table.frame)
        if kind.seed is not None:
            proposed = kind.seed._fit(table, rows, ledger, run).sample(self.proposals, seed=_seed(run, "proposed rows"))
            proposal = view.batch(proposed.frame)
        shares = self._shares(kind, private.labels, rows, proposal, ledger, run)
        api = TablePerturbation(view, proposal, self.crossover) if isinstance(self.api, str) else self.api
        evolution = self._evolution(api, view.points, kind, rows, shares, ledger)
        population, ballots = self._run(evolution, Points(view.points(private), private.labels), rows, ledger, run)
        noise = self._noise(kind, ledger)
        pool = TablePool.of(
            view, api, population, shares, proposal, self.variants, self.spread, run.streams.numpy("pool")
        )
        weighted, known = pool.weighted(ballots, rows, noise, self.nearest, shares)
        shares = known if kind.prior == "private" else shares
        degree = kind.timetable.degrees.last
        return EvolvedTable(
            table.domain, weighted, shares, degree, self.crossover, proposal is not None, kind.provenance
        )

    def _fit_images(self, images: Images, kind: _Kind, rows: int, ledger: Ledger, run: Run) -> EvolvedImages:
        domain, points = images.domain, ImagePoints(images.domain, self.embedding, self.size, self.inception)
        labels = np.zeros(len(images), dtype=np.int64) if images.labels is None else images.labels
        shares = self._shares(kind, labels, rows, None, ledger, run)
        name = "glyphs" if self.api == "auto" else self.api
        api = image_api(name, domain, self.source, points) if isinstance(name, str) else name
        evolution = self._evolution(api, lambda batch: points(batch.genes["pixels"]), kind, rows, shares, ledger)
        history = History(kind.labels, domain)
        population, _ = self._run(evolution, Points(points(images.pixels), labels), rows, ledger, run, history.add)
        degree = kind.timetable.degrees.last
        if not api.portable:
            population = population.enlarged(api, self.copies, degree, run.streams.numpy("enlargement"))
        kept = name if name in PORTABLE else None
        return EvolvedImages(domain, population, shares, kept, degree, kind.provenance, history.pictures)

    def _run(
        self, evolution: Evolution, private: Points, rows: int, ledger: Ledger, run: Run, watch: Watch | None = None
    ) -> tuple[Population, list[Ballot]]:
        """The evolution under the votes of `private`, which go nowhere but into the mechanism."""
        plan, device = ledger.plan, resolve_device(run.settings.device)
        votes = self._votes(evolution.timetable.iterations, plan.settings["vote noise"])
        noise, listener = votes.noise(plan.budget), run.progress or Quiet()
        self._report(evolution, noise, rows, plan.budget)

        def vote(points: np.ndarray, labels: np.ndarray, step: int) -> np.ndarray:
            noisy = votes.release(private, Points(points, labels), ledger, run.streams.privacy, step, device)
            listener.update(step + 1, {"noise_to_signal": noise * len(labels) / rows})
            return noisy

        listener.start("evolution", 0, votes.iterations)
        try:
            return evolution.run(vote, run.streams.numpy("evolution"), watch)
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
        self, api: PEApi, embedding: Embedding, kind: _Kind, rows: int, shares: np.ndarray, ledger: Ledger
    ) -> Evolution:
        noise = self._noise(kind, ledger)
        sizes = whole_shares(self._members(rows, noise), shares, LEAST)
        return Evolution(api, embedding, kind.timetable, sizes, self.threshold * noise, kind.lookahead)

    def _shares(
        self, kind: _Kind, labels: np.ndarray, rows: int, proposal: Batch | None, ledger: Ledger, run: Run
    ) -> np.ndarray:
        """(labels,) float64 shares of the classes: public, or released. `labels` is private."""
        if kind.prior == "uniform":
            return np.full(kind.labels, 1 / kind.labels)
        if kind.prior == "public":
            assert self.label_shares is not None
            return np.array(self.label_shares, dtype=np.float64) / sum(self.label_shares)
        if proposal is not None:
            counts = np.bincount(proposal.labels, minlength=kind.labels).astype(np.float64)
        else:
            marginal = NoisyMarginals(CLASSES, ((0,),), (kind.labels,), ledger.plan.settings["class noise"])
            counts = nearest_counts(marginal.measure(labels[:, None], ledger, run.streams.privacy)[0], rows)
        return counts / counts.sum()

    def _kind(self, domain: Domain | ImageDomain) -> _Kind:
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
        return _Kind(labels, prior, timetable, lookahead, provenance, seed, dimensions)

    def _noise(self, kind: _Kind, ledger: Ledger) -> float:
        """Standard deviation of the noise on a member's votes."""
        plan = ledger.plan
        return self._votes(kind.timetable.iterations, plan.settings["vote noise"]).noise(plan.budget)

    def _votes(self, iterations: int, noise: float) -> NearestVotes:
        return NearestVotes(VOTES, iterations, noise, self.nearest)

    def _members(self, rows: int, noise: float) -> int:
        """Members of the population: few enough that on average each gets twice as many votes as their noise."""
        wanted = self.population or (rows / (2 * noise) if noise else rows)
        return int(max(1, min(wanted, MOST)))


def _seed(run: Run, name: str) -> int:
    return int(run.streams.numpy(name).integers(2**31))
