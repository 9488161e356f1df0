"""How good are the methods over marginals, and what does their time depend on?

    python benchmarks/marginals_quality.py --epsilons 0.3,1,3,10 --seeds 0,1,2 [--methods mst,aim] [key=value ...]
    python benchmarks/marginals_quality.py --methods mst,aim --mbi OTHER/bin/python
    python benchmarks/marginals_quality.py --rows 1000,10000,100000,1000000,10000000

The first scores independent, privbayes, mst and aim on Adult against the official test split; scores and --validate as
in `table_quality.py`, and `key=value` sets a field of those recipes that have it. The second prints the seconds of a
fit of privbayes and mst against the number of rows, which are drawn again and again from the toy distribution `mixed`:
bins, measurements and models do not grow, so beyond encoding only counting may.
"""

import json
import subprocess
import tempfile
import time
from dataclasses import fields, replace
from pathlib import Path

import numpy as np
import pandas as pd
from dp_accounting import ZCDpEvent
from dp_accounting.rdp import RdpAccountant
from rich.console import Console
from rich.table import Table as Shown
from scipy.optimize import brentq
from table_quality import Method, arguments, changes, compare, fitting, show, write

import dpsynth
from dpsynth.data import Table
from dpsynth.data.sources.toy import DISTRIBUTIONS
from dpsynth.data.table.codec import Codec, Encoded
from dpsynth.models.marginal.aim import AIM
from dpsynth.models.marginal.independent import Independent
from dpsynth.models.marginal.mst import MST
from dpsynth.models.marginal.privbayes import PrivBayes
from dpsynth.privacy import RandomGenerators

RECIPES = {
    "independent": Independent(),
    "privbayes": PrivBayes(),
    "privbayes-ancestral": PrivBayes(estimator="ancestral"),
    "mst": MST(),
    "aim": AIM(),
}
GROWN = 100_000  # rows of the toy distribution that larger tables repeat
PEERS = ("mst", "aim")  # also written on mbi
PEER_BINS = 32  # of a number, for mbi: of equal width
# Of `mbi_peers.py`: the junction tree and the iterations that our aim has.
# On two busy cores mbi-aim took 3 to 6 minutes; a run is given up after twice the seconds.
LIMITS = {
    "megabytes": AIM().model_megabytes,
    "round_iterations": AIM().round_iterations,
    "iterations": AIM().iterations,
    "seconds": 600.0,
}


def main() -> None:
    parser = arguments(__doc__)
    parser.add_argument("--methods", default="independent,privbayes,mst,aim")
    parser.add_argument("--mbi", help="a python that has mbi 2; adds mbi-mst and mbi-aim for chosen mst and aim")
    parser.add_argument("--rows", help="numbers of rows; measures time instead of quality")
    wanted = parser.parse_args()
    given = changes(wanted.overrides)
    recipes = {}
    for name in wanted.methods.split(","):
        known = {field.name for field in fields(RECIPES[name])}
        recipes[name] = RECIPES[name].replace(**{key: value for key, value in given.items() if key in known})
    unread = set(given) - {field.name for recipe in recipes.values() for field in fields(recipe)}
    if unread:
        parser.error(f"no chosen method has a field {', '.join(sorted(unread))}")
    if wanted.rows:
        grow([int(n) for n in wanted.rows.split(",")], float(wanted.epsilons.split(",")[0]), wanted.delta)
        return
    methods = {name: fitting(recipe) for name, recipe in recipes.items()}
    if wanted.mbi:
        methods |= {f"mbi-{name}": peer(wanted.mbi, name, PEER_BINS) for name in PEERS if name in recipes}
    results = compare(methods, wanted)
    show(results, f"{wanted.data}, delta {wanted.delta:g}, mean (sd) over seeds")
    write(wanted.json, recipes, results)


def peer(python: str, method: str, bins: int) -> Method:
    """A mechanism of `mbi_peers.py` as a method; seconds are of its fit, without imports and sampling."""

    def fit(train: Table, budget: dpsynth.Budget, seed: int) -> tuple[pd.DataFrame, float]:
        codec = Codec(train.domain, bins)
        rho = largest_rho(budget)
        with tempfile.TemporaryDirectory() as folder:
            asked, drawn = Path(folder, "asked.npz"), Path(folder, "codes.npy")
            facts = {"sizes": codec.sizes, "rho": rho, "seed": seed, "method": method, **LIMITS}
            np.savez(asked, codes=codec.encode(train.frame).codes, **facts)
            command = [python, str(Path(__file__).with_name("mbi_peers.py")), str(asked), str(drawn)]
            said = subprocess.run(command, check=True, timeout=2 * LIMITS["seconds"], stdout=subprocess.PIPE, text=True)
            codes = np.load(drawn).astype(codec.dtype)
        run = json.loads(said.stdout)
        print(f"mbi-{method}: {said.stdout.strip()}", flush=True)
        return codec.decode(Encoded(codes), np.random.default_rng(seed)), run["seconds"]

    return fit


def largest_rho(budget: dpsynth.Budget) -> float:
    """The largest zCDP within the budget, converted at delta: what mechanisms that compose zCDP may spend."""

    def excess(rho: float) -> float:
        return RdpAccountant().compose(ZCDpEvent(rho)).get_epsilon(budget.delta) - budget.epsilon

    return brentq(excess, 0.0, budget.epsilon)


def grow(sizes: list[int], epsilon: float, delta: float) -> None:
    """Seconds of encoding and of whole fits, for tables of `sizes` rows of one distribution."""
    distribution = DISTRIBUTIONS["mixed"]()
    drawn = distribution.sample(GROWN, seed=0)
    for recipe in (PrivBayes(), MST()):  # compiles and loads what the first run of a process has to
        recipe.fit(drawn, dpsynth.Budget(epsilon, delta), RandomGenerators(0))
    shown = Shown("rows", "encoding", "privbayes", "mst", title="seconds; a fit includes encoding")
    for n in sizes:
        again = np.random.default_rng(n).integers(GROWN, size=n)
        table = Table(drawn.frame.iloc[again].reset_index(drop=True), replace(distribution.domain, rows=n))
        codec = Codec(table.domain, PEER_BINS)
        seconds = [timed(lambda codec=codec, table=table: codec.encode(table.frame))]
        for recipe in (PrivBayes(), MST()):
            budget = dpsynth.Budget(epsilon, delta)
            seconds.append(
                timed(lambda recipe=recipe, table=table, budget=budget: recipe.fit(table, budget, RandomGenerators(0)))
            )
        shown.add_row(f"{n:,}", *(f"{value:.2f}" for value in seconds))
        print(n, seconds, flush=True)
    Console(width=100).print(shown)


def timed(work) -> float:
    begun = time.perf_counter()
    work()
    return time.perf_counter() - begun


if __name__ == "__main__":
    main()
