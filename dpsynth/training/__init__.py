"""Training: one loop, its checkpoints, devices and progress.  Knows no model."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from dpsynth.training.stopping import Stopped, stoppable

if TYPE_CHECKING:
    from dpsynth.training.checkpoint import Checkpoint
    from dpsynth.training.device import resolve_device
    from dpsynth.training.loop import Averaging, Interrupted, TrainerSettings, train
    from dpsynth.training.progress import Listener, Public, Quiet, listen

__all__ = [
    "Averaging",
    "Checkpoint",
    "Interrupted",
    "Listener",
    "Public",
    "Quiet",
    "Stopped",
    "TrainerSettings",
    "listen",
    "resolve_device",
    "stoppable",
    "train",
]

# What trains needs torch; what only has to be stopped in good order, as every command, does not.
_PLACES = {
    "Averaging": "dpsynth.training.loop",
    "Checkpoint": "dpsynth.training.checkpoint",
    "Interrupted": "dpsynth.training.loop",
    "Listener": "dpsynth.training.progress",
    "Public": "dpsynth.training.progress",
    "Quiet": "dpsynth.training.progress",
    "TrainerSettings": "dpsynth.training.loop",
    "listen": "dpsynth.training.progress",
    "resolve_device": "dpsynth.training.device",
    "train": "dpsynth.training.loop",
}


def __getattr__(name: str) -> Any:
    if name not in _PLACES:
        raise AttributeError(f"module 'dpsynth.training' has no attribute {name!r}")
    globals()[name] = found = getattr(import_module(_PLACES[name]), name)
    return found


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
