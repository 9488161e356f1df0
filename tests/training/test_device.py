import pytest
import torch

from dpsynth.errors import ConfigError
from dpsynth.training import resolve_device


def test_auto_takes_what_there_is():
    best = "cuda" if torch.cuda.is_available() else "mps" if torch.backends.mps.is_available() else "cpu"
    assert resolve_device("auto").type == best
    assert resolve_device("cpu") == torch.device("cpu")


@pytest.mark.parametrize("name", ["gpu", "", "tpu:0"])
def test_an_unknown_name_lists_the_choices(name):
    with pytest.raises(ConfigError, match="choose one of auto, cpu, cuda, mps"):
        resolve_device(name)


@pytest.mark.parametrize("name", ["cuda", "mps", "cuda:99"])
def test_an_absent_device_is_refused_at_once(name, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    with pytest.raises(ConfigError, match="no such device"):
        resolve_device(name)


def test_a_device_number_that_is_none_or_too_high(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    assert resolve_device("cuda:0") == torch.device("cuda:0")
    with pytest.raises(ConfigError, match="has 1 CUDA"):
        resolve_device("cuda:1")
    with pytest.raises(ConfigError, match="not a device name"):
        resolve_device("cuda:one")
