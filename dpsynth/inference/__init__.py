"""Valid statistics from synthetic data: `combine` estimates of several sets into one with an honest interval."""

from dpsynth.inference.rubin import Combined, combine

__all__ = ["Combined", "combine"]
