"""How an evolution proceeds: phases of iterations, and how far children may stray from their parents."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any, Literal, Self

from dpsynth.errors import ConfigError

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
            raise ConfigError(f"model.phases: iterations={self.iterations} must be at least 1")
        if self.selection not in ("sample", "rank"):
            raise ConfigError(f"model.phases: selection={self.selection!r} must be sample or rank")
        if self.variations < 1:
            raise ConfigError(f"model.phases: variations={self.variations} must be at least 1")

    @classmethod
    def of(cls, content: Phase | Mapping[str, Any]) -> Phase:
        """A phase from its keys; `ConfigError` for others."""
        if isinstance(content, Phase):
            return content
        return cls(**_known(cls, content, "model.phases"))

    @property
    def offspring(self) -> int:
        """Candidates of the next iteration for each parent."""
        return self.variations + int(self.keep)


@dataclass(frozen=True)
class Degrees:
    """Degree of variation over the course of an evolution: first - (first - last) share^power.

    Tab-PE (arXiv 2606.08259) falls from .5 to .01 with power .2: fast at first, then fine work. The last degree is also
    that of the rows or images drawn from the finished population.
    """

    first: float = 0.5
    last: float = 0.01
    power: float = 0.2

    def __post_init__(self) -> None:
        if not (0 <= self.first <= 1 and 0 <= self.last <= 1 and self.power > 0):
            raise ConfigError("model.degrees: first and last must lie between 0 and 1, and power above 0")

    @classmethod
    def of(cls, content: Degrees | Mapping[str, Any]) -> Degrees:
        """Degrees from their keys; `ConfigError` for others."""
        if isinstance(content, Degrees):
            return content
        return cls(**_known(cls, content, "model.degrees"))

    def at(self, share: float) -> float:
        """The degree when `share` of the iterations are done."""
        return self.first - (self.first - self.last) * share**self.power


@dataclass(frozen=True)
class Timetable:
    """All phases in their order, as one iteration after the other."""

    phases: tuple[Phase, ...]
    degrees: Degrees

    @classmethod
    def of(cls, phases: Sequence[Any], degrees: Any) -> Self:
        """From lists and mappings of a config file."""
        if not phases:
            raise ConfigError("model.phases: name at least one, such as [{iterations: 4, selection: sample}]")
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
