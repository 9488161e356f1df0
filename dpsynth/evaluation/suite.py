"""The evaluation as a whole: which metrics run, on how many rows, against how many real samples."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

import pandas as pd

from dpsynth.data.database.database import Database
from dpsynth.data.image.images import Images
from dpsynth.data.table.domain import Domain
from dpsynth.errors import ConfigError
from dpsynth.metrics.database.aggregates import aggregated, aggregated_domain
from dpsynth.metrics.database.links import Links, rules_kept
from dpsynth.metrics.database.sample import DatabaseSample
from dpsynth.metrics.framework.comparison import Comparison, Counts, Report
from dpsynth.metrics.framework.metric import Metric, Score
from dpsynth.metrics.image.classifiers import ImageClassifier, ImageLeNet, ImageLogistic
from dpsynth.metrics.image.distances import ImageDistances, ImageSupport, ImageTwoSample
from dpsynth.metrics.image.sample import ImageSample, check_network, image_shape
from dpsynth.metrics.table.association import Association
from dpsynth.metrics.table.coefficients import Coefficients
from dpsynth.metrics.table.columns import Columns
from dpsynth.metrics.table.equal_mass import EqualMass
from dpsynth.metrics.table.learners import LEARNERS
from dpsynth.metrics.table.marginals import Divergence, Marginals
from dpsynth.metrics.table.membership import Copying, Membership
from dpsynth.metrics.table.propensity import Propensity, TwoSample
from dpsynth.metrics.table.queries import Queries
from dpsynth.metrics.table.randomisation import RandomisationRatio
from dpsynth.metrics.table.support import SupportScores
from dpsynth.metrics.table.utility import Ranking, Utility
from dpsynth.metrics.table.validity import Validity
from dpsynth.reproductions.datalens_classifier import DatalensClassifier
from dpsynth.reproductions.dpimagebench_classifiers import NETWORKS, DPImageBenchClassifiers
from dpsynth.reproductions.seed_compat import SeedCompat

# All metrics by the names that configs/metrics/*.yaml uses, in the order of the report.
FAMILIES: dict[str, Callable[[Settings], Metric]] = {
    "marginals": lambda settings: Marginals(settings.marginals, settings.seed),
    "equal_mass": lambda settings: EqualMass(settings.marginals, settings.equal_mass_cells, settings.seed),
    "divergence": lambda settings: Divergence(seed=settings.seed),
    "columns": lambda settings: Columns(),
    "association": lambda settings: Association(),
    "utility": lambda settings: Utility(settings.learners, seed=settings.seed),
    "ranking": lambda settings: Ranking(seed=settings.seed),
    "queries": lambda settings: Queries(seed=settings.seed),
    "coefficients": lambda settings: Coefficients(seed=settings.seed),
    "randomisation": lambda settings: RandomisationRatio(seed=settings.seed),
    "propensity": lambda settings: Propensity(seed=settings.seed),
    "two_sample": lambda settings: TwoSample(seed=settings.seed),
    "support": lambda settings: SupportScores(),
    "image_distances": lambda settings: ImageDistances(settings.image_features, settings.image_rows),
    "image_support": lambda settings: ImageSupport(settings.image_features, settings.image_rows),
    "image_two_sample": lambda settings: ImageTwoSample(
        settings.image_features, settings.image_rows, seed=settings.seed
    ),
    "image_logistic": lambda settings: ImageLogistic(),
    "image_classifier": lambda settings: ImageClassifier(settings.image_steps, seed=settings.seed),
    "image_lenet": lambda settings: ImageLeNet(2 * settings.image_steps, seed=settings.seed),
    "image_dpimagebench": lambda settings: DPImageBenchClassifiers(
        settings.dpimagebench_epochs, settings.dpimagebench_networks, seed=settings.seed
    ),
    "image_datalens": lambda settings: DatalensClassifier(settings.datalens_epochs, seed=settings.seed),
    "validity": lambda settings: Validity(),
    "copying": lambda settings: Copying(),
    "membership": lambda settings: Membership(),
    "seed_compat": lambda settings: SeedCompat(seed=settings.seed),
}
ON_REQUEST = ("seed_compat", "image_lenet", "image_dpimagebench", "image_datalens")  # by the protocols of other tables
ALL = tuple(name for name in FAMILIES if name not in ON_REQUEST)
IMAGE_FAMILIES = tuple(name for name in FAMILIES if name.startswith("image_"))  # of images, and of tables of pixels
OF_IMAGES = (*IMAGE_FAMILIES, "copying")  # what images can be evaluated by


@dataclass(frozen=True)
class Settings:
    """What configs/metrics/*.yaml holds.

    families            metrics to compute, names of `FAMILIES`
    bins                equal-width bins of the declared bounds wherever cells are counted
    equal_mass_cells    cells of a numeric column that hold equally many real rows, for the scores named *_equal_mass
    pairs, triples      number of 2- and 3-way marginals, None for all, 0 for none
    learners            models of the utility scores, names of `learners.LEARNERS`
    image_features      network of the image distances: random_conv, or a file with the weights of Inception
    image_rows          images of each side that the distances look at
    image_steps         training steps of the network of image_classifier; that of image_lenet takes twice as many
    dpimagebench_epochs     at most so many epochs of the networks of image_dpimagebench
    dpimagebench_networks   which of them are trained: resnet, wrn, resnext
    datalens_epochs     at most so many epochs of the classifier of image_datalens
    max_rows            limit on the rows of each table, None for no limit
    draws               synthetic tables drawn from the model, for the interval of each score
    replicates          fresh real samples for the confidence band of each cheap score
    costly_replicates   the same for scores that fit models or compute all distances
    costly_draws        draws that such scores look at
    trainings           draws, and fresh real samples, on which a network is trained; one gives no band and no interval
    threads             scores computed at the same time
    seed                of everything drawn
    """

    families: tuple[str, ...] = ALL
    bins: int = 32
    equal_mass_cells: int = 16
    pairs: int | None = None
    triples: int | None = 200
    learners: tuple[str, ...] = LEARNERS
    image_features: str = "random_conv"
    image_rows: int = 5000
    image_steps: int = 600
    dpimagebench_epochs: int = 50
    dpimagebench_networks: tuple[str, ...] = tuple(NETWORKS)
    datalens_epochs: int = 10
    max_rows: int | None = None
    draws: int = 5
    replicates: int = 20
    costly_replicates: int = 4
    costly_draws: int = 3
    trainings: int = 1
    threads: int = 2
    seed: int = 0

    def __post_init__(self) -> None:
        for name, known in (("families", FAMILIES), ("learners", LEARNERS), ("dpimagebench_networks", NETWORKS)):
            object.__setattr__(self, name, tuple(getattr(self, name)))
            for each in getattr(self, name):
                if each not in known:
                    raise ConfigError(f"metrics.{name}: {each!r} is unknown; choose from {', '.join(known)}")
        check_network(self.image_features)
        least = {
            "bins": 1,
            "equal_mass_cells": 1,
            "pairs": 0,
            "triples": 0,
            "max_rows": 1,
            "draws": 1,
            "replicates": 2,
            "seed": 0,
        }
        least |= {"costly_replicates": 2, "costly_draws": 1, "trainings": 1, "threads": 1}
        least |= {"image_rows": 2, "image_steps": 1, "datalens_epochs": 1, "dpimagebench_epochs": 1}
        for name, bound in least.items():
            number = getattr(self, name)
            if number is None and name in ("pairs", "triples", "max_rows"):
                continue
            if not isinstance(number, int) or isinstance(number, bool) or number < bound:
                raise ConfigError(f"metrics.{name}: {number!r} is not a whole number of at least {bound}")

    @classmethod
    def from_dict(cls, options: Mapping[str, Any]) -> Settings:
        """Settings from a config group; unknown keys raise ConfigError."""
        known = [item.name for item in fields(cls)]
        for key in options:
            if key not in known:
                raise ConfigError(f"metrics.{key}: unknown key; known are {', '.join(known)}")
        return cls(**options)

    @property
    def marginals(self) -> dict[int, int | None]:
        """Order -> number of marginals, None for all."""
        counts = {1: None, 2: self.pairs, 3: self.triples}
        return {order: count for order, count in counts.items() if count != 0}


def evaluate(
    train: pd.DataFrame,
    holdout: pd.DataFrame | None,
    synthetic: pd.DataFrame | Sequence[pd.DataFrame],
    domain: Domain,
    settings: Settings | None = None,
    report: Report | None = None,
) -> list[Score]:
    """All scores of a synthetic table against real holdout rows. Reads private data: the result is private.

    train       real rows the model was fitted to, for real-data baselines, baselines and traces of single rows; never
    the reference
    holdout     real rows the model has not seen. None when there are none: halves of `train` then stand in for both, a
                model that copies its rows profits from that, and metrics that need unseen rows are absent
    synthetic   rows of the model, or several tables drawn from it
    report      called with (done, in all, what was last done)
    """
    settings = settings or Settings()
    draws = [synthetic] if isinstance(synthetic, pd.DataFrame) else list(synthetic)
    comparison = Comparison.of(
        train, holdout, draws, domain, bins=settings.bins, max_rows=settings.max_rows, seed=settings.seed
    )
    asked = settings.families
    if image_shape(domain) is None:  # nothing is said on images of a table that holds none
        asked = tuple(name for name in asked if name not in IMAGE_FAMILIES) or asked
    return comparison.scores([FAMILIES[name](settings) for name in asked], _counts(settings), report)


def evaluate_images(
    train: Images,
    holdout: Images | None,
    synthetic: Images | Sequence[Images],
    settings: Settings | None = None,
    report: Report | None = None,
) -> list[Score]:
    """As `evaluate`, of images of one domain; of the families in the settings, those that evaluate images.

    Raises ConfigError when there are none.
    """
    settings = settings or Settings()
    asked = [name for name in settings.families if name in OF_IMAGES]
    if not asked:
        raise ConfigError(f"metrics.families: none of these evaluates images; choose from {', '.join(OF_IMAGES)}")
    draws = [synthetic] if isinstance(synthetic, Images) else list(synthetic)
    comparison = Comparison.between(
        ImageSample.of(train),
        None if holdout is None else ImageSample.of(holdout),
        [ImageSample.of(draw) for draw in draws],
        max_rows=settings.max_rows,
        seed=settings.seed,
    )
    return comparison.scores([FAMILIES[name](settings) for name in asked], _counts(settings), report)


def evaluate_database(
    train: Database,
    holdout: Database | None,
    synthetic: Sequence[Database],
    settings: Settings | None = None,
    report: Report | None = None,
) -> list[Score]:
    """As `evaluate`, of databases of one domain, person by person.

    Scores of how rows hang together, and of the table of persons with what their rows add up to
    (`metrics/database/aggregates.py`) those families of the settings that apply to a table. "validity" is that of the
    rules between rows.
    """
    settings = settings or Settings()
    domain = aggregated_domain(train.domain)
    unseen = None if holdout is None else aggregated(holdout)
    families = tuple(name for name in settings.families if name not in ("validity", "seed_compat"))
    tables = replace(settings, families=families)
    scores = evaluate(aggregated(train), unseen, [aggregated(each) for each in synthetic], domain, tables, report)
    comparison = Comparison.between(
        DatabaseSample.of(train, settings.bins),
        None if holdout is None else DatabaseSample.of(holdout, settings.bins),
        [DatabaseSample.of(each, settings.bins) for each in synthetic],
        max_rows=settings.max_rows,
        seed=settings.seed,
    )
    linked = comparison.scores([Links(settings.seed)], _counts(settings), report)
    kept = [rules_kept(synthetic[0])] if "validity" in settings.families else []
    return [*linked, *scores, *kept]


def _counts(settings: Settings) -> Counts:
    return Counts(
        settings.replicates,
        settings.costly_replicates,
        settings.costly_draws,
        settings.trainings,
        settings.threads,
    )
