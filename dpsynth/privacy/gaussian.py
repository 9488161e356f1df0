"""The Gaussian mechanism on floating-point answers (sums of clipped gradients, means, scores).

Guarantee: value + N(0, s^2 I) with s = noise_multiplier * sensitivity is the mechanism of
`GaussianDpEvent(noise_multiplier)`: exactly mu-Gaussian DP with mu = 1 / noise_multiplier (Balle and Wang
2018, arXiv 1805.06530; Dong, Roth and Su 2019, arXiv 1905.02383).

Neighbours: either relation. `sensitivity` is the L2 distance that neighbours can cause UNDER THE RELATION OF
THE RUN; the noise multiplier is in units of it. For a sum of vectors clipped to norm C, a row that is added
or removed moves the sum by at most C, and a replaced row moves it by |u - v| <= 2 C:
`Budget.sum_sensitivity(C)`.

Floats: the proof speaks of real numbers. Noise is drawn and added in float64, and the sum is rounded to the
public grid of spacing 2^floor(log2(s * 2^-20)) before it leaves, so that the low-order bits, through which
Mironov (2012, "On significance of the least significant bits for differential privacy") tells inputs apart,
are gone; rounding is post-processing of the real-valued mechanism. What remains (the finite set of normals
that 95 bits can make, rounding of the sum of answer and noise at 2^-53 relative) is of severity
*Theoretical*: the proof does not cover it, no practical attack on it is known. Counts do not come here: they
use the exact `discrete` mechanisms.
"""

# pyright: reportMissingTypeStubs=false, reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TypeVar, cast

import numpy as np
import torch
from dp_accounting import DpEvent, GaussianDpEvent, SelfComposedDpEvent
from numpy.typing import NDArray

from dpsynth.errors import BudgetError
from dpsynth.privacy.random import PrivacyStream

Value = TypeVar("Value", NDArray[np.floating], torch.Tensor, list[torch.Tensor])


def gaussian_event(noise_multiplier: float, releases: int = 1) -> DpEvent:
    """The event of one release, or of several, with standard deviation noise_multiplier * sensitivity."""
    event = GaussianDpEvent(float(noise_multiplier))
    return event if releases == 1 else SelfComposedDpEvent(event, releases)


def gaussian(
    stream: PrivacyStream,
    name: str,
    value: Value,
    *,
    sensitivity: float,
    noise_multiplier: float,
    step: int = 0,
    inplace: bool = False,
) -> Value:
    """`value` plus Gaussian noise of standard deviation `noise_multiplier * sensitivity`.

    `value`: float array, float tensor, or list of tensors (one long vector: its L2 norm is over all of them),
    on any device. Noise is made on the CPU and moved. Returns the same type, dtypes and shapes; with
    `inplace` the tensors of `value` are overwritten, which spares large allocations. Raises BudgetError for a
    noise multiplier of 0 unless the run's epsilon is infinite.
    """
    check_scale(stream, name, noise_multiplier, sensitivity)
    scale = noise_multiplier * sensitivity if noise_multiplier else 0.0  # 0 times infinity is no number

    def draw(exact: Value) -> Value:
        if scale == 0.0:
            return exact if inplace else _copy(exact)
        return _noised(stream, name, step, exact, scale, inplace)

    return stream.release(
        name,
        value,
        sensitivity=sensitivity,
        norm="l2",
        draw=draw,
        parameters={"mechanism": "gaussian", "scale": scale},
        step=step,
    )


def check_scale(stream: PrivacyStream, name: str, noise: float, sensitivity: float) -> None:
    """Refuse noise that is not there, so that no edge parameter can switch it off by accident."""
    if not (math.isfinite(sensitivity) and sensitivity > 0) and not stream.infinite:
        raise BudgetError(f"the sensitivity of {name!r} must be finite and above 0, not {sensitivity!r}")
    if stream.infinite and noise == 0:
        return
    if not (math.isfinite(noise) and noise > 0):
        raise BudgetError(
            f"the noise of {name!r} must be finite and above 0, not {noise!r}; "
            "only a run with epsilon = inf may go without"
        )


def grid(scale: float) -> float:
    """The public spacing to which outputs with noise of standard deviation `scale` are rounded."""
    return 2.0 ** math.floor(math.log2(scale * 2.0**-20))


def _noised(stream: PrivacyStream, name: str, step: int, value: Value, scale: float, inplace: bool) -> Value:
    if isinstance(value, np.ndarray):
        flat = torch.from_numpy(np.ascontiguousarray(value, dtype=np.float64).reshape(-1))
        (out,) = _noised_tensors(stream, name, step, [flat], scale, False)
        return cast(Value, out.numpy().reshape(value.shape).astype(value.dtype))
    if isinstance(value, torch.Tensor):
        (out,) = _noised_tensors(stream, name, step, [value], scale, inplace)
        return cast(Value, out)
    return cast(Value, _noised_tensors(stream, name, step, cast(list[torch.Tensor], value), scale, inplace))


def _noised_tensors(
    stream: PrivacyStream, name: str, step: int, value: Sequence[torch.Tensor], scale: float, inplace: bool
) -> list[torch.Tensor]:
    total = sum(tensor.numel() for tensor in value)
    spacing = grid(scale)
    noise = stream.normal(name, step, total, stream.scratch.take("noise", total, torch.float64))
    noise.mul_(scale / spacing)  # everything below is in units of the grid
    outs: list[torch.Tensor] = []
    start = 0
    for tensor in value:
        piece = noise[start : start + tensor.numel()].view(tensor.shape)
        start += tensor.numel()
        exact = tensor.detach()
        # The sum is made where float64 exists; only the rounded result returns to the device.
        piece.add_(exact.to("cpu", torch.float64), alpha=1.0 / spacing).round_().mul_(spacing)
        target = exact if inplace else torch.empty_like(exact)
        outs.append(target.copy_(piece))
    return outs


def _copy(value: Value) -> Value:
    if isinstance(value, np.ndarray):
        return cast(Value, value.copy())
    if isinstance(value, torch.Tensor):
        return cast(Value, value.clone())
    return cast(Value, [tensor.clone() for tensor in value])
