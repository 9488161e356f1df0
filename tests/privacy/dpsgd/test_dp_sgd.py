"""The DP-SGD step: what is released, how it is scaled, what it costs, and one process against two."""

from __future__ import annotations

import math
import os
import socket
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.multiprocessing as mp
from dp_accounting import GaussianDpEvent, SelfComposedDpEvent
from torch import Tensor, nn

from dpsynth.errors import BudgetError, ConfigError
from dpsynth.networks.masked import MaskedLinear
from dpsynth.privacy.accounting.budget import Budget
from dpsynth.privacy.dpsgd.clipping import SUM_SLACK, Coordinates
from dpsynth.privacy.dpsgd.dp_sgd import DPSGD
from dpsynth.privacy.dpsgd.gradients import clipped_gradients
from dpsynth.privacy.dpsgd.sampling import FixedSizeBatches, PoissonBatches
from dpsynth.privacy.ledger import Ledger, Plan
from dpsynth.privacy.noise.random import PrivacyGenerator, RandomGenerators
from dpsynth.privacy.replay import audit

ROWS = 40


class Small(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.first = MaskedLinear([0, 1, 2], [0, 1, 2, 1, 0], strict=False)
        self.last = MaskedLinear([0, 1, 2, 1, 0], [0, 1, 2], strict=True)

    def forward(self, x: Tensor) -> Tensor:
        return (self.last(torch.tanh(self.first(x))) - x).square().sum(1)


def small() -> Small:
    torch.manual_seed(3)
    return Small()


def table(rows: int = ROWS) -> Tensor:
    return torch.randn(rows, 3, generator=torch.Generator().manual_seed(0))


def gradients(module: nn.Module) -> Tensor:
    return torch.cat([p.grad.flatten() for p in module.parameters() if p.grad is not None])


def sgd(batches: PoissonBatches | FixedSizeBatches, clip: float, noise: float, relation: str = "add_remove") -> DPSGD:
    return DPSGD.sampled("dp_sgd", relation, batches, noise, clip)  # type: ignore[arg-type]


def gate(recipe: DPSGD, randomness: RandomGenerators | None = None) -> Ledger:
    budget = Budget(100.0 if recipe.noise_multiplier else math.inf, 1e-5, recipe.neighbours)
    return Ledger(Plan(budget, (recipe,)), randomness or RandomGenerators())


def test_step_without_noise_is_the_clipped_sum_over_the_divisor() -> None:
    module, x = small(), table()
    batches = PoissonBatches(0.4, 5)
    recipe = sgd(batches, 0.5, 0.0)
    recipe.step(2, clipped_gradients("fused", module, 0.5), (x,), gate(recipe, RandomGenerators(1, "seeded")), 16)
    batch = x[torch.from_numpy(batches.indices(PrivacyGenerator.seeded(1).keystream("dp_sgd", 2, "rows"), ROWS))]
    expected = clipped_gradients("loop", small(), 0.5).clipped_sum(batch)
    actual = [p.grad for p in module.parameters()]
    for a, e in zip(actual, expected, strict=True):
        torch.testing.assert_close(a, e / 16, rtol=1e-5, atol=1e-7)


def test_infinite_epsilon_clips_nothing() -> None:
    module, x = small(), table()
    recipe = sgd(PoissonBatches(1.0, 1), math.inf, 0.0)
    recipe.step(0, clipped_gradients("fused", module, math.inf), (x,), gate(recipe), ROWS)
    plain = small()
    plain(x).mean().backward()
    torch.testing.assert_close(gradients(module), gradients(plain), rtol=1e-5, atol=1e-6)


def test_without_sampling_every_step_sums_over_all_rows() -> None:
    module, x = small(), table()
    recipe = DPSGD(name="all", neighbours="add_remove", releases=2, noise_multiplier=0.0, clipping_norm=0.5)
    recipe.step(1, clipped_gradients("fused", module, 0.5), (x,), gate(recipe), 16)
    expected = clipped_gradients("loop", small(), 0.5).clipped_sum(x)
    for p, e in zip(module.parameters(), expected, strict=True):
        torch.testing.assert_close(p.grad, e / 16, rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize("relation", ["add_remove", "replace_one"])
def test_empty_batches_are_noise_only_steps_of_the_declared_scale(relation: str) -> None:
    module, clip, multiplier, divisor = nn.Linear(60, 60), 0.7, 3.0, 20.0

    class Loss(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer = module

        def forward(self, x: Tensor) -> Tensor:
            return self.layer(x).sum(1)

    # Poisson batches have no proof under replace_one; there every step sums over all rows, of which there are none.
    recipe = DPSGD(
        name="dp_sgd",
        neighbours=relation,  # type: ignore[arg-type]
        releases=9,
        noise_multiplier=multiplier,
        clipping_norm=clip,
        sampling=PoissonBatches(0.5, 9) if relation == "add_remove" else None,
    )
    engine, empty = clipped_gradients("fused", Loss(), clip), torch.zeros(0, 60)
    ledger = gate(recipe, RandomGenerators(4, "seeded"))
    draws = [recipe.gradient(t, engine, (empty,), ledger, divisor) for t in range(4)]
    noise = torch.stack(draws)
    factor = 2 if relation == "replace_one" else 1
    assert recipe.sensitivity == pytest.approx(factor * clip * (1 + SUM_SLACK))
    scale = factor * clip * multiplier / divisor
    assert float(noise.std()) == pytest.approx(scale, rel=4 / math.sqrt(2 * noise.numel()))
    assert abs(float(noise.mean())) < 5 * scale / math.sqrt(noise.numel())
    correlation = np.corrcoef(noise.numpy())
    assert np.abs(correlation - np.eye(4)).max() < 5 / math.sqrt(noise.shape[1])


def test_noise_reaches_every_free_weight_and_no_masked_one() -> None:
    module = small()
    recipe = sgd(PoissonBatches(0.5, 3), 1.0, 2.0)
    recipe.step(0, clipped_gradients("fused", module, 1.0), (table(),), gate(recipe), 20)
    for layer in (module.first, module.last):
        assert layer.weight.grad is not None
        assert torch.equal(layer.weight.grad != 0, layer.mask > 0)
        assert layer.bias is not None
        assert layer.bias.grad is not None
        assert bool((layer.bias.grad != 0).all())


def test_engines_and_microbatches_fraction_one_noise() -> None:
    results = []
    for mode, size in [("fused", None), ("fused", 3), ("ghost", 7), ("hooks", None), ("loop", None)]:
        module = small()
        recipe = sgd(PoissonBatches(0.5, 3), 1.0, 2.0)
        engine = clipped_gradients(mode, module, 1.0, size)  # type: ignore[arg-type]
        recipe.step(1, engine, (table(),), gate(recipe, RandomGenerators(9, "seeded")), 20)
        results.append(gradients(module))
    for result in results[1:]:
        torch.testing.assert_close(result, results[0], rtol=1e-4, atol=1e-6)


def test_a_step_is_released_once() -> None:
    recipe, engine = sgd(PoissonBatches(0.5, 3), 1.0, 2.0), clipped_gradients("fused", small(), 1.0)
    ledger = gate(recipe)
    recipe.step(0, engine, (table(),), ledger, 20)
    with pytest.raises(BudgetError, match="made already"):
        recipe.step(0, engine, (table(),), ledger, 20)
    with pytest.raises(BudgetError, match="more than was planned"):
        recipe.step(3, engine, (table(),), ledger, 20)


def test_event_is_the_batches_event() -> None:
    poisson, fixed = PoissonBatches(0.1, 7), FixedSizeBatches(ROWS, 5, 7)
    assert sgd(poisson, 1.0, 2.0).event == poisson.event(2.0)
    assert sgd(fixed, 1.0, 2.0, "replace_one").event == fixed.event(2.0)
    whole = DPSGD(name="all", neighbours="add_remove", releases=7, noise_multiplier=2.0, clipping_norm=1.0)
    assert whole.event == SelfComposedDpEvent(GaussianDpEvent(2.0), 7)
    assert whole.batches is None


def test_what_does_not_fit_is_refused() -> None:
    with pytest.raises(ConfigError, match="replace_one"):
        sgd(FixedSizeBatches(ROWS, 5, 7), 1.0, 2.0)
    for clip in (0.0, -1.0, math.nan):
        with pytest.raises(ConfigError, match="clipping norm"):
            sgd(PoissonBatches(0.1, 7), clip, 2.0)
    recipe, engine = sgd(PoissonBatches(0.5, 3), 1.0, 2.0), clipped_gradients("fused", small(), 1.0)
    ledger = gate(recipe)
    for divisor in (0.0, -1.0, math.inf, math.nan):
        with pytest.raises(ConfigError, match="divisor"):
            recipe.step(0, engine, (table(),), ledger, divisor)
    with pytest.raises(ConfigError, match="clip norm"):
        recipe.step(0, clipped_gradients("fused", small(), 2.0), (table(),), ledger, 20)
    recipe.step(0, engine, (table(),), ledger, 20)  # nothing of the refused steps was spent
    with pytest.raises(BudgetError, match="no noise"):  # noise may be absent only when epsilon is infinite
        Plan(Budget(1.0, 1e-5), (sgd(PoissonBatches(0.5, 3), 1.0, 0.0),))


def train(
    data: Tensor, randomness: RandomGenerators, recipe: DPSGD, steps: int, divisor: float, mode: str = "fused"
) -> Tensor:
    module, ledger = small(), gate(recipe, randomness)
    engine = clipped_gradients(mode, module, recipe.clipping_norm)  # type: ignore[arg-type]
    optimizer = torch.optim.Adam(module.parameters(), 0.05)
    for t in range(steps):
        recipe.step(t, engine, (data,), ledger, divisor)
        optimizer.step()
    return torch.cat([p.detach().flatten() for p in module.parameters()])


def test_one_vector_for_the_optimizer_gives_the_same_training() -> None:
    recipe, x = sgd(PoissonBatches(0.5, 6), 1.0, 2.0), table()
    expected = train(x, RandomGenerators(2, "seeded"), recipe, 6, 20)
    module, ledger = small(), gate(recipe, RandomGenerators(2, "seeded"))
    engine = clipped_gradients("fused", module, 1.0)
    weights = engine.coordinates.weights()
    optimizer = torch.optim.Adam([weights], 0.05)
    for t in range(6):
        weights.grad = recipe.gradient(t, engine, (x,), ledger, 20)
        optimizer.step()
        engine.coordinates.write(weights)
    actual = torch.cat([p.detach().flatten() for p in module.parameters()])
    torch.testing.assert_close(actual, expected, rtol=1e-6, atol=1e-7)


def test_coordinates_round_trip() -> None:
    module = small()
    coordinates = Coordinates(module)
    free = int(module.first.mask.sum() + module.last.mask.sum()) + 8
    assert coordinates.size == free == coordinates.zeros().numel()
    vector = torch.arange(1.0, free + 1)
    tensors = coordinates.unpack(vector)
    assert torch.equal(coordinates.pack(tensors), vector)
    assert not (tensors[0] * (1 - module.first.mask)).any()
    before = [p.detach().clone() for p in module.parameters()]
    weights = coordinates.weights()
    coordinates.write(weights + 1)
    assert torch.equal(coordinates.weights(), weights + 1)
    coordinates.write(weights)
    assert all(torch.equal(p, b) for p, b in zip(module.parameters(), before, strict=True))


@pytest.mark.parametrize("relation", ["add_remove", "replace_one"])
@pytest.mark.parametrize("extreme", [0.0, 1e4, math.nan])
def test_replay_audit_passes(relation: str, extreme: float) -> None:
    """Neighbours with a harmless, a huge and a NaN row: same releases, within sensitivity, same model."""
    data = table()
    neighbour = data[:-1] if relation == "add_remove" else data.clone()
    data[-1] = extreme
    batches = FixedSizeBatches(ROWS, 25, 4) if relation == "replace_one" else PoissonBatches(0.7, 4)
    recipe = sgd(batches, 0.5, 1.5, relation)
    report = audit(lambda x, randomness: train(x, randomness, recipe, 4, 28), data, neighbour)
    assert len(report.releases) == 4
    assert report.used["dp_sgd"] <= 1 + 1e-5


def together(rank: int, port: int, folder: str) -> None:
    os.environ.update(MASTER_ADDR="127.0.0.1", MASTER_PORT=str(port))
    torch.set_num_threads(1)
    torch.distributed.init_process_group("gloo", rank=rank, world_size=2)
    recipe = sgd(PoissonBatches(0.3, 5), 1.0, 2.0)
    # A stream of its own on rank 1: only rank 0's may decide batch and noise.
    result = train(table(), RandomGenerators(5 + rank, "seeded"), recipe, 5, 12)
    torch.save(result, Path(folder) / f"{rank}.pt")
    torch.distributed.destroy_process_group()


@pytest.mark.slow
def test_two_processes_train_as_one(tmp_path: Path) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    mp.spawn(together, args=(port, str(tmp_path)), nprocs=2)  # type: ignore[no-untyped-call]
    both = [torch.load(tmp_path / f"{rank}.pt") for rank in (0, 1)]
    assert torch.equal(both[0], both[1])
    alone = train(table(), RandomGenerators(5, "seeded"), sgd(PoissonBatches(0.3, 5), 1.0, 2.0), 5, 12)
    torch.testing.assert_close(both[0], alone, rtol=1e-4, atol=1e-5)
