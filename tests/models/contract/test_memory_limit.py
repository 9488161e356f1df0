"""The limit holds inside the block, and is gone after it."""

import sys

import numpy as np
import pytest
import torch

from dpsynth.models.contract.memory_limit import limited

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="only Linux keeps such a limit")
HUGE = 3 * 2**30  # never touched


def test_an_allocation_beyond_the_limit_fails_at_once():
    with limited(0):
        np.ones(2**20)
        with pytest.raises(MemoryError):
            np.empty(HUGE, dtype=np.uint8)
        with pytest.raises(RuntimeError, match="allocate"):
            torch.empty(HUGE, dtype=torch.uint8)
    np.empty(HUGE, dtype=np.uint8)


def test_what_is_asked_for_may_be_had():
    with limited(HUGE):
        np.empty(HUGE, dtype=np.uint8)


def test_a_stricter_limit_stays():
    import resource

    with limited(0):
        inside = resource.getrlimit(resource.RLIMIT_DATA)
        with limited(HUGE):
            assert resource.getrlimit(resource.RLIMIT_DATA) == inside
    assert resource.getrlimit(resource.RLIMIT_DATA) != inside
