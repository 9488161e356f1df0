"""An evaluation as a whole: what is compared, which metrics run, and the files they leave. Private output."""

from dpsynth.evaluation.suite import Settings, evaluate, evaluate_images

__all__ = ["Settings", "evaluate", "evaluate_images"]
