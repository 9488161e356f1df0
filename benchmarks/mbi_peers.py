"""MST and AIM as published, on the inference of mbi: what `marginals_quality.py --mbi PYTHON` compares with.

    PYTHON mbi_peers.py ASKED.npz CODES.npy

Needs numpy and mbi 2 (JAX, networkx), nothing of dpsynth, so that PYTHON may be of another environment. The wheel of
mbi estimates models from noisy marginals and samples them; the mechanisms around that are written here anew from

    MST  McKenna, Miklau, Sheldon 2021, arXiv 2108.04978: rho in thirds; codes below 3 sd merged; one tree of pairs
    AIM  McKenna, Mullins, Sheldon, Miklau 2022, arXiv 2201.12677: all 3-way marginals as workload, T = 16 D, a tenth
         for choices, candidates as far as the junction tree fits into `megabytes`, annealing

ASKED holds codes (n, D), sizes (D,), rho (zCDP, add or remove one row), seed, method and the limits `megabytes`,
`round_iterations`, `iterations` (of mirror descent) and `seconds`, after which AIM makes its next round the last one.
CODES gets (n, D) synthetic codes; what was run is printed as one line of JSON. Noise is numpy's floating-point normal:
fit for a comparison of quality, not for private data.
"""

# pyright: reportMissingImports=false

import itertools
import json
import math
import sys
import time
from functools import cache
from typing import Any

import jax
import numpy as np

jax.config.update("jax_enable_x64", True)  # mbi advises both and warns on import
jax.config.update("jax_enable_compilation_cache", False)

import mbi  # noqa: E402

Clique = tuple[int, ...]


class Private:
    """The rows, and the two mechanisms that look at them. `used`: zCDP spent so far."""

    def __init__(self, codes: np.ndarray, sizes: list[int], generator: np.random.Generator) -> None:
        self.codes, self.sizes, self.generator, self.used = codes, sizes, generator, 0.0
        self.domain = mbi.Domain(list(range(len(sizes))), sizes)
        self.counted: dict[Clique, np.ndarray] = {}

    def counts(self, clique: Clique) -> np.ndarray:
        """Exact counts, shaped by the sizes of the columns."""
        if clique not in self.counted:
            shape = [self.sizes[j] for j in clique]
            cells = np.ravel_multi_index(tuple(self.codes[:, j] for j in clique), shape)
            self.counted[clique] = np.bincount(cells, minlength=math.prod(shape)).reshape(shape).astype(float)
        return self.counted[clique]

    def measure(self, clique: Clique, sigma: float) -> mbi.LinearMeasurement:
        self.used += 0.5 / sigma**2
        exact = self.counts(clique).ravel()
        return mbi.LinearMeasurement(exact + self.generator.normal(scale=sigma, size=exact.size), clique, sigma)

    def ranked(self, scores: np.ndarray, sensitivity: float, epsilon: float) -> np.ndarray:
        """Positions by noisy score. The first of any public subset is what the exponential mechanism draws from it."""
        self.used += epsilon**2 / 8
        return np.argsort(-(epsilon / (2 * sensitivity) * scores + self.generator.gumbel(size=len(scores))))


