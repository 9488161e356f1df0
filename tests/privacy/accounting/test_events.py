"""dpsynth/privacy/accounting/events.py"""

import json
import math

import pytest
from dp_accounting import (
    ComposedDpEvent,
    GaussianDpEvent,
    NonPrivateDpEvent,
    NoOpDpEvent,
    PoissonSampledDpEvent,
    SampledWithoutReplacementDpEvent,
    SelfComposedDpEvent,
    UnsupportedDpEvent,
    ZCDpEvent,
)
from dp_accounting.dp_event import DiscreteLaplaceDpEvent

from dpsynth.errors import ArtifactError
from dpsynth.privacy.accounting.events import describe, leaves, restore

GAUSSIAN = GaussianDpEvent(2.0)
EVENTS = [
    GAUSSIAN,
    DiscreteLaplaceDpEvent(0.5, 1),
    NonPrivateDpEvent(),
    NoOpDpEvent(),
    SelfComposedDpEvent(PoissonSampledDpEvent(0.1, GAUSSIAN), 7),
    SampledWithoutReplacementDpEvent(100, 10, SelfComposedDpEvent(GAUSSIAN, 2)),
    ComposedDpEvent([SelfComposedDpEvent(GAUSSIAN, 3), ComposedDpEvent([DiscreteLaplaceDpEvent(1.5, 2)])]),
]


@pytest.mark.parametrize("event", EVENTS, ids=lambda event: type(event).__name__)
def test_json_and_back(event):
    assert restore(json.loads(json.dumps(describe(event)))) == event


def test_unknown_events_are_refused():
    for event in (UnsupportedDpEvent(), ZCDpEvent(0.1)):
        with pytest.raises(ArtifactError):
            describe(event)
    with pytest.raises(ArtifactError):
        restore({"kind": "os.system", "command": "true"})
    with pytest.raises(ArtifactError):
        restore({"kind": "Gaussian", "sigma": 1.0})


def test_leaves_count_nested_compositions():
    event = SelfComposedDpEvent(ComposedDpEvent([GAUSSIAN, SelfComposedDpEvent(DiscreteLaplaceDpEvent(0.1, 1), 2)]), 3)
    assert list(leaves(event)) == [(GAUSSIAN, 3), (DiscreteLaplaceDpEvent(0.1, 1), 6)]


def test_gaussians_on_one_sample_become_one():
    ((leaf, count),) = leaves(PoissonSampledDpEvent(0.1, SelfComposedDpEvent(GAUSSIAN, 4)), 5)
    assert count == 5
    assert leaf.event.noise_multiplier == pytest.approx(2.0 / math.sqrt(4))


def test_full_rate_is_no_sampling_and_rate_zero_is_nothing():
    assert list(leaves(PoissonSampledDpEvent(1.0, GAUSSIAN))) == [(GAUSSIAN, 1)]
    assert list(leaves(PoissonSampledDpEvent(0.0, GAUSSIAN))) == []
