"""Torch modules that the methods are built from. They know nothing of privacy."""

from dpsynth.networks.masked import MaskedLinear

__all__ = ["MaskedLinear"]