class Marginals:
    """Exact marginals of one fitted model for any columns, each branch of the junction tree summed once.

    Equal to `model.project`, which compiles a program for every clique that no measurement holds: hours for AIM.
    """

    def __init__(self, model: mbi.MarkovRandomField) -> None:
        tree, _ = mbi.junction_tree.make_junction_tree(model.domain, [tuple(c) for c in model.cliques])
        self.cliques: list[Clique] = list(tree.nodes)
        oracle = mbi.marginal_oracles.default_oracle()
        beliefs = oracle(model.potentials.expand(self.cliques), 1.0)
        self.beliefs = [np.asarray(beliefs[clique].datavector(flatten=False)) for clique in self.cliques]
        place = {clique: k for k, clique in enumerate(self.cliques)}
        self.near = [[place[other] for other in tree.neighbors(clique)] for clique in self.cliques]
        first, joined = 0, self._cliques_behind(0, -1)
        for k in range(len(self.cliques)):  # parts of the tree that share no column hang on the first clique
            if k not in joined:
                joined |= self._cliques_behind(k, -1)
                self.near[first].append(k)
                self.near[k].append(first)
        self._behind, self._belief, self._given = cache(self._behind), cache(self._belief), cache(self._given)

    def __call__(self, clique: Clique) -> np.ndarray:
        """Probabilities, axes in increasing order of columns."""
        root = max(range(len(self.cliques)), key=lambda k: len({*clique} & {*self.cliques[k]}))
        return self._given(root, -1, frozenset(clique))

    def _cliques_behind(self, k: int, parent: int) -> set[int]:
        return {k}.union(*(self._cliques_behind(n, k) for n in self.near[k] if n != parent))

    def _behind(self, k: int, parent: int) -> frozenset[int]:
        """Columns of clique k and of all that are reached from it but not through `parent`."""
        return frozenset(j for c in self._cliques_behind(k, parent) for j in self.cliques[c])

    def _belief(self, k: int, kept: frozenset[int]) -> np.ndarray:
        clique = self.cliques[k]
        return np.einsum(self.beliefs[k], list(clique), sorted(kept))

    def _given(self, k: int, parent: int, wanted: frozenset[int]) -> np.ndarray:
        """Probabilities of the columns `wanted`, behind clique k, given those it shares with `parent` (-1: none)."""
        own = frozenset(self.cliques[k])
        shared = own & frozenset(self.cliques[parent]) if parent >= 0 else frozenset()
        kept, factors = (own & wanted) | shared, []
        for n in self.near[k]:
            there = (wanted - own) & self._behind(n, k) if n != parent else frozenset()
            if there:
                border = own & frozenset(self.cliques[n])
                kept |= border
                factors += [self._given(n, k, there), sorted(there | border)]
        out = sorted(wanted | shared)
        joint = np.einsum(self._belief(k, kept), sorted(kept), *factors, out, optimize=bool(factors))
        if not shared:
            return joint
        given = self._belief(k, shared).reshape([joint.shape[i] if j in shared else 1 for i, j in enumerate(out)])
        return np.divide(joint, given, out=np.zeros_like(joint), where=given > 0)


def fit(domain: mbi.Domain, measured: list[Any], iterations: int, start: Any = None, total: Any = None) -> Any:
    return mbi.estimation.MirrorDescent().estimate(
        domain, measured, known_total=total, iters=iterations, warm_start=start
    )


def mst(private: Private, rho: float, asked: dict[str, Any]) -> tuple[np.ndarray, float, dict[str, Any]]:
    """Synthetic codes, seconds of the fit, and what was run."""
    begun, d, domain = time.perf_counter(), len(private.sizes), private.domain
    third, total_of = rho / 3, mbi.estimation.minimum_variance_unbiased_total
    sigma = math.sqrt(0.5 * d / third)
    ones = [private.measure((j,), sigma) for j in range(d)]
    maps = {}
    for j, one in enumerate(ones):
        stands = np.asarray(one.noisy_measurement) >= 3 * sigma
        if not stands.all():
            maps[j] = np.where(stands, np.cumsum(stands) - 1, stands.sum())
    codes = np.stack([maps[j][private.codes[:, j]] if j in maps else private.codes[:, j] for j in range(d)], axis=1)
    sizes = [int(maps[j].max()) + 1 if j in maps else private.sizes[j] for j in range(d)]
    small = Private(codes, sizes, private.generator)
    merged = [one.compress(maps, domain) for one in ones]
    total = total_of(ones)
    distribution = Marginals(fit(small.domain, merged, asked["iterations"], total=total))

    pairs = list(itertools.combinations(range(d), 2))
    scores = np.array([np.abs(small.counts(pair) - total * distribution(pair)).sum() for pair in pairs])
    epsilon, part, tree = math.sqrt(8 * third / (d - 1)), list(range(d)), []
    for _ in range(d - 1):
        order = small.ranked(scores, 1.0, epsilon)
        i, j = next(pairs[k] for k in order if part[pairs[k][0]] != part[pairs[k][1]])
        part = [part[i] if p == part[j] else p for p in part]
        tree.append((i, j))
    sigma = math.sqrt(0.5 * (d - 1) / third)
    twos = [small.measure(pair, sigma) for pair in tree]
    model = fit(small.domain, merged + twos, asked["iterations"], total=total_of(ones + twos))
    seconds = time.perf_counter() - begun
    drawn = model.synthetic_data(len(codes)).decompress(maps)
    private.used += small.used
    run = {"tree": tree, "iterations": asked["iterations"], "codes": small.sizes}
    return np.stack([drawn.data[j] for j in range(d)], axis=1), seconds, run


