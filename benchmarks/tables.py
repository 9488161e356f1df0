"""Methods on many tables side by side, so that nothing is tuned to one of them.

    python benchmarks/tables.py --method aim --method "maf steps=1000" --tables adult,california,pareto,xor@2000
    python benchmarks/tables.py --tables all --epsilons 0.3,1,3,10 --seeds 0,1,2 --learners all --csv scores.csv
    python benchmarks/tables.py --peers OTHER/bin/python --tables all --test --csv final.csv

Tables: `development_tables.py`. A method is a model of `dpsynth` with changes to its recipe, key=value. Peers are run
by the interpreters of --peers, as far as they have dpmm, mbi or smartnoise-synth (`table_peers.py`).

Protocol. Choices are made on validation parts: without --test the test parts are not read. With --test methods are
fitted to training and validation rows together and scored on the test part: once, when everything is decided. "real
rows" are the training rows themselves, scored like a synthetic table: fresh rows of the same distribution.

Scores, against the held-out part:
    tv1..3          mean total variation of all 1- and 2-way and 200 3-way marginals, 32 equal-width bins of the bounds
    mass1..3        the same in cells that hold equally many held-out rows
    ks, w1          mean over numeric columns: Kolmogorov-Smirnov statistic, Wasserstein distance (declared range = 1)
    c2st            area under the ROC curve of boosting that tells synthetic from real rows
    auc, r2         of the label, fitted to synthetic and tested on real rows: mean over the learners of --learners
    sra             agreement of the ranking of six learners (--learners all)
    seconds, MB     of the fit, and the memory it took at its peak, in a process of its own
"""

from __future__ import annotations

import argparse
import csv
import os
import sys
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import yaml
from development_tables import MADE, PUBLIC, Parts, parts
from rich.console import Console
from rich.table import Table as Shown
from table_peers import offered, peak_megabytes, run_peer
from threadpoolctl import threadpool_limits

import dpsynth.models
from dpsynth import Budget
from dpsynth.data import Table
from dpsynth.data.columns import Category
from dpsynth.data.table.domain import Domain
from dpsynth.errors import DataError, DpsynthError
from dpsynth.metrics.framework.metric import Metric, Reference
from dpsynth.metrics.framework.sample import Sample
from dpsynth.metrics.table.columns import Columns
from dpsynth.metrics.table.equal_mass import EqualMass
from dpsynth.metrics.table.learners import LEARNERS
from dpsynth.metrics.table.marginals import Marginals
from dpsynth.metrics.table.propensity import TwoSample
from dpsynth.metrics.table.utility import Ranking, Utility
from dpsynth.privacy import RandomGenerators

SHOWN = {
    **{f"tv_{k}way": f"tv{k}" for k in (1, 2, 3)},
    **{f"tv_{k}way_equal_mass": f"mass{k}" for k in (1, 2, 3)},
    "ks": "ks",
    "wasserstein": "w1",
    "c2st_auc": "c2st",
    "auc": "auc",
    "r2": "r2",
    "sra": "sra",
    "seconds": "seconds",
    "megabytes": "MB",
}
REAL = "real rows"
KINDS = {name.lower(): getattr(dpsynth.models, name) for name in dpsynth.models.__all__}
Row = dict[str, Any]


@dataclass(frozen=True)
class Method:
    """A way to get synthetic rows: a recipe, or a peer and the interpreter that has it."""

    name: str
    recipe: dpsynth.models.Synthesizer | None = None
    python: str = ""

    @classmethod
    def of(cls, words: str) -> Method:
        """From "model key=value ..."."""
        model, *changes = words.split()
        if model not in KINDS:
            raise SystemExit(f"--method {words!r}: no model {model!r}; there are {', '.join(sorted(KINDS))}")
        fields = {key: yaml.safe_load(value) for key, _, value in (word.partition("=") for word in changes)}
        return cls(words, KINDS[model](**fields))

    def rows(self, train: Table, budget: Budget, seed: int) -> tuple[pd.DataFrame, float, float]:
        """(as many synthetic rows, seconds of the fit, megabytes at the peak)."""
        if self.recipe is None:
            return run_peer(self.python, self.name, train, budget.epsilon, budget.delta, seed)
        with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
            return pool.submit(_fit, self.recipe, train, budget, seed).result()


def _fit(
    recipe: dpsynth.models.Synthesizer, train: Table, budget: Budget, seed: int
) -> tuple[pd.DataFrame, float, float]:
    begun = time.perf_counter()
    fitted = recipe.fit(train, budget, RandomGenerators(seed))
    seconds = time.perf_counter() - begun
    frame = fitted.sample(len(train), seed=seed).frame
    return frame, seconds, peak_megabytes()


