"""How fast are stacked teachers? Teachers trained a second, against a loop over the same networks as separate modules.

    python benchmarks/teachers_speed.py [--teachers 4000] [--inputs 64] [--hidden 16] [--batch 15] [--queries 15]
        [--chunks 50 100 250 500 1000] [--looped 60] [--repeats 5] [--threads 1]

Both sides take the same Adam step of the same loss on the same numbers: `batch` real rows of the teacher's own against
`queries` that all teachers see. The loop has one nn.Module and one torch.optim.Adam for each teacher and is timed on
`looped` of them. Stacked and loop take turns `repeats` times in one run; medians are printed, and the results compared.
"""

from __future__ import annotations

import argparse
import statistics
import time

import torch
from torch import Tensor, nn
from torch.nn.functional import leaky_relu, softplus

from dpsynth.models.datalens.teachers import Chunk
from dpsynth.networks.discriminators import SLOPE, StackedMLP


class Teacher(nn.Module):
    """One member of the stack as a module of its own."""

    def __init__(self, parts: list[Tensor]) -> None:
        super().__init__()
        self.first, self.bias, self.last, self.straight, self.offset = (nn.Parameter(part.clone()) for part in parts)

    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        hidden = leaky_relu(torch.addmm(self.bias, x, self.first.T), SLOPE)
        return (hidden * self.last[y]).sum(1) + (self.straight[y] * x).sum(1) + self.offset[y]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name, value in (("teachers", 4000), ("inputs", 64), ("hidden", 16), ("batch", 15), ("queries", 15)):
        parser.add_argument(f"--{name}", type=int, default=value)
    parser.add_argument("--chunks", type=int, nargs="+", default=[50, 100, 250, 500, 1000])
    for name, value in (("looped", 60), ("repeats", 5), ("threads", 1)):
        parser.add_argument(f"--{name}", type=int, default=value)
    wanted = parser.parse_args()
    torch.set_num_threads(wanted.threads)
    generator = torch.Generator().manual_seed(0)
    network = StackedMLP(wanted.inputs, 10, wanted.hidden)
    real = torch.randn(wanted.teachers, wanted.batch, wanted.inputs, generator=generator)
    kinds = torch.randint(10, (wanted.teachers, wanted.batch), generator=generator)
    x, y = torch.randn(wanted.queries, wanted.inputs, generator=generator), torch.arange(wanted.queries) % 10
    start = network.parameters(1, generator)
    weight, against = 1.0 / wanted.batch, 1.0 / wanted.queries

    def chunks_of(size: int) -> list[tuple[int, Chunk]]:
        made = []
        for first in range(0, wanted.teachers, size):
            count = min(size, wanted.teachers - first)
            made.append((first, Chunk([part.expand(count, *part.shape[1:]).clone() for part in start], 1e-2)))
        return made

    def stacked(chunks: list[tuple[int, Chunk]]) -> None:
        for first, chunk in chunks:
            own = slice(first, first + len(chunk.parameters[0]))
            loss = softplus(-network.own(chunk.parameters, real[own], kinds[own])).sum() * weight
            loss = loss + softplus(network.common(chunk.parameters, x, y)).sum() * against
            chunk.optimizer.zero_grad()
            loss.backward()
            chunk.optimizer.step()

    alone = [Teacher([part[0] for part in start]) for _ in range(wanted.looped)]
    optimizers = [torch.optim.Adam(teacher.parameters(), lr=1e-2, betas=(0.5, 0.999)) for teacher in alone]

    def loop() -> None:
        for i, (teacher, optimizer) in enumerate(zip(alone, optimizers, strict=True)):
            loss = softplus(-teacher(real[i], kinds[i])).sum() * weight + softplus(teacher(x, y)).sum() * against
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()

    def timed(work, *arguments) -> float:
        begun = time.perf_counter()
        work(*arguments)
        return time.perf_counter() - begun

    print(f"{wanted.teachers} teachers of {network.size} parameters, {wanted.batch} rows, {wanted.queries} queries")
    loop()
    for size in wanted.chunks:
        chunks = chunks_of(size)
        stacked(chunks)
        pairs = [(timed(stacked, chunks), timed(loop)) for _ in range(wanted.repeats)]
        fast = statistics.median(wanted.teachers / one for one, _ in pairs)
        slow = statistics.median(wanted.looped / other for _, other in pairs)
        ratio = statistics.median(wanted.teachers / one * other / wanted.looped for one, other in pairs)
        print(f"chunks of {size:>5}: stacked {fast:>9.0f} teachers/s, loop {slow:>7.0f}, {ratio:.1f} times faster")
    last = chunks_of(wanted.chunks[-1])
    again = [Teacher([part[0] for part in start]) for _ in range(3)]
    fresh = [torch.optim.Adam(teacher.parameters(), lr=1e-2, betas=(0.5, 0.999)) for teacher in again]
    alone[:3], optimizers[:3] = again, fresh
    for _ in range(3):
        stacked(last)
        loop()
    gap = max(
        float((part[i] - own.detach()).abs().max())
        for i in range(3)
        for part, own in zip(last[0][1].detached(), again[i].parameters(), strict=True)
    )
    print(f"after 3 steps the two differ by at most {gap:.1e}")


if __name__ == "__main__":
    main()