def aim(private: Private, rho: float, asked: dict[str, Any]) -> tuple[np.ndarray, float, dict[str, Any]]:
    """Synthetic codes, seconds of the fit, and what was run."""
    begun, d, domain = time.perf_counter(), len(private.sizes), private.domain
    targets = list(itertools.combinations(range(d), min(3, d)))
    candidates = sorted({r for t in targets for k in range(1, len(t) + 1) for r in itertools.combinations(t, k)})
    weights = np.array([sum(len({*r} & {*t}) for t in targets) for r in candidates], dtype=float)
    cells = np.array([domain.size(r) for r in candidates])
    most = 16 * d
    sigma, epsilon = math.sqrt(most / (2 * 0.9 * rho)), math.sqrt(8 * 0.1 * rho / most)
    measured = [private.measure((j,), sigma) for j in range(d)]
    model = fit(domain, measured, asked["round_iterations"])
    chosen, last, late = [], False, False
    while not last:
        left = rho - private.used
        late = time.perf_counter() - begun > asked["seconds"]
        last = late or left < 2 * (0.5 / sigma**2 + epsilon**2 / 8)
        if last:
            sigma, epsilon = math.sqrt(1 / (2 * 0.9 * left)), math.sqrt(8 * 0.1 * left)
        distribution, total = Marginals(model), float(model.total)
        before = [total * distribution(r) for r in candidates]
        misfit = np.array([np.abs(private.counts(r) - p).sum() for r, p in zip(candidates, before, strict=True)])
        noise = math.sqrt(2 / math.pi) * sigma * cells
        order = private.ranked(weights * (misfit - noise), weights.max(), epsilon)
        spent = (private.used + 0.5 / sigma**2) / rho
        have, held = [m.clique for m in measured], [{*c} for c in distribution.cliques]
        for k in order:
            clique = candidates[k]
            if any({*clique} <= c for c in held):
                break
            if mbi.junction_tree.hypothetical_model_size(domain, [*have, clique]) <= asked["megabytes"] * spent:
                break
        chosen.append(clique)
        measured.append(private.measure(clique, sigma))
        model = fit(domain, measured, asked["iterations" if last else "round_iterations"], start=model)
        moved = np.abs(np.asarray(model.project(clique).datavector(flatten=False)) - before[k]).sum()
        print(f"round {len(chosen)} {clique} sigma {sigma:.1f} {time.perf_counter() - begun:.0f} s", file=sys.stderr)
        if moved <= noise[k]:
            sigma, epsilon = sigma / 2, epsilon * 2
    seconds = time.perf_counter() - begun
    drawn = model.synthetic_data(len(private.codes))
    size = mbi.junction_tree.hypothetical_model_size(domain, [m.clique for m in measured])
    limits = {name: asked[name] for name in ("megabytes", "round_iterations", "iterations", "seconds")}
    run = {"rounds": len(chosen), "ended by time": late, "model megabytes": round(size, 3), "limits": limits}
    return np.stack([drawn.data[j] for j in range(d)], axis=1), seconds, run


def main() -> None:
    source, destination = sys.argv[1:]
    with np.load(source) as file:
        asked = {name: file[name] if file[name].ndim else file[name].item() for name in file.files}
    np.random.seed(asked["seed"])  # noqa: NPY002 - mbi samples with numpy's global generator
    private = Private(asked["codes"].astype(np.int64), asked["sizes"].tolist(), np.random.default_rng(asked["seed"]))
    codes, seconds, run = {"mst": mst, "aim": aim}[asked["method"]](private, asked["rho"], asked)
    np.save(destination, codes)
    print(json.dumps({"seconds": seconds, "rho": asked["rho"], "spent": private.used, **run}))


if __name__ == "__main__":
    main()
