"""The loop of Private Evolution: candidates stand somewhere, votes come in, parents are chosen, children are made.

Lin et al. 2023 (arXiv 2305.15560, Algorithm 1), with the phases of Tab-PE (arXiv 2606.08259). The one thing that looks
at private rows is the `vote` that is handed in; it takes points and returns noisy votes.

    for t = 1 .. T:
        a candidate stands at its own point, or at the mean of `lookahead` fresh variations of it
        votes -> threshold -> parents
        t < T: the next candidates are the variations of the parents, and the parents where a phase keeps them
    the population: the candidates of the last vote, weighted by it
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import NamedTuple, Self

import numpy as np
import torch

from dpsynth.evolution.api import PEApi
from dpsynth.evolution.batch import Batch
from dpsynth.evolution.schedule import Timetable
from dpsynth.evolution.selection import evenly, parents, weights

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


class Ballot(NamedTuple):
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
    ) -> tuple[Population, list[Ballot]]:
        """(the population after the last vote, all histograms). `vote` is called once an iteration."""
        ballots: list[Ballot] = []
        candidates = self.api.random(np.repeat(np.arange(len(self.sizes)), self.sizes), generator)
        for step in range(self.timetable.iterations):
            degree, phase = self.timetable.degree(step), self.timetable.phase(step)
            points = self._points(candidates, degree, generator)
            noisy = vote(points, candidates.labels, step)
            ballots.append(Ballot(points, candidates.labels, noisy))
            if watch is not None:
                watch(step, candidates.take(np.argsort(-noisy, kind="stable")))
            if step + 1 < self.timetable.iterations:
                chosen = parents(noisy, candidates.labels, self.sizes, phase.selection, self.threshold, generator)
                candidates = self._children(candidates.take(chosen), degree, phase.variations, phase.keep, generator)
        return self._population(candidates, noisy, generator), ballots

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
        shares = weights(noisy, candidates.labels, self.threshold)
        standing = np.flatnonzero(shares > 0)
        return Population(candidates.take(standing), shares[standing])
