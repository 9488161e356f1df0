"""Training: one loop, its checkpoints, devices and progress.  Knows no model."""

from dpsynth.training.checkpoint import Checkpoint
from dpsynth.training.device import resolve_device
from dpsynth.training.loop import Averaging, Interrupted, TrainerSettings, train
from dpsynth.training.progress import Listener, Public, Quiet, listen
from dpsynth.training.stopping import Stopped, stoppable

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
