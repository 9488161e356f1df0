"""The attack on what is shared: the fitted model and rows drawn from it, nothing from inside the run.

Every run gives a vector of numbers: the tensors of the model, the number of rows it states, and how often the values of
the record in doubt come out in a sample. On a first part of the runs, whose data set is known, the attacker learns in
which direction the two data sets differ (linear discriminant of independent numbers: difference of means over variance,
of those that differ clearly); on the others he scores by the projection.
"""

# pyright: reportMissingTypeStubs=false, reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray

from dpsynth.data.image.images import Images
from dpsynth.data.table.table import Table
from dpsynth.privacy.audit.likelihood_ratios import vector
from dpsynth.privacy.audit.white_box import PILOTS, SEED
from dpsynth.privacy.audit.witness import run_key
from dpsynth.privacy.noise.random import PrivacyGenerator, RandomGenerators

Reals = NDArray[np.float64]
SAMPLE = 400  # rows or images drawn from a model
MOST = 20_000  # numbers that are kept of a run
CLEAR = 3.0  # standard errors by which a number must differ between the data sets to count


class Released(Protocol):
    """What a fitted model shows of itself (`dpsynth.models.Fitted`)."""

    statement: dict[str, Any]

    def tensors(self) -> dict[str, torch.Tensor]: ...
    def sample(self, n: int | None = None, seed: int | None = None) -> Any: ...


class FitProgram(Protocol):
    """run(data, randomness) -> a fitted model."""

    def __call__(self, data: Any, randomness: RandomGenerators, /) -> Released: ...


@dataclass(frozen=True)
class ReleaseOnly:
    """program: run(data, randomness) -> fitted model. data: (without, with) the record. record: a table or images of
    one.

    shapes: the tensors that have the same shape in all runs, by name.
    """

    program: FitProgram
    data: tuple[Any, Any]
    record: Table | Images
    shapes: Mapping[str, tuple[int, ...]] | None = None
    seed: int | None = None

    sees = "model and samples"

    @classmethod
    def prepared(
        cls,
        program: FitProgram,
        data: tuple[Any, Any],
        record: Table | Images,
        *,
        seed: int | None = None,
    ) -> ReleaseOnly:
        """The attack on a program, after pilot runs that show which tensors are always there."""
        attack = cls(program, data, record, seed=seed)
        shapes: dict[str, tuple[int, ...]] | None = None
        for number in range(PILOTS):
            for world in (0, 1):
                tensors = attack.fitted(world, -2 - number).tensors()
                now = {name: tuple(tensor.shape) for name, tensor in tensors.items()}
                shapes = now if shapes is None else {k: v for k, v in shapes.items() if now.get(k) == v}
        return replace(attack, shapes=shapes)

    def fitted(self, world: int, number: int) -> Released:
        """One run."""
        stream = PrivacyGenerator(run_key(self.seed, "release", world, number), secure=True)
        return self.program(self.data[world], RandomGenerators(SEED, privacy=stream))

    def trial(self, world: int, number: int) -> Reals:
        """One run as a vector of numbers."""
        fitted = self.fitted(world, number)
        tensors = fitted.tensors()
        rows = float(fitted.statement.get("rows") or 0)
        numbers = [np.array([rows]), seen_values(fitted.sample(SAMPLE, seed=0), self.record)]
        for name, shape in (self.shapes or {}).items():
            tensor = tensors.get(name)
            fits = tensor is not None and tuple(tensor.shape) == shape
            numbers.append(vector(tensor if fits else torch.zeros(shape)))
        return np.nan_to_num(np.concatenate(numbers)[:MOST], posinf=0.0, neginf=0.0)


def seen_values(sample: Table | Images, record: Table | Images) -> Reals:
    """How often the record's values come out: column by column and all together; of images, the mean image and, where
    there are classes, that of the record's class."""
    if isinstance(sample, Table):
        target = record.frame.iloc[0]  # type: ignore[union-attr]
        same = np.stack([_equals(sample.frame[name], target[name]) for name in sample.frame.columns], axis=1)
        return np.append(same.mean(axis=0), same.all(axis=1).mean())
    pixels = sample.pixels.reshape(len(sample), -1) / 255.0
    means = [pixels.mean(axis=0)]
    if sample.labels is not None:
        own = sample.labels == record.labels[0]  # type: ignore[union-attr,index]
        means += [pixels[own].mean(axis=0) if own.any() else np.zeros(pixels.shape[1]), np.array([own.mean()])]
    return np.concatenate(means)


def discriminated(without: Reals, with_record: Reals, learning: float = 0.4) -> tuple[Reals, Reals]:
    """Scores of the runs that did not teach the discriminant. (n, features) and (m, features) numbers of runs; the
    first share `learning` of each teaches."""
    first = [round(learning * len(vectors)) for vectors in (without, with_record)]
    zero, one = without[: first[0]], with_record[: first[1]]
    difference = one.mean(axis=0) - zero.mean(axis=0)
    variance = zero.var(axis=0) / len(zero) + one.var(axis=0) / len(one)
    clear = np.abs(difference) / np.sqrt(np.maximum(variance, 1e-24))
    clear[variance == 0] = np.where(difference[variance == 0] == 0, 0.0, np.inf)
    kept = clear >= min(CLEAR, float(clear.max(initial=0.0)))
    weights = np.where(kept, difference / np.maximum(variance, 1e-24), 0.0)
    weights /= max(1e-300, float(np.abs(weights).max(initial=0.0)))
    return without[first[0] :] @ weights, with_record[first[1] :] @ weights


def _equals(column: Any, value: Any) -> NDArray[np.bool_]:
    missing = column.isna().to_numpy(dtype=bool)
    if value is None or value != value:
        return missing
    return (column == value).fillna(False).to_numpy(dtype=bool)