class Scorer:
    """Scores of tables against the held-out part of one table."""

    def __init__(self, of: Parts, learners: Sequence[str], triples: int = 200) -> None:
        counts = {1: None, 2: None, 3: triples}
        self.parts, self.learners = of, tuple(learners)
        # Files are sorted, by price for example, and some scores look at the first rows of a part only.
        self.held, self.train = (self._samples(p.frame.sample(frac=1, random_state=0)) for p in (of.held, of.train))
        self.general: list[Metric] = [Marginals(counts), EqualMass(counts), Columns(), TwoSample()]
        self.labelled: list[Metric] = [Utility(self.learners)] if of.train.domain.label else []
        self.ranked: list[Metric] = [Ranking()] if of.train.domain.label and set(learners) == set(LEARNERS) else []

    def real(self) -> Row:
        """What the training rows score: fresh rows of the same distribution."""
        plain, labelled = self.train
        half = len(plain) // 2
        found = self._scores(self.general, plain, Reference(self.held[0]))
        found |= self._scores(self.labelled, labelled, Reference(self.held[1]))
        # the ranking looks at training rows too, so these are another half
        first, second = labelled.rows(np.arange(half)), labelled.rows(np.arange(half, len(labelled)))
        return self._named(found | self._scores(self.ranked, first, Reference(self.held[1], second)))

    def __call__(self, synthetic: pd.DataFrame) -> Row:
        plain, labelled = self._samples(synthetic)
        found = self._scores(self.general, plain, Reference(self.held[0]))
        found |= self._scores([*self.labelled, *self.ranked], labelled, Reference(self.held[1], self.train[1]))
        return self._named(found)

    def _scores(self, metrics: Sequence[Metric], evaluated: Sample, reference: Reference) -> Row:
        with threadpool_limits(1):
            found = [score for metric in metrics for score in metric.measure(evaluated, reference)]
        return {score.name: score.value for score in found if score.value is not None}

    def _named(self, found: Row) -> Row:
        """The scores that are shown; areas and R2 are means over the learners, and those of each stand behind."""
        for kind in ("auc", "r2"):
            each = [found[f"{name}_{kind}"] for name in self.learners if f"{name}_{kind}" in found]
            if each:
                found[kind] = float(np.mean(each))
        kept = {*SHOWN, *(f"{name}_{kind}" for name in self.learners for kind in ("auc", "r2"))}
        return {name: value for name, value in found.items() if name in kept}

    def _samples(self, frame: pd.DataFrame) -> tuple[Sample, Sample]:
        """The table, and the table with its label as it is scored."""
        domain, threshold = self.parts.train.domain, self.parts.threshold
        frame = frame.reset_index(drop=True)
        plain = Sample(frame, domain)
        if threshold is None or domain.label is None:
            return plain, plain
        column = Category(domain.label, ("below", "above"), label=True)
        columns = tuple(column if each.name == column.name else each for each in domain.columns)
        above = np.where(frame[column.name].to_numpy(dtype=float) >= threshold, "above", "below")
        return plain, Sample(frame.assign(**{column.name: above}), Domain(columns))


def results(wanted: argparse.Namespace, methods: Sequence[Method]) -> Iterator[Row]:
    """One row for each table, method, epsilon and seed; a table or method that does not work is said and skipped."""
    for name in wanted.tables:
        try:
            of = parts(name, wanted.data, wanted.rows, wanted.test)
        except DataError as error:
            print(f"skipped: table {name}: {error}", file=sys.stderr)
            continue
        scorer = Scorer(of, wanted.learners)
        facts = {"table": name, "part": "test" if wanted.test else "validation", "rows": len(of.train)}
        yield {**facts, "method": REAL, "epsilon": "", "seed": 0, **scorer.real()}
        for epsilon in wanted.epsilons:
            for method in methods:
                for seed in wanted.seeds:
                    case = {**facts, "method": method.name, "epsilon": epsilon, "seed": seed}
                    try:
                        made, seconds, megabytes = method.rows(of.train, Budget(epsilon, wanted.delta), seed)
                        yield case | scorer(made) | {"seconds": seconds, "megabytes": megabytes}
                    except (DpsynthError, RuntimeError, ValueError) as error:
                        said = " ".join(str(error).split())[:300]
                        print(f"skipped: {method.name} on {name} at epsilon {epsilon:g}: {said}", file=sys.stderr)
                        break


