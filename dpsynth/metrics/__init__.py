"""Scores of a synthetic table against real rows: pure functions, frames and a `Domain` in, `Score`s out.

The results are computed from private data and are private themselves.
"""

from dpsynth.metrics.score import Score
from dpsynth.metrics.suite import Settings, evaluate, evaluate_images

__all__ = ["Score", "Settings", "evaluate", "evaluate_images"]
