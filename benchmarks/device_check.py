"""Whether an accelerator releases what the processor releases: every method that trains by gradients, and the counting.

    python benchmarks/device_check.py [--device cuda] [--steps 5]

Under seeded noise each method is fitted on the processor and on the device, with a few steps, on made-up rows: the
ledgers have to be equal, and the released tensors within float tolerance. Marginals counted by torch on the device
have to equal those of numpy, cell by cell, and the fused step of DP-SGD the per-row loop. Times are printed as ratios
to the processor, and peak device memory beside the plan's estimate. No network is needed. Where there is no
accelerator the script says so, and compares the processor with itself: then it shows that fits can be repeated.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import nn

from dpsynth.data.image.domain import ImageDomain
from dpsynth.data.image.images import Images
from dpsynth.data.sources.toy import DISTRIBUTIONS
from dpsynth.marginals.counting.counting import Engine
from dpsynth.models import DPVI, MAF, MERF, DataLens
from dpsynth.models.contract.synthesizer import Synthesizer
from dpsynth.models.datalens.options import StudentOptions, TeacherOptions
from dpsynth.models.shared.class_rejection import ClassifierOptions
from dpsynth.privacy import Budget, RandomGenerators
from dpsynth.privacy.dpsgd.fused import FusedGradients
from dpsynth.privacy.dpsgd.gradients import LoopGradients
from dpsynth.training import TrainerSettings

BUDGET = Budget(8.0, 1e-5)
TOLERANCE = 1e-3  # of the largest entry of a tensor, after a few steps in float32
ROWS = 400


@dataclass(frozen=True)
class Check:
    """One comparison: how far the two are apart, how long each took, and memory; `ratio` is device to processor."""

    name: str
    apart: float
    same_ledger: bool
    seconds: tuple[float, float]
    peak: int = 0
    planned: int = 0

    @property
    def passed(self) -> bool:
        return self.same_ledger and self.apart <= TOLERANCE

    def line(self) -> str:
        memory = f", peak {self.peak / 2**20:.0f} MiB, planned {self.planned / 2**20:.0f}" if self.peak else ""
        ratio = self.seconds[1] / max(self.seconds[0], 1e-9)
        state = "ok  " if self.passed else "FAIL"
        ledger = "" if self.same_ledger else ", another ledger"
        return f"{state} {self.name:18s} apart {self.apart:8.2e}{ledger}, time {ratio:5.2f} of the processor's{memory}"


def recipes(steps: int) -> Iterator[tuple[str, Synthesizer, bool]]:
    """Name, small recipe, and whether it is fitted to images."""
    yield "maf", MAF(dp_sgd_fraction=0.5, hidden=16).replace(training={"steps": steps, "batch_size": 64}), False
    yield "dpvi", DPVI(components=3, bins=8).replace(inference={"steps": steps, "batch_size": 64}), False
    small = {"training": {"steps": steps, "batch_size": 32}, "network": {"width": 8}, "classifier": {"steps": 2}}
    yield "maf of images", MAF().replace(images=small), True
    for pictured in (False, True):
        name = " of images" if pictured else ""
        merf = MERF(bins=8).replace(
            embedding={"frequencies": 20}, generator={"hidden": 16}, training={"steps": steps, "batch_size": 16}
        )
        yield f"merf{name}", merf, pictured
        datalens = DataLens(
            rounds=2,
            queries=6,
            teacher=TeacherOptions(count=4, at_once=4, hidden=8),
            student=StudentOptions(steps=1, last_steps=1, width=16),
            classifier=ClassifierOptions(steps=2),
        )
        yield f"datalens{name}", datalens if pictured else datalens.replace(bins=4), pictured


def images() -> Images:
    """Made-up pictures of two classes."""
    draw = np.random.default_rng(0)
    pixels = draw.integers(0, 256, (ROWS, 1, 8, 8)).astype(np.uint8)
    return Images(pixels, draw.integers(0, 2, ROWS), ImageDomain(8, 8, classes=("a", "b"), rows=ROWS))


def fitted(recipe: Synthesizer, rows: Any, device: torch.device) -> tuple[Any, float, int, int]:
    """The model, seconds, peak bytes on the device (0 on the processor) and planned bytes."""
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
    plan = recipe.plan_for(rows, BUDGET)
    begun = time.monotonic()
    settings = TrainerSettings(device=str(device), progress="quiet", threads=1)
    model = recipe.fit(rows, plan, RandomGenerators(0, "seeded"), settings=settings)
    seconds = time.monotonic() - begun
    peak = torch.cuda.max_memory_allocated(device) if device.type == "cuda" else 0
    return model, seconds, peak, plan.memory_bytes


def apart(one: Mapping[str, torch.Tensor], other: Mapping[str, torch.Tensor]) -> float:
    """The largest difference of entries, as a part of the largest entry of its tensor."""
    if one.keys() != other.keys() or any(one[name].shape != other[name].shape for name in one):
        return float("inf")
    found = [0.0]
    for name, left in one.items():
        if left.numel():
            here, there = left.detach().cpu().double(), other[name].detach().cpu().double()
            found.append(float((here - there).abs().max() / here.abs().max().clamp(min=1e-6)))
    return max(found)


def check_method(name: str, recipe: Synthesizer, rows: Any, device: torch.device) -> Check:
    """One method on the processor and on the device."""
    here, first, _, _ = fitted(recipe, rows, torch.device("cpu"))
    there, second, peak, planned = fitted(recipe, rows, device)
    same = here.statement == there.statement
    return Check(name, apart(here.tensors(), there.tensors()), same, (first, second), peak, planned)


def timed(work: Callable[[], Any]) -> tuple[Any, float]:
    begun = time.monotonic()
    found = work()
    return found, time.monotonic() - begun


def check_counting(device: torch.device) -> Check:
    """Counts are whole numbers, so they have to be equal."""
    draw = np.random.default_rng(0)
    sizes = (2, 5, 50, 300, 7)
    codes = np.column_stack([draw.integers(0, size, 200_000) for size in sizes]).astype(np.uint16)
    wanted = [(0, 1), (1, 2, 4), (3,), (2, 3)]
    here, first = timed(lambda: Engine(engine="numpy").count(codes, sizes, wanted))
    there, second = timed(lambda: Engine(engine="torch", device=str(device)).count(codes, sizes, wanted))
    same = all(np.array_equal(here[clique], there[clique]) for clique in wanted)
    return Check("counting", 0.0 if same else float("inf"), True, (first, second))


class Loss(nn.Module):
    """Squared error of a small network, one loss for each row."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.network = nn.Sequential(nn.Linear(12, 32), nn.Tanh(), nn.Linear(32, 1))

    def forward(self, rows: torch.Tensor) -> torch.Tensor:
        return self.network(rows).squeeze(1) ** 2


