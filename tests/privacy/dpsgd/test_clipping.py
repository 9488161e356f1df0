"""The computed sums of clipped gradients: neighbours differ by at most the sensitivity, rounding included."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from dpsynth.models.shared.class_rejection import RejectionClassifier
from dpsynth.privacy.dpsgd import clipping
from dpsynth.privacy.dpsgd.clipping import SUM_SLACK
from dpsynth.privacy.dpsgd.gradients import Mode, clipped_gradients

INPUTS, OUTPUTS = 30, 20
KINDS = ["alike", "alternating", "repeating scales", "halves", "tiny and large"]


class Chosen(nn.Module):
    """A linear layer whose row gradients are w outer x, so long that all are clipped."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(INPUTS, OUTPUTS)

    def forward(self, x: Tensor, w: Tensor) -> Tensor:
        return 1e3 * (self.layer(x) * w).sum(1)


def adversarial(kind: str, rows: int) -> tuple[Tensor, Tensor]:
    """Rows whose clipped gradients all have norm C and add up as badly as was found."""
    draw = torch.Generator().manual_seed(rows)
    x, w = (torch.randn(1, width, generator=draw).repeat(rows, 1) for width in (INPUTS, OUTPUTS))
    if kind == "alternating":
        w[::2] *= -1
    if kind == "repeating scales":
        x[::2] *= -0.37
        x[::3] = torch.randn(1, INPUTS, generator=draw)
    if kind == "halves":
        w[rows // 2 :] *= -1
    if kind == "tiny and large":
        w[::2] *= 1e-8
    return x, w


def moves(
    module: nn.Module, batch: tuple[Tensor, ...], clip: float, size: int | None = None, mode: Mode = "fused"
) -> float:
    """The largest distance between the sums of the batch and without its first, a middle or its last row, over C."""
    engine, rows = clipped_gradients(mode, module, clip, size), len(batch[0])
    whole, found = engine.clipped_vector(*batch), []
    assert whole.dtype == torch.float64
    for left_out in (0, rows // 2, rows - 1):
        kept = torch.arange(rows) != left_out
        found.append(float((whole - engine.clipped_vector(*(x[kept] for x in batch))).norm()) / clip)
    return max(found)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("rows", [700, clipping.FLOAT32_ROWS, 60_000])
def test_a_row_moves_a_sum_by_the_sensitivity_at_most(kind, rows):
    assert moves(Chosen(), adversarial(kind, rows), 0.7, 10**9) <= 1 + SUM_SLACK


@pytest.mark.parametrize("mode", ["hooks", "functorch"])
def test_so_it_does_with_other_engines(mode):
    assert moves(Chosen(), adversarial("repeating scales", clipping.FLOAT32_ROWS + 9), 0.7, mode=mode) <= 1 + 1e-6


def test_one_sum_in_float32_would_exceed_it(monkeypatch):
    """So the bounds on rows are what holds it; without them the test above is red."""
    monkeypatch.setattr(clipping, "ROWS_AT_ONCE", 10**9)
    monkeypatch.setattr(clipping, "FLOAT32_ROWS", 10**9)
    assert moves(Chosen(), adversarial("repeating scales", 60_000), 0.7) > 1 + SUM_SLACK


@pytest.mark.parametrize("kind", KINDS)
def test_in_float64_the_proven_bound_holds_with_room(kind):
    rows = 20_000
    x, w = adversarial(kind, rows)
    assert moves(Chosen().double(), (x.double(), w.double()), 0.7) <= 1 + 2 * rows**2 * 2.0**-53 + 1e-12


def test_the_image_classifier_sums_in_float64():
    classifier = RejectionClassifier((1, 8, 8), 3).double()
    with torch.no_grad():
        classifier.linear.bias.copy_(torch.tensor([5.0, 0.0, -5.0]))
    features = torch.rand(1, classifier.linear.in_features).repeat(9000, 1)
    labels = torch.arange(9000) % 3
    assert features.dtype == torch.float32
    assert moves(classifier, (features, labels), 0.3, 4096) <= 1 + 1e-7


@pytest.mark.parametrize(("dtype", "size", "expected"), [
    (torch.float32, None, 1024), (torch.float32, 5000, 1024), (torch.float32, 7, 7), (torch.float64, 5000, 5000),
])  # fmt: skip
def test_sums_in_float32_are_over_few_rows(dtype, size, expected):
    engine = clipped_gradients("fused", Chosen().to(dtype), 1.0, size)
    chunks: list[int] = []
    chunk = engine._chunk
    engine._chunk = lambda batch, mask: chunks.append(len(batch[0])) or chunk(batch, mask)  # type: ignore[method-assign,func-returns-value]
    engine.clipped_vector(torch.ones(6000, INPUTS, dtype=dtype), torch.ones(6000, OUTPUTS, dtype=dtype))
    assert max(chunks) == expected
    assert sum(chunks) == 6000
