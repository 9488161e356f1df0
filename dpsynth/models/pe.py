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
from dataclasses import dataclass

import numpy as np

from dpsynth.data.images import Images
from dpsynth.data.table import Table
from dpsynth.evolution.api import PEApi
from dpsynth.evolution.batch import Batch
from dpsynth.evolution.generations import Ballot, Embedding, Evolution, Population, Watch
from dpsynth.evolution.image_apis import PORTABLE, image_api
from dpsynth.evolution.image_points import ImagePoints
from dpsynth.evolution.selection import whole_shares
from dpsynth.evolution.table_perturbation import TablePerturbation
from dpsynth.evolution.table_view import TableView
from dpsynth.models.evolved_images import EvolvedImages, History
from dpsynth.models.evolved_table import EvolvedTable
from dpsynth.models.fitted import Fitted
from dpsynth.models.planned_evolution import LEAST, EvolutionPlan, PlannedEvolution, Terms
from dpsynth.models.synthesizer import Run
from dpsynth.models.table_pool import TablePool
from dpsynth.privacy.budget import Budget
from dpsynth.privacy.ledger import Ledger
from dpsynth.privacy.marginals import exact_counts, nearest_counts
from dpsynth.privacy.nearest_votes import Points
from dpsynth.training import Public, Quiet, resolve_device
from dpsynth.training.device import processor_threads

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class PE(PlannedEvolution):
    """The recipe, whose fields `PlannedEvolution` explains, and its run."""

    def _fit(self, table: Table | Images, rows: int, plan: EvolutionPlan, ledger: Ledger, run: Run) -> Fitted:
        with processor_threads(run.settings.threads):
            if isinstance(table, Images):
                return self._fit_images(table, rows, plan, ledger, run)
            return self._fit_table(table, rows, plan, ledger, run)

    def _fit_table(self, table: Table, rows: int, plan: EvolutionPlan, ledger: Ledger, run: Run) -> EvolvedTable:
        terms, view, proposal = self.terms(table.domain), TableView(table.domain), None
        private = view.batch(table.frame)
        if terms.seed is not None and plan.seed is not None:
            proposed = terms.seed.fit_part(table, rows, plan.seed, ledger, run).sample(
                self.proposals, seed=_seed(run, "proposed rows")
            )
            proposal = view.batch(proposed.frame)
        shares = self._shares(terms, private.labels, rows, proposal, plan, ledger)
        api = TablePerturbation(view, proposal, self.crossover) if isinstance(self.api, str) else self.api
        evolution = self._evolution(api, view.points, terms, rows, shares, plan)
        points = Points(view.points(private), private.labels)
        population, ballots = self._run(evolution, points, rows, plan, ledger, run)
        pool = TablePool.of(
            view, api, population, shares, proposal, self.variants, self.spread, run.streams.numpy("pool")
        )
        weighted, known = pool.weighted(ballots, rows, plan.votes.deviation, self.nearest, shares)
        shares = known if terms.prior == "private" else shares
        degree = terms.timetable.degrees.last
        return EvolvedTable(
            table.domain, weighted, shares, degree, self.crossover, proposal is not None, terms.provenance
        )

    def _fit_images(self, images: Images, rows: int, plan: EvolutionPlan, ledger: Ledger, run: Run) -> EvolvedImages:
        terms, domain = plan.terms, images.domain
        points = ImagePoints(domain, self.embedding, self.size, self.inception)
        labels = np.zeros(len(images), dtype=np.int64) if images.labels is None else images.labels
        shares = self._shares(terms, labels, rows, None, plan, ledger)
        name = "glyphs" if self.api == "auto" else self.api
        api = image_api(name, domain, self.source, points) if isinstance(name, str) else name
        evolution = self._evolution(api, lambda batch: points(batch.genes["pixels"]), terms, rows, shares, plan)
        history = History(terms.labels, domain)
        private = Points(points(images.pixels), labels)
        population, _ = self._run(evolution, private, rows, plan, ledger, run, history.add)
        degree = terms.timetable.degrees.last
        if not api.portable:
            population = population.enlarged(api, self.copies, degree, run.streams.numpy("enlargement"))
        kept = name if name in PORTABLE else None
        return EvolvedImages(domain, population, shares, kept, degree, terms.provenance, history.pictures)

    def _run(
        self,
        evolution: Evolution,
        private: Points,
        rows: int,
        plan: EvolutionPlan,
        ledger: Ledger,
        run: Run,
        watch: Watch | None = None,
    ) -> tuple[Population, list[Ballot]]:
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
        self, api: PEApi, embedding: Embedding, terms: Terms, rows: int, shares: np.ndarray, plan: EvolutionPlan
    ) -> Evolution:
        noise = plan.votes.deviation
        sizes = whole_shares(self.members(rows, noise), shares, LEAST)
        return Evolution(api, embedding, terms.timetable, sizes, self.threshold * noise, terms.lookahead)

    def _shares(
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
            assert self.label_shares is not None
            return np.array(self.label_shares, dtype=np.float64) / sum(self.label_shares)
        if proposal is not None:
            counts = np.bincount(proposal.labels, minlength=terms.labels).astype(np.float64)
        else:
            assert plan.classes is not None, "planned for private classes"
            exact = exact_counts(labels[:, None], [(0,)], (terms.labels,))
            counts = nearest_counts(plan.classes.measure(exact, ledger)[0], rows)
        return counts / counts.sum()


def _seed(run: Run, name: str) -> int:
    return int(run.streams.numpy(name).integers(2**31))
