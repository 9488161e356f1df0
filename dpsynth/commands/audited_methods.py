"""What `dpsynth audit` attacks, one method at a time: a recipe, its plan, two neighbouring data sets, and the attacks.

Data are made up in the domain of `data=`; no file of anybody is opened. For data=csv, parquet and image_folder they are
written as files, and every run goes the whole way from the file.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from omegaconf import OmegaConf

from dpsynth.commands.neighbour_files import KINDS, FileFit, NeighbourFiles
from dpsynth.data.image.domain import ImageDomain
from dpsynth.data.image.images import Images
from dpsynth.data.table.domain import Domain
from dpsynth.data.table.table import Table
from dpsynth.models.contract.synthesizer import Fitted, SynthesisPlan, Synthesizer
from dpsynth.privacy.audit import (
    Claim,
    Finding,
    ReleaseOnly,
    WhiteBox,
    Workers,
    discriminated,
    lower_bound,
    neighbours_in,
)
from dpsynth.privacy.audit.trials import Attack
from dpsynth.privacy.ledger import Plan
from dpsynth.privacy.noise.random import RandomGenerators
from dpsynth.runs.data_options import rows_of_person
from dpsynth.runs.options import AuditOptions, recipe_of

ROWS = {"memory": 1, "table": 1000, "image_folder": 100}  # besides the one in doubt
RELEASE_ONLY_PART = 1 / 3  # of the time of a white-box attack
Progress = Callable[[str], AbstractContextManager[Callable[[int, int, str], None]]]


@dataclass(frozen=True)
class Fit:
    """The program of a method on rows in memory."""

    recipe: Synthesizer
    plan: SynthesisPlan

    def __call__(self, data: Any, randomness: RandomGenerators) -> Fitted:
        return self.recipe.fit(data, self.plan, randomness)


@dataclass(frozen=True)
class Auditor:
    """How audits are made: options, processes, and how to show progress."""

    options: AuditOptions
    workers: Workers
    progress: Progress

    def attacked(
        self, subject: str, data: str, attack: Attack, claim: Claim, rate: float = 1.0, minutes: float | None = None
    ) -> Finding:
        """The finding of an attack whose trials give a score, or vectors of which scores are to be learned.

        rate: of the Poisson sample on which the one release that is claimed is made.
        """
        options, begun = self.options, time.monotonic()
        sees = str(getattr(attack, "sees", "scores"))
        title = f"{subject}, {data}: {sees}"
        with self.progress(title) as described:
            scores = self.workers.collect(
                attack, options.runs, minutes or options.minutes, lambda done, total: described(done, total, "runs")
            )
        made = sum(len(side) for side in scores)
        learning = {}
        if scores[0].ndim == 2:
            scores = discriminated(*scores)
            learning = {"learned from": made - sum(len(side) for side in scores)}
        target = "epsilon" if claim.mu is None else "mu"
        bound = lower_bound(*scores, claim.delta, target=target, rate=rate, confidence=options.confidence)
        detail = {**learning, **({"view": attack.view} if isinstance(attack, WhiteBox) else {})}
        return Finding.of(subject, data, sees, claim, bound, time.monotonic() - begun, **detail)

    def in_memory(self, name: str, recipe: Synthesizer, domain: Domain | ImageDomain, data: str) -> list[Finding]:
        """A method on two tables, or sets of images, that a domain makes easiest to tell apart."""
        options = self.options
        budget = options.privacy.budget()
        pair = neighbours_in(domain, options.rows or ROWS["memory"], budget.neighbours)
        plan = recipe.plan(pair.domain, budget, options.privacy.fractions())
        return self._attacks(name, data, Fit(recipe, plan), pair.data, pair.record, plan)

    def from_files(self, name: str, recipe: Synthesizer, data: Mapping[str, Any], folder: Path) -> list[Finding]:
        """A method on two files, or folders, of which one has a first row, image or person more."""
        options, kind = self.options, str(data["name"])
        budget = options.privacy.budget(rows_of_person(data, options.privacy.neighbours))
        rows = options.rows or ROWS.get(kind, ROWS["table"])
        files = NeighbourFiles.written(data, rows, budget, folder)
        plan = recipe.plan(files.domain, budget, options.privacy.fractions())
        program = FileFit(recipe, plan, files.domain, options.privacy.fractions())
        first_of = files.rows if budget.neighbours == "add_remove" else None
        return self._attacks(name, described(data), program, files.options, files.record, plan, first_of)

    def _attacks(
        self,
        name: str,
        words: str,
        program: Any,
        data: tuple[Any, Any],
        record: Table | Images,
        plan: Plan,
        first_of: int | None = None,
    ) -> list[Finding]:
        """The findings of every attack that was asked for. first_of: most rows, where the record comes first."""
        options, claim = self.options, Claim.of(plan)
        findings: list[Finding] = []
        if "white_box" in options.attacks:
            attack = WhiteBox.prepared(
                program, data, secret_batches=claim.secret_batches, first_of=first_of, seed=options.seed
            )
            findings.append(self.attacked(name, words, attack, claim))
        if "release_only" in options.attacks:
            seen = ReleaseOnly.prepared(program, data, record, seed=options.seed)
            findings.append(self.attacked(name, words, seen, claim, minutes=options.minutes * RELEASE_ONLY_PART))
        return findings


def from_files(data: Mapping[str, Any]) -> bool:
    """Whether the audit of such data starts at files."""
    return str(data.get("name")) in KINDS


def described(data: Mapping[str, Any]) -> str:
    """Short words for data that stand in files."""
    described = {key: data[key] for key in ("holdout", "n_train", "person", "max_rows_per_person") if data.get(key)}
    return " ".join([str(data["name"]), *(f"{key}={value}" for key, value in described.items())])


def recipe_for(
    model: Mapping[str, Any], name: str, modality: str, options: AuditOptions, chosen: frozenset[str] = frozenset()
) -> Synthesizer:
    """The recipe of a model, with the settings that only cost time lowered.

    chosen: options of the model that the user set, with the path of their group; they stay as they are.
    """
    lowered = options.settings.get(modality, {}).get(name, {}) if options.small else {}
    kept = _without(lowered, chosen)
    merged: Any = OmegaConf.to_container(OmegaConf.merge(OmegaConf.create(dict(model)), OmegaConf.create(kept)))
    return recipe_of(merged)


def _without(options: Mapping[str, Any], chosen: frozenset[str], path: str = "") -> dict[str, Any]:
    """`options` without those that are chosen, alone or with their whole group."""
    return {
        key: _without(value, chosen, f"{path}{key}.") if isinstance(value, Mapping) else value
        for key, value in options.items()
        if f"{path}{key}" not in chosen
    }