def check_fused(device: torch.device) -> Check:
    """The fused step on the device against the loop over rows on the processor."""
    rows = torch.randn(128, 12, generator=torch.Generator().manual_seed(1))
    here, first = timed(lambda: LoopGradients(Loss(), 0.5).clipped_sum(rows))
    there, second = timed(lambda: FusedGradients(Loss().to(device), 0.5).clipped_sum(rows.to(device)))
    named = [{str(place): tensor for place, tensor in enumerate(found)} for found in (here, there)]
    return Check("fused step", apart(*named), True, (first, second))


def checks(device: torch.device, steps: int, only: str | None = None) -> Iterator[Check]:
    """All comparisons, or those of the methods whose name is `only`."""
    yield check_counting(device)
    yield check_fused(device)
    table, pictures = DISTRIBUTIONS["mixed"]().sample(ROWS, seed=0), images()
    for name, recipe, pictured in recipes(steps):
        if only is None or name == only:
            yield check_method(name, recipe, pictures if pictured else table, device)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--device", default=None, help="cuda, cuda:1 or mps; by default what is there")
    parser.add_argument("--steps", type=int, default=5, help="of training")
    parser.add_argument("--only", default=None, help="one method")
    options = parser.parse_args()
    there = "cuda" if torch.cuda.is_available() else "mps" if torch.backends.mps.is_available() else "cpu"
    device = torch.device(options.device or there)
    if device.type == "cpu":
        print("no accelerator here: the processor is compared with itself, which shows repeatability only")
    failed = 0
    for check in checks(device, options.steps, options.only):
        print(check.line(), flush=True)
        failed += not check.passed
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
