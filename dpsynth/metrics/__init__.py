"""Scores of a synthetic table or synthetic images against real ones: pure functions, `Score`s out.

The results are computed from private data and are private themselves. `dpsynth.evaluation` runs them all.
"""

from dpsynth.metrics.framework.metric import Score

__all__ = ["Score"]
