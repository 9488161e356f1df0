"""How the student learns from released votes: post-processing of public numbers only.

Every `student_steps` steps a round asks about B queries, and gets the released direction u. The student fits targets T.
With codes that stay, the queries are the targets themselves, which the student reaches between rounds: T <- T + s_r V
with V <- m V + (1 - m) u and a step s_r that falls evenly to zero. What was released once is so used in all later
steps, which is free. With fresh queries each round has codes of its own, X = G(z, y), and T = X + s_r u, as in the
source.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from dpsynth.models.datalens.fitted import Student
from dpsynth.training import Public

Ask = Callable[[int, Tensor, Tensor], Tensor]
GREY, ROUGH = 0.5, 0.4  # mean and roughness of the first targets, in units of a row's extent


class StudentTraining:
    """The student's loss, step by step.

    seen, back: between outputs (n, *shape) and the numbers that are voted on. ask(round, x, y): the released direction.
    """

    def __init__(
        self,
        student: Student,
        seen: Callable[[Tensor], Tensor],
        back: Callable[[Tensor], Tensor],
        ask: Ask,
        rounds: int,
        queries: int,
        student_steps: int,
        fresh: bool,
        size: float,
        momentum: float,
        extent: float,
        generator: torch.Generator,
        device: torch.device,
    ) -> None:
        self.student, self.seen, self.back, self.ask = student, seen, back, ask
        self.rounds, self.student_steps, self.fresh = rounds, student_steps, fresh
        self.size, self.momentum, self.generator, self.device = size, momentum, generator, device
        self.steps = rounds * student_steps
        network = student.network.to(device)
        self.z, self.y = self._queries(queries)
        with torch.no_grad():
            self.targets = self._first(seen(network(self.z, self.y)), extent)
        self.velocity = torch.zeros_like(self.targets)

    def step(self, t: int) -> dict[str, Public]:
        """Leaves the gradient of step t in the student's parameters."""
        if t < self.steps and t % self.student_steps == 0:
            self._round(t // self.student_steps)
        network = self.student.network
        network.zero_grad()
        loss = (network(self.z, self.y) - self.back(self.targets)).square().flatten(1).sum(1).mean()
        loss.backward()
        return {"loss": Public(loss.detach())}

    def _round(self, number: int) -> None:
        if self.fresh and number:
            self.z, self.y = self._queries(len(self.z))
        if self.fresh:
            with torch.no_grad():
                self.targets = self.seen(self.student.network(self.z, self.y))
        direction = self.ask(number, self.targets, self.y)
        momentum = 0.0 if self.fresh else self.momentum
        self.velocity = momentum * self.velocity + (1 - momentum) * direction
        self.targets = self.targets + self.size * (1 - number / self.rounds) * self.velocity

    def _queries(self, count: int) -> tuple[Tensor, Tensor]:
        """Codes and classes to ask about; classes are drawn where the codes are."""
        codes, classes = self.student.codes, self.student.classes
        if self.fresh:
            shape = self.student.shape
            codes = torch.randn(count, shape["latent"], generator=self.generator)
            classes = torch.randint(shape["classes"], (count,), generator=self.generator)
        return codes.to(self.device), classes.to(self.device)

    def _first(self, outputs: Tensor, extent: float) -> Tensor:
        """Where queries start: as the generator does for tables, grey clouds for images."""
        if self.fresh or self.student.shape["heads"]:
            return outputs
        noise = torch.randn(outputs.shape, generator=self.generator).to(self.device)
        noise = noise / noise.norm(dim=1, keepdim=True)
        grey = self.seen(torch.ones(1, *self.student.network.shape, device=self.device))
        return GREY * extent * grey / grey.norm() + ROUGH * extent * noise

    def state_dict(self) -> dict[str, Any]:
        return {"z": self.z, "y": self.y, "targets": self.targets, "velocity": self.velocity}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        for name in ("z", "y", "targets", "velocity"):
            setattr(self, name, state_dict[name].to(self.device))
