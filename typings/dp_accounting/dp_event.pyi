"""Of google/differential-privacy's dp_accounting, which ships no types: what dpsynth/privacy uses."""

from dataclasses import dataclass

class DpEvent: ...

@dataclass(frozen=True)
class NoOpDpEvent(DpEvent): ...

@dataclass(frozen=True)
class NonPrivateDpEvent(DpEvent): ...

@dataclass(frozen=True)
class GaussianDpEvent(DpEvent):
    noise_multiplier: float

@dataclass(frozen=True)
class DiscreteLaplaceDpEvent(DpEvent):
    noise_parameter: float
    sensitivity: int

@dataclass(frozen=True)
class SelfComposedDpEvent(DpEvent):
    event: DpEvent
    count: int

@dataclass(frozen=True)
class ComposedDpEvent(DpEvent):
    events: list[DpEvent]

@dataclass(frozen=True)
class PoissonSampledDpEvent(DpEvent):
    sampling_probability: float
    event: DpEvent

@dataclass(frozen=True)
class SampledWithoutReplacementDpEvent(DpEvent):
    source_dataset_size: int
    sample_size: int
    event: DpEvent

@dataclass(frozen=True)
class ZCDpEvent(DpEvent):
    rho: float
