"""Which engine computes the sums of per-row clipped gradients. All give the same numbers."""

from __future__ import annotations

from typing import Literal, get_args

from torch import nn

from dpsynth.errors import ConfigError
from dpsynth.privacy.clipping import ClippedGradients
from dpsynth.privacy.fused import FusedGradients
from dpsynth.privacy.reference_modes import FunctorchGradients, LoopGradients

Mode = Literal["fused", "ghost", "hooks", "functorch", "loop"]

__all__ = ["ClippedGradients", "Mode", "clipped_gradients"]


def clipped_gradients(
    mode: Mode, module: nn.Module, clipping_norm: float, microbatch_size: int | None = None
) -> ClippedGradients:
    """The engine named `mode` for `module(*batch) -> (rows,)` losses.

    fused      one backward pass, nothing per row is formed: the default
    ghost      Opacus, two backward passes
    hooks      Opacus, every per-row gradient is formed
    functorch  torch.func, every per-row gradient is formed; takes any module
    loop       one row at a time: the reference

    Raises ConfigError for an unknown mode, or a module that the mode cannot treat exactly.
    """
    if mode not in get_args(Mode):
        raise ConfigError(f"privacy.gradients '{mode}' is unknown; choose one of {', '.join(get_args(Mode))}")
    return _engine(mode)(module, clipping_norm, microbatch_size)


def _engine(mode: Mode) -> type[ClippedGradients]:
    if mode in ("ghost", "hooks"):  # importing Opacus takes a second, which all other runs are spared
        from dpsynth.privacy.opacus_modes import GhostGradients, HookGradients

        return GhostGradients if mode == "ghost" else HookGradients
    own: dict[str, type[ClippedGradients]] = {
        "fused": FusedGradients,
        "functorch": FunctorchGradients,
        "loop": LoopGradients,
    }
    return own[mode]
