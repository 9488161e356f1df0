"""What later columns see of an earlier one: its code as a few smooth numbers.

A category is one-hot. A quantity with many value bins is a row of overlapping Gaussian bumps along its axis, so that
neighbouring values share what is learned about either; with noise on every weight that is worth more than telling each
value apart. Spikes and missing values keep an indicator of their own.
"""

from __future__ import annotations

import torch
from torch import Tensor

from dpsynth.networks.conditionals import Layout


def code_features(layout: Layout, bumps: int) -> Tensor:
    """(size, width) float32 features of every code, in [0, 1].

    The centres of the bumps lie evenly on the unit interval, a standard deviation apart; quantities of at most
    `bumps` value bins, and all categories, are one-hot.
    """
    if not layout.on_axis or layout.value_bins <= bumps:
        return torch.eye(layout.size)
    middles = (layout.edges[1:] + layout.edges[:-1]).float() / 2
    centres = (torch.arange(bumps) + 0.5) / bumps
    features = torch.zeros(layout.size, bumps + layout.specials)
    features[: layout.value_bins, :bumps] = torch.exp(-0.5 * ((middles[:, None] - centres) * bumps).square())
    features[layout.value_bins :, bumps:] = torch.eye(layout.specials)
    return features
