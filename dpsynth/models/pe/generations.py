"""The loop of Private Evolution: its schedule, how parents are selected from noisy votes, and the generations.

How an evolution proceeds: phases of iterations, and how far children may stray from their parents.

Which candidates become parents, from noisy votes: post-processing of a released histogram.

The loop of Private Evolution: candidates stand somewhere, votes come in, parents are chosen, children are made.

Lin et al. 2023 (arXiv 2305.15560, Algorithm 1), with the phases of Tab-PE (arXiv 2606.08259). The one thing that looks
at private rows is the `vote` that is handed in; it takes points and returns noisy votes.

    for t = 1 .. T:
        a candidate stands at its own point, or at the mean of `lookahead` fresh variations of it
        votes -> threshold -> parents
        t < T: the next candidates are the variations of the parents, and the parents where a phase keeps them
    the population: the candidates of the last vote, weighted by it
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any, Literal, NamedTuple, Self

import numpy as np
import torch

from dpsynth.errors import ConfigError
from dpsynth.models.contract.option_groups import OptionGroup, above_zero, between
from dpsynth.models.pe.api import Batch, PEApi

Selection = Literal["sample", "rank"]


@dataclass(frozen=True)
class Phase:
    """Iterations of one kind.

    selection: sample parents in proportion to their votes, or take those that rank first. variations: children of a
    parent. keep: parents stay among the candidates.
    """

    iterations: int
    selection: Selection = "sample"
    variations: int = 1
    keep: bool = False

    def __post_init__(self) -> None:
        if self.iterations < 1:
            raise ConfigError(f"model.evolution.phases: iterations={self.iterations} must be at least 1")
        if self.selection not in ("sample", "rank"):
            raise ConfigError(f"model.evolution.phases: selection={self.selection!r} must be sample or rank")
        if self.variations < 1:
            raise ConfigError(f"model.evolution.phases: variations={self.variations} must be at least 1")

    @classmethod
    def of(cls, content: Phase | Mapping[str, Any]) -> Phase:
        """A phase from its keys; `ConfigError` for others."""
        if isinstance(content, Phase):
            return content
        return cls(**_known(cls, content, "model.evolution.phases"))

    @property
    def offspring(self) -> int:
        """Candidates of the next iteration for each parent."""
        return self.variations + int(self.keep)


@dataclass(frozen=True)
class Degrees(OptionGroup):
    """Degree of variation over the course of an evolution: first - (first - last) share^power.

    Tab-PE (arXiv 2606.08259) falls from .5 to .01 with power .2: fast at first, then fine work. The last degree is also
    that of the rows or images drawn from the finished population.
    """

    first: float = 0.5
    last: float = 0.01
    power: float = 0.2

    def __post_init__(self) -> None:
        between(self, 0, 1, "first", "last")
        above_zero(self, "power")

    @classmethod
    def of(cls, content: Degrees | Mapping[str, Any]) -> Degrees:
        """Degrees from their keys; `ConfigError` for others."""
        if isinstance(content, Degrees):
            return content
        return cls(**_known(cls, content, "model.evolution.degrees"))

    def at(self, fraction: float) -> float:
        """The degree when `fraction` of the iterations are done."""
        return self.first - (self.first - self.last) * fraction**self.power


@dataclass(frozen=True)
class Timetable:
    """All phases in their order, as one iteration after the other."""

    phases: tuple[Phase, ...]
    degrees: Degrees

    @classmethod
    def of(cls, phases: Sequence[Any], degrees: Any) -> Self:
        """From lists and mappings of a config file."""
        if not phases:
            raise ConfigError("model.evolution.phases: name at least one, such as [{iterations: 4, selection: sample}]")
        return cls(tuple(Phase.of(each) for each in phases), Degrees.of(degrees))

    @property
    def iterations(self) -> int:
        """How many histograms are released, T."""
        return sum(phase.iterations for phase in self.phases)

    def phase(self, step: int) -> Phase:
        """The phase of iteration `step`, 0 <= step < T."""
        for phase in self.phases:
            if step < phase.iterations:
                return phase
            step -= phase.iterations
        raise IndexError("beyond the last iteration")

    def degree(self, step: int) -> float:
        """How far the children of iteration `step` stray from their parents."""
        return self.degrees.at((step + 1) / self.iterations)


def _known(kind: type, content: Mapping[str, Any], where: str) -> Mapping[str, Any]:
    known = [field.name for field in fields(kind)]
    if not isinstance(content, Mapping) or not set(content) <= set(known):
        raise ConfigError(f"{where}: needs a mapping with keys among {', '.join(known)}, not {content!r}")
    return content


# -------------------- Selection -------------------------------------------------------------

FALLBACK = 4  # one in so many of the candidates stands in when no noisy vote exceeds the threshold


def weights(noisy: np.ndarray, labels: np.ndarray, threshold: float) -> np.ndarray:
    """(m,) float64 max(votes - threshold, 0), adding up to 1 within each label.

    noisy: (m,) float64 votes, may be negative. threshold: in votes. Where no vote of a label exceeds the threshold,
    its best quarter shares evenly: nothing is divided by zero, and nothing depends on more than was released.
    """
    fractions = np.zeros(len(noisy))
    for label in np.unique(labels):
        members = np.flatnonzero(labels == label)
        above = np.maximum(noisy[members] - threshold, 0.0)
        if not above.sum() > 0:
            best = np.argsort(-noisy[members], kind="stable")[: -(-len(members) // FALLBACK)]
            above = np.zeros(len(members))
            above[best] = 1.0
        fractions[members] = above / above.sum()
    return fractions


def parents(
    noisy: np.ndarray,
    labels: np.ndarray,
    wanted: np.ndarray,
    how: Selection,
    threshold: float,
    generator: np.random.Generator,
) -> np.ndarray:
    """(sum of wanted,) int64 positions of the parents, label after label.

    wanted: (labels,) int64 number of parents of each label. sample: in proportion to `weights`, each drawn the nearest
    whole number of times. rank: the first by noisy votes, each once; where there are fewer, they come again.
    """
    fractions = weights(noisy, labels, threshold)
    chosen: list[np.ndarray] = []
    for label, count in enumerate(wanted):
        members = np.flatnonzero(labels == label)
        if not len(members) or not count:
            continue
        if how == "rank":
            order = members[np.argsort(-noisy[members], kind="stable")]
            chosen.append(np.resize(order, count))
        else:
            chosen.append(members[evenly(fractions[members], int(count), generator)])
    return np.concatenate(chosen) if chosen else np.zeros(0, dtype=np.int64)


def evenly(fractions: np.ndarray, count: int, generator: np.random.Generator) -> np.ndarray:
    """(count,) int64 positions, each drawn `count * share` times up to one (systematic sampling), in order."""
    ends = np.cumsum(fractions)
    places = (np.arange(count) + generator.random()) / max(count, 1) * ends[-1]
    return np.minimum(np.searchsorted(ends, places, side="right"), len(fractions) - 1)


def apportioned(total: int, fractions: np.ndarray, least: int = 0) -> np.ndarray:
    """(k,) int64 whole numbers near `total * shares`, largest remainders first, none below `least`."""
    exact = fractions / fractions.sum() * total
    whole = np.floor(exact).astype(np.int64)
    for place in np.argsort(whole - exact, kind="stable")[: total - int(whole.sum())]:
        whole[place] += 1
    return np.maximum(whole, least)


# -------------------- Generations -----------------------------------------------------------

Vote = Callable[[np.ndarray, np.ndarray, int], np.ndarray]  # points (m, d), labels (m,), step -> noisy votes (m,)
Embedding = Callable[[Batch], np.ndarray]  # (n, d) float32 in [-1, 1]
Watch = Callable[[int, Batch], None]  # step, the candidates of that step in the order of their votes


@dataclass(frozen=True)
class Population:
    """Released individuals and how much each stands for.

    weights: (n,) float64, adding up to 1 within each label.
    """

    members: Batch
    weights: np.ndarray

    def draw(self, labels: np.ndarray, generator: np.random.Generator) -> Batch:
        """A member for each of `labels`, int64 (n,), in proportion to the weights; any member for a label without."""
        index = np.zeros(len(labels), dtype=np.int64)
        for label in np.unique(labels):
            places = np.flatnonzero(labels == label)
            own = np.flatnonzero(self.members.labels == label)
            members = own if len(own) else np.arange(len(self.members))
            drawn = members[evenly(self.weights[members], len(places), generator)]
            index[places] = generator.permutation(drawn)
        return Batch(labels, self.members.take(index).genes)

    def enlarged(self, api: PEApi, copies: int, degree: float, generator: np.random.Generator) -> Self:
        """With `copies` variations of every member, which share its weight with it; free, as it needs no vote."""
        family = [self.members, *(api.variation(self.members, degree, generator) for _ in range(copies))]
        return type(self)(Batch.joined(family), np.tile(self.weights / (copies + 1), copies + 1))

    def tensors(self) -> dict[str, torch.Tensor]:
        """Everything, to be saved."""
        return {**self.members.tensors("population"), "weights": torch.from_numpy(self.weights)}

    @classmethod
    def restore(cls, tensors: Mapping[str, torch.Tensor]) -> Self:
        """The inverse of `tensors`."""
        return cls(Batch.restore(tensors, "population"), tensors["weights"].numpy())


class VoteHistogram(NamedTuple):
    """One released histogram: where the candidates stood, (m, d) float32, their labels, (m,), and noisy votes, (m,)."""

    points: np.ndarray
    labels: np.ndarray
    noisy: np.ndarray


@dataclass(frozen=True)
class Evolution:
    """One evolution, from public settings.

    sizes: (labels,) int64 parents of each label. threshold: in votes. lookahead: fresh variations whose mean is where a
    candidate stands; 0 takes the candidate itself. It moves points and never multiplies votes.
    """

    api: PEApi
    embedding: Embedding
    timetable: Timetable
    sizes: np.ndarray
    threshold: float = 0.0
    lookahead: int = 0

    def run(
        self, vote: Vote, generator: np.random.Generator, watch: Watch | None = None
    ) -> tuple[Population, list[VoteHistogram]]:
        """(the population after the last vote, all histograms). `vote` is called once an iteration."""
        vote_histograms: list[VoteHistogram] = []
        candidates = self.api.random(np.repeat(np.arange(len(self.sizes)), self.sizes), generator)
        for step in range(self.timetable.iterations):
            degree, phase = self.timetable.degree(step), self.timetable.phase(step)
            points = self._points(candidates, degree, generator)
            noisy = vote(points, candidates.labels, step)
            vote_histograms.append(VoteHistogram(points, candidates.labels, noisy))
            if watch is not None:
                watch(step, candidates.take(np.argsort(-noisy, kind="stable")))
            if step + 1 < self.timetable.iterations:
                chosen = parents(noisy, candidates.labels, self.sizes, phase.selection, self.threshold, generator)
                candidates = self._children(candidates.take(chosen), degree, phase.variations, phase.keep, generator)
        return self._population(candidates, noisy, generator), vote_histograms

    def _points(self, candidates: Batch, degree: float, generator: np.random.Generator) -> np.ndarray:
        if not self.lookahead:
            return self.embedding(candidates)
        ahead = [self.embedding(self.api.variation(candidates, degree, generator)) for _ in range(self.lookahead)]
        return np.asarray(np.mean(ahead, axis=0, dtype=np.float32))

    def _children(
        self, chosen: Batch, degree: float, variations: int, keep: bool, generator: np.random.Generator
    ) -> Batch:
        children = [self.api.variation(chosen, degree, generator) for _ in range(variations)]
        return Batch.joined([chosen, *children] if keep else children)

    def _population(self, candidates: Batch, noisy: np.ndarray, generator: np.random.Generator) -> Population:
        """Those that stand for something; where the last phase ranks, only as many as there are parents."""
        if self.timetable.phase(self.timetable.iterations - 1).selection == "rank":
            first = parents(noisy, candidates.labels, self.sizes, "rank", self.threshold, generator)
            candidates, noisy = candidates.take(first), noisy[first]
        fractions = weights(noisy, candidates.labels, self.threshold)
        standing = np.flatnonzero(fractions > 0)
        return Population(candidates.take(standing), fractions[standing])
