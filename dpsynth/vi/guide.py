"""The variational law of all unknowns: independent normals, and the gradients of its bound.

q(phi) = N(m, diag(s^2)) maximises  E_q[log p(data | phi) + log p(phi)] + entropy(q).  With phi = m + s e, e standard
normal, and h an unbiased noisy gradient of the log joint at phi,

    d/dm = h            d/dlog s = h s e + 1

Both follow from the one vector h, so the data are asked once for dim(phi) numbers, not for 2 dim(phi): the aligned
gradients of Jaelkoe, Prediger, Honkela and Kaski 2022 (arXiv:2210.15961, section 3.1). e is public, one draw for a
step, shared by the batch; the second term of d/dlog s is the entropy's, which knows no data.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn


class MeanField(nn.Module):
    """A normal law with independent coordinates; parameters `mean` and `log_scale`, each (size,)."""

    def __init__(self, mean: Tensor, scale: float | Tensor) -> None:
        super().__init__()
        self.mean = nn.Parameter(mean.detach().clone())
        self.log_scale = nn.Parameter(torch.as_tensor(scale, dtype=mean.dtype).expand(mean.shape).log().clone())

    @torch.no_grad()
    def draw(self, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """(phi, e), each (size,): one draw of the unknowns and the standard normals it was made from."""
        noise = torch.randn(self.mean.shape, generator=generator, dtype=self.mean.dtype).to(self.mean.device)
        return self.mean + self.log_scale.exp() * noise, noise

    @torch.no_grad()
    def align(self, h: Tensor, noise: Tensor) -> None:
        """Write the gradients of minus the bound into `.grad`. h: of the log joint at the drawn phi; noise: its e."""
        self.mean.grad = -h
        self.log_scale.grad = -(h * noise * self.log_scale.exp() + 1)
