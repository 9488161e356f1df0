"""Seconds per training step of every engine for clipped gradients, beside training without privacy.

    python benchmarks/dp_sgd_speed.py [--repeats 15] [--networks default large] [--threads 1] [--json FILE]

Two flows on the rows of Adult: a small one at batch 650, and one with 1.4 million parameters at batch 256. Every
figure is the median over interleaved repetitions, the optimizer's step included. `ours, no noise` has everything but
the noise; `secure noise alone` is what the mechanism takes to noise a sum of that many numbers. `ours` hands the
optimizer all free weights as one vector (`DPSGD.gradient`); `many tensors` leaves a gradient on every parameter
(`DPSGD.step`), as maf and the other methods do.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from rich.console import Console
from rich.table import Table
from torch import nn

from dpsynth.data import Codec, sources
from dpsynth.networks.conditionals import Layout, Softmax
from dpsynth.networks.flow import TabularFlow
from dpsynth.privacy import DPSGD, Budget, GaussianQuery, Ledger, Mechanism, Plan, PoissonBatches, RandomGenerators
from dpsynth.privacy.dpsgd.gradients import Mode, clipped_gradients

SLOW = {"opacus hooks", "functorch"}
STEPS = 100_000  # planned; more than are timed
BINS = 64  # most of a number

TABLE = sources.load("adult").train
# Name -> what it is, units of a hidden layer, residual hidden layers behind the first, batch size.
NETWORKS: dict[str, tuple[str, int, int, int]] = {
    "default": ("a flow on Adult", 128, 1, 650),
    "large": ("a large flow on Adult", 400, 7, 256),
}


def steps_of(hidden: int, layers: int, batch_size: int) -> tuple[int, dict[str, Callable[[int], None]]]:
    """The number of parameters, and what to time: name -> a function that makes training step t."""
    codec = Codec(TABLE.domain, BINS)
    encoded = codec.encode(TABLE.frame)
    data = torch.from_numpy(encoded.codes.astype("int64")), torch.from_numpy(encoded.units).float()
    edges = [torch.as_tensor(np.array(column.edges), dtype=torch.float32) for column in codec.columns]

    def build() -> nn.Module:
        columns = [Softmax(Layout(c.size, each, c.on_axis)) for c, each in zip(codec.columns, edges, strict=True)]
        generator = torch.Generator().manual_seed(0)
        return TabularFlow(columns, range(len(columns)), hidden, layers, generator=generator)

    numbers = sum(p.numel() for p in build().parameters())
    steps: dict[str, Callable[[int], None]] = {}

    def plain() -> Callable[[int], None]:
        network = build()
        adam = torch.optim.Adam(network.parameters(), 2e-3)

        def step(t: int) -> None:
            adam.zero_grad()
            rows = torch.randint(0, len(TABLE), (batch_size,))
            network(*(x[rows] for x in data)).mean().backward()
            adam.step()

        return step

    def private(mode: Mode, noise_multiplier: float, one_vector: bool = False) -> Callable[[int], None]:
        network = build()
        batches = PoissonBatches(rate=batch_size / len(TABLE), steps=STEPS)
        recipe = DPSGD.sampled("dp-sgd", "add_remove", batches, noise_multiplier, 1.0)
        ledger = ledger_of(recipe)
        engine = clipped_gradients(mode, network, 1.0)

        if one_vector:
            weights = engine.coordinates.weights()
            adam = torch.optim.Adam([weights], 2e-3)
        else:
            weights = None
            adam = torch.optim.Adam(network.parameters(), 2e-3)

        def step(t: int) -> None:
            if weights is None:
                recipe.step(t, engine, data, ledger, batch_size)
                adam.step()
            else:
                weights.grad = recipe.gradient(t, engine, data, ledger, batch_size)
                adam.step()
                engine.coordinates.write(weights)

        return step

    def noise() -> Callable[[int], None]:
        sums = GaussianQuery(name="sums", neighbours="add_remove", releases=STEPS, noise_multiplier=9.3, bound=1.0)
        ledger, exact = ledger_of(sums), torch.zeros(numbers)

        def step(t: int) -> None:
            ledger.release(sums, exact, t)

        return step

    steps["non-private"] = plain()
    steps["ours, no noise"] = private("fused", 0.0, one_vector=True)
    steps["ours, secure noise"] = private("fused", 9.3, one_vector=True)
    steps["ours, noise, many tensors"] = private("fused", 9.3)
    steps["secure noise alone"] = noise()
    steps["opacus ghost"] = private("ghost", 9.3)
    steps["opacus hooks"] = private("hooks", 9.3)
    steps["functorch"] = private("functorch", 9.3)
    return numbers, steps


def ledger_of(mechanism: Mechanism) -> Ledger:
    """For one mechanism, under a budget that sets no limit: what is timed does not depend on it."""
    return Ledger(Plan(Budget(float("inf"), 1e-5), (mechanism,)), RandomGenerators())


def measure(steps: dict[str, Callable[[int], None]], repeats: int) -> dict[str, float]:
    """Median seconds per step, one step of every kind in turn; the slow kinds take every fourth turn."""
    times: dict[str, list[float]] = {name: [] for name in steps}
    counts = dict.fromkeys(steps, 0)
    for turn in range(-2, repeats):  # two turns to warm up
        for name, step in steps.items():
            if name in SLOW and turn % 4 and turn > 0:
                continue
            start = time.perf_counter()
            step(counts[name])
            counts[name] += 1
            if turn >= 0:
                times[name].append(time.perf_counter() - start)
    return {name: statistics.median(values) for name, values in times.items()}


def report(console: Console, title: str, parameters: int, batch_size: int, seconds: dict[str, float]) -> None:
    table = Table(title=f"{title}: {parameters:,} parameters, batch {batch_size}, {torch.get_num_threads()} threads")
    for heading in ("step", "ms", "x non-private", "x ours"):
        table.add_column(heading, justify="left" if heading == "step" else "right")
    plain, ours = seconds["non-private"], seconds["ours, secure noise"]
    for name, value in seconds.items():
        table.add_row(name, f"{value * 1e3:.1f}", f"{value / plain:.2f}", f"{value / ours:.2f}")
    console.print(table)


def main() -> None:
    parser = argparse.ArgumentParser(description="Seconds per training step, with and without privacy.")
    parser.add_argument("--repeats", type=int, default=15, help="interleaved repetitions of every kind of step")
    parser.add_argument("--networks", nargs="+", choices=NETWORKS, default=list(NETWORKS))
    parser.add_argument("--only", nargs="+", help="kinds of step to time besides non-private and ours")
    parser.add_argument("--json", type=Path, help="also write the figures to this file")
    parser.add_argument("--threads", type=int, help="of torch; one is steadiest on a busy machine")
    options = parser.parse_args()
    if options.threads:
        torch.set_num_threads(options.threads)
    console, figures = Console(), {}
    for key in options.networks:
        title, hidden, layers, batch_size = NETWORKS[key]
        parameters, steps = steps_of(hidden, layers, batch_size)
        if options.only is not None:
            always = {"non-private", "ours, secure noise", *options.only}
            steps = {name: step for name, step in steps.items() if name in always}
        seconds = measure(steps, options.repeats)
        report(console, title, parameters, batch_size, seconds)
        figures[key] = {"parameters": parameters, "batch_size": batch_size, "seconds_per_step": seconds}
    if options.json:
        figures["threads"] = torch.get_num_threads()
        options.json.write_text(json.dumps(figures, indent=2) + "\n")


if __name__ == "__main__":
    main()