def show(rows: Sequence[Row], part: str) -> None:
    """A section for each table: means over seeds, and their standard deviations where there are several."""
    names = [name for name in SHOWN if any(name in row for row in rows)]
    title = f"scores on the {part} parts, mean (sd) over seeds; real rows: what fresh rows score"
    shown = Shown("table", "epsilon", "method", *(SHOWN[name] for name in names), title=title)
    for table in dict.fromkeys(row["table"] for row in rows):
        first = True
        mine = [row for row in rows if row["table"] == table]
        for epsilon, method in dict.fromkeys((row["epsilon"], row["method"]) for row in mine):
            same = [row for row in mine if (row["epsilon"], row["method"]) == (epsilon, method)]
            cells = [_cell([row[name] for row in same if name in row], name) for name in names]
            label = f"{table}\n{same[0]['rows']:,} rows" if first else ""
            shown.add_row(label, f"{epsilon:g}" if epsilon else "", method, *cells)
            first = False
        shown.add_section()
    Console(width=max(Console().width, 190)).print(shown)


def _cell(values: Sequence[float], name: str) -> str:
    if not values:
        return ""
    digits = {"seconds": 1, "megabytes": 0}.get(name, 4 if name in ("wasserstein", "ks") else 3)
    spread = f" ({np.std(values):.{digits}f})" if len(values) > 1 and name not in ("seconds", "megabytes") else ""
    return f"{np.mean(values):.{digits}f}{spread}"


def write(path: Path, rows: Sequence[Row]) -> None:
    """All rows as CSV, one for each table, method, epsilon and seed."""
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, list(dict.fromkeys(key for row in rows for key in row)))
        writer.writeheader()
        writer.writerows(rows)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tables", default="adult,california,equations,pareto,xor", help="names, or all")
    parser.add_argument("--method", action="append", help='"model key=value ..."; several times; default: aim, maf')
    parser.add_argument("--peers", default=sys.executable, help="interpreters with peers, or none")
    parser.add_argument("--only", help="the peers to run, as dpmm-aim,mbi-mst; default: all that are found")
    parser.add_argument("--epsilons", default="1")
    parser.add_argument("--seeds", default="0")
    parser.add_argument("--delta", type=float, default=1e-5)
    parser.add_argument("--rows", type=int, default=30_000, help="most training rows of a public table")
    parser.add_argument("--learners", default="boosting", help="names of dpsynth.metrics learners, or all (and sra)")
    parser.add_argument("--data", type=Path, default=os.environ.get("DPSYNTH_BENCHMARK_DATA"))
    parser.add_argument("--test", action="store_true", help="fit to all but the test part and score on it: once")
    parser.add_argument("--csv", type=Path)
    wanted = parser.parse_args()
    wanted.data = None if wanted.data is None else Path(wanted.data)
    wanted.tables = [*PUBLIC, *MADE] if wanted.tables == "all" else wanted.tables.split(",")
    wanted.learners = list(LEARNERS) if wanted.learners == "all" else wanted.learners.split(",")
    wanted.epsilons, wanted.seeds = ([kind(x) for x in text.split(",")] for kind, text in _lists(wanted))
    methods = [Method.of(words) for words in wanted.method or ["aim", "maf"]] + peers(wanted.peers, wanted.only)
    rows: list[Row] = []
    try:
        for row in results(wanted, methods):
            rows.append(row)
            values = " ".join(f"{SHOWN[k]}={_cell([row[k]], k)}" for k in SHOWN if k in row)
            print(f"{row['table']}: {row['method']} {row['epsilon']} seed {row['seed']}: {values}", flush=True)
            if wanted.csv:
                write(wanted.csv, rows)
    except DpsynthError as error:
        raise SystemExit(str(error)) from None
    if rows:
        show(rows, rows[0]["part"])


def _lists(wanted: argparse.Namespace) -> Iterator[tuple[type, str]]:
    yield float, wanted.epsilons
    yield int, wanted.seeds


def peers(pythons: str, only: str | None) -> list[Method]:
    """The peers that the interpreters have; one that was asked for and is nowhere is said."""
    found: dict[str, str] = {}
    for python in () if pythons == "none" else pythons.split(","):
        found = {**dict.fromkeys(offered(python), python), **found}
    asked = list(found) if only is None else only.split(",")
    for missing in (peer for peer in asked if peer not in found):
        print(f"skipped: {missing}: no interpreter of --peers has it installed", file=sys.stderr)
    if only is None and not found:
        print("no peers: dpmm, mbi and smartnoise-synth are not installed", file=sys.stderr)
    return [Method(peer, python=found[peer]) for peer in asked if peer in found]


if __name__ == "__main__":
    main()
