"""Which candidates become parents, from noisy votes: post-processing of a released histogram."""

from __future__ import annotations

import numpy as np

from dpsynth.evolution.schedule import Selection

FALLBACK = 4  # one in so many of the candidates stands in when no noisy vote exceeds the threshold


def weights(noisy: np.ndarray, labels: np.ndarray, threshold: float) -> np.ndarray:
    """(m,) float64 max(votes - threshold, 0), adding up to 1 within each label.

    noisy: (m,) float64 votes, may be negative. threshold: in votes. Where no vote of a label exceeds the threshold,
    its best quarter shares evenly: nothing is divided by zero, and nothing depends on more than was released.
    """
    shares = np.zeros(len(noisy))
    for label in np.unique(labels):
        members = np.flatnonzero(labels == label)
        above = np.maximum(noisy[members] - threshold, 0.0)
        if not above.sum() > 0:
            best = np.argsort(-noisy[members], kind="stable")[: -(-len(members) // FALLBACK)]
            above = np.zeros(len(members))
            above[best] = 1.0
        shares[members] = above / above.sum()
    return shares


def parents(
    noisy: np.ndarray,
    labels: np.ndarray,
    wanted: np.ndarray,
    how: Selection,
    threshold: float,
    generator: np.random.Generator,
) -> np.ndarray:
    """(sum of wanted,) int64 positions of the parents, label after label.

    wanted: (labels,) int64 number of parents of each label. sample: in proportion to `weights`, each drawn the nearest
    whole number of times. rank: the first by noisy votes, each once; where there are fewer, they come again.
    """
    shares = weights(noisy, labels, threshold)
    chosen: list[np.ndarray] = []
    for label, count in enumerate(wanted):
        members = np.flatnonzero(labels == label)
        if not len(members) or not count:
            continue
        if how == "rank":
            order = members[np.argsort(-noisy[members], kind="stable")]
            chosen.append(np.resize(order, count))
        else:
            chosen.append(members[evenly(shares[members], int(count), generator)])
    return np.concatenate(chosen) if chosen else np.zeros(0, dtype=np.int64)


def evenly(shares: np.ndarray, count: int, generator: np.random.Generator) -> np.ndarray:
    """(count,) int64 positions, each drawn `count * share` times up to one (systematic sampling), in order."""
    ends = np.cumsum(shares)
    places = (np.arange(count) + generator.random()) / max(count, 1) * ends[-1]
    return np.minimum(np.searchsorted(ends, places, side="right"), len(shares) - 1)


def whole_shares(total: int, shares: np.ndarray, least: int = 0) -> np.ndarray:
    """(k,) int64 whole numbers near `total * shares`, largest remainders first, none below `least`."""
    exact = shares / shares.sum() * total
    whole = np.floor(exact).astype(np.int64)
    for place in np.argsort(whole - exact, kind="stable")[: total - int(whole.sum())]:
        whole[place] += 1
    return np.maximum(whole, least)
