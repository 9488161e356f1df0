"""Training: one loop, its checkpoints, devices and progress.  Knows no model."""

from dpsynth.training.checkpoint import Checkpoint
from dpsynth.training.device import resolve_device
from dpsynth.training.figures import Public
from dpsynth.training.loop import Averaging, Interrupted, TrainerSettings, train
from dpsynth.training.progress import Listener, Quiet, listen

__all__ = [
    "Averaging",
    "Checkpoint",
    "Interrupted",
    "Listener",
    "Public",
    "Quiet",
    "TrainerSettings",
    "listen",
    "resolve_device",
    "train",
]
