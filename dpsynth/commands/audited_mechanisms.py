"""The mechanisms themselves under `dpsynth audit --all`: where the audit must come close to the claim, or it is weak.

Gaussian release        one release, white box
DP-SGD step             one step in which every row stands, and one on a Poisson sample
DP-SGD, one run         canary gradients, each put in by a coin
datalens, one run       canary records that reach teachers on disjoint shards, each put in by a coin
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd

from dpsynth.commands.audited_methods import Auditor, Fit
from dpsynth.data.columns import Category
from dpsynth.data.table.domain import Domain
from dpsynth.data.table.table import Table
from dpsynth.models.datalens.options import StudentOptions, TeacherOptions
from dpsynth.models.datalens.recipe import DataLens
from dpsynth.privacy.accounting.budget import Budget
from dpsynth.privacy.audit import Claim, Finding, Guesses, WhiteBox
from dpsynth.privacy.audit.canaries import canary_run
from dpsynth.privacy.audit.reference_programs import OneRelease, SGDSteps

RATE = 0.5  # of the Poisson sample
STEPS = 4  # of the DP-SGD run with canaries
GRADIENTS, GRADIENT_GUESSES = 4000, 400
RECORDS, RECORD_GUESSES = 100, 40
TEACHERS = 1000  # so many that two canaries seldom meet in one
ONE_RUN = "every release, once"
CHEAP_RUNS, SAMPLED_RUNS = 150_000, 160_000  # at least, to come near the claim at epsilon 1
MINUTES = 5.0  # for that, at most


def mechanism_findings(auditor: Auditor) -> Iterator[Finding]:
    """All of them, at the budget of the options, under add_remove."""
    options = auditor.options
    budget = replace(options.privacy.budget(), neighbours="add_remove")
    yield gaussian_release(auditor, budget)
    yield sgd_step(auditor, budget, 1.0)
    yield sgd_step(auditor, budget, RATE)
    yield sgd_canaries(auditor, budget)
    yield datalens_canaries(auditor, budget)


def gaussian_release(auditor: Auditor, budget: Budget) -> Finding:
    """One release, with the noise that spends the whole budget."""
    program = OneRelease.spending(budget)
    attack = WhiteBox.prepared(program, program.neighbours(), seed=auditor.options.seed)
    return _more(auditor, CHEAP_RUNS).attacked("Gaussian release", "4 numbers", attack, Claim.of(program.plan))


def sgd_step(auditor: Auditor, budget: Budget, rate: float) -> Finding:
    """One step of DP-SGD on a Poisson sample, the only charge of the budget."""
    program = SGDSteps.spending(budget, rate, 1)
    noise = program.mechanism.noise_multiplier
    claim = replace(Claim.of(program.plan), mu=1.0 / noise if noise else None)
    attack = WhiteBox(program, program.neighbours(), "fixed", program.expected(), seed=auditor.options.seed)
    runs = CHEAP_RUNS if rate == 1 else SAMPLED_RUNS
    return _more(auditor, runs).attacked("DP-SGD step", f"5 rows, rate {rate:g}", attack, claim, rate)


def sgd_canaries(auditor: Auditor, budget: Budget) -> Finding:
    """One run of full batches on canary gradients."""
    program, begun = SGDSteps.spending(budget, 1.0, STEPS), time.monotonic()
    guesses = program.canary_run(GRADIENTS, GRADIENT_GUESSES, auditor.options.seed)
    claim = Claim.of(program.plan)
    return _one_run("DP-SGD, one run", f"{GRADIENTS} canary gradients", claim, guesses, auditor, begun)


@dataclass(frozen=True)
class CanaryTable:
    """Tables of canary records, each of a class of its own."""

    domain: Domain

    def __call__(self, inside: np.ndarray) -> Table:
        kinds = np.array(self.domain["kind"].values, dtype=object)[inside]  # type: ignore[attr-defined]
        frame = pd.DataFrame({"kind": kinds, "value": pd.Series(["b"] * len(kinds), dtype=object)})
        return Table(frame, self.domain)


def datalens_canaries(auditor: Auditor, budget: Budget) -> Finding:
    """One run of DataLens on canary records. A vote is paid for as if a record could turn it round, at 2 b; a record
    that comes to a teacher without rows moves it by b, so the bound stays below half of the claim's mu."""
    names = tuple(f"c{k:03d}" for k in range(RECORDS))
    domain = Domain((Category("value", ("a", "b")), Category("kind", names, label=True)), rows=RECORDS // 2)
    recipe = DataLens(
        rounds=2, queries=RECORDS, bins=2,
        teacher=TeacherOptions(count=TEACHERS, at_once=TEACHERS, hidden=4, batch=1),
        student=StudentOptions(steps=1, last_steps=1, width=8),
    )  # fmt: skip
    options, begun = auditor.options, time.monotonic()
    plan = recipe.plan(domain, budget, options.privacy.fractions())
    guesses = canary_run(Fit(recipe, plan), CanaryTable(domain), RECORDS, RECORD_GUESSES, options.seed)
    return _one_run("datalens, one run", f"{RECORDS} canary records", Claim.of(plan), guesses, auditor, begun)


def _one_run(subject: str, data: str, claim: Claim, guesses: Guesses, auditor: Auditor, begun: float) -> Finding:
    confidence = auditor.options.confidence
    epsilon = guesses.epsilon(claim.delta, confidence)
    detail: dict[str, Any] = {"canaries": guesses.canaries, "right guesses": f"{guesses.right} of {guesses.made}"}
    return Finding(
        subject, data, ONE_RUN, claim.epsilon, claim.delta, claim.mu, epsilon, None, 1, confidence,
        time.monotonic() - begun, detail,
    )  # fmt: skip


def _more(auditor: Auditor, runs: int) -> Auditor:
    """With at least so many runs, which cost little."""
    options = auditor.options
    return replace(
        auditor, options=replace(options, runs=max(options.runs, runs), minutes=max(options.minutes, MINUTES))
    )
