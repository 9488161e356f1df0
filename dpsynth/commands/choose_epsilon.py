"""dpsynth choose-epsilon: what an epsilon lets an attacker learn, as a table and as a picture. Needs no data."""

from __future__ import annotations

import argparse
import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table as Grid

from dpsynth.errors import BudgetError, ConfigError
from dpsynth.privacy.accounting.attacks import (
    advantage,
    check,
    gaussian_advantage,
    gaussian_mu,
    gaussian_power,
    posterior,
    power,
)

EPSILONS = (0.1, 0.3, 1.0, 3.0, 8.0)
ACCUSED = 0.01  # rate of false accusations in the table
RARE = 0.01  # belief before, of someone about whom little is known
SUFFIXES = (".png", ".pdf", ".svg")


def choose_epsilon(arguments: Sequence[str]) -> None:
    """Print what each epsilon means, and draw it with --out."""
    parser = argparse.ArgumentParser(
        prog="dpsynth choose-epsilon",
        description="What an epsilon lets anyone learn about one person: limits that hold for every attacker, even one "
        "who knows everything else and sees the whole release.",
    )
    parser.add_argument("epsilons", nargs="*", type=float, metavar="EPSILON", help="to compare; by default 0.1 to 8")
    parser.add_argument("--delta", type=float, default=1e-5, help="by default 1e-5")
    parser.add_argument("--prior", type=float, default=0.5, help="belief that someone is in, before the release")
    parser.add_argument("--any", action="store_true", help="limits for any mechanism, not for Gaussian noise")
    parser.add_argument("--out", type=Path, help="draw the curves into FILE.png, .pdf or .svg")
    options = parser.parse_args(list(arguments))
    epsilons = sorted(set(options.epsilons or EPSILONS))
    if not 0 < options.delta < 1:
        raise BudgetError(f"--delta {options.delta:g}: must lie between 0 and 1, far below 1 / (number of people)")
    if not 0 < options.prior < 1:
        raise ConfigError(f"--prior {options.prior:g}: must lie between 0 and 1")
    for epsilon in epsilons:
        check(epsilon, options.delta)
        if not math.isfinite(epsilon) or epsilon > 500:
            raise BudgetError(f"epsilon={epsilon:g}: bounds nothing; compare values up to 500")
    if options.out is not None and options.out.suffix not in SUFFIXES:
        raise ConfigError(f"--out {options.out}: end the name with {', '.join(SUFFIXES)}")
    if options.out is not None and options.out.exists():
        raise ConfigError(f"--out {options.out}: exists already; choose another name or remove it first")
    console = Console()
    console.print(_grid(epsilons, options.delta, options.prior, options.any))
    console.print(_words(epsilons[len(epsilons) // 2], options.delta, options.prior, options.any),
                  highlight=False)  # fmt: skip
    if options.out is not None:
        _draw(epsilons, options.delta, options.any, options.out)
        console.print(f"drawn: {options.out}", highlight=False, soft_wrap=True)


def _grid(epsilons: Sequence[float], delta: float, prior: float, any_mechanism: bool) -> Grid:
    kind = "any mechanism" if any_mechanism else "Gaussian noise"
    grid = Grid(title=f"The strongest attacker at delta {delta:g}; {kind}", title_justify="left")
    heads = ("epsilon", "mu", "advan-\ntage", f"found at\n{100 * ACCUSED:g} % wrong", f"belief\n{100 * prior:g} % to",
             f"belief\n{100 * RARE:g} % to", "odds\ntimes")  # fmt: skip
    for head in heads:
        grid.add_column(head, justify="right", no_wrap=True)
    for epsilon in epsilons:
        mu = gaussian_mu(epsilon, delta)
        gain = advantage(epsilon, delta) if any_mechanism else gaussian_advantage(mu)
        caught = power(ACCUSED, epsilon, delta) if any_mechanism else gaussian_power(ACCUSED, mu)
        grid.add_row(
            f"{epsilon:g}",
            "" if any_mechanism else f"{mu:.3g}",
            f"{100 * gain:.1f} %",
            f"{100 * float(caught):.1f} %",
            _percent(posterior(prior, epsilon)),
            _percent(posterior(RARE, epsilon)),
            f"{math.exp(epsilon):.3g}",
        )
    return grid


def _percent(chance: float) -> str:
    return "> 99.9 %" if chance > 0.999 else f"{100 * chance:.1f} %"


def _words(epsilon: float, delta: float, prior: float, any_mechanism: bool) -> str:
    """One line of the table in a sentence, and how to read it."""
    mu = gaussian_mu(epsilon, delta)
    gain = advantage(epsilon, delta) if any_mechanism else gaussian_advantage(mu)
    return (
        f"Epsilon {epsilon:g}: whoever believes with {100 * prior:g} % that someone is in the table believes it with "
        f"at most {100 * posterior(prior, epsilon):.0f} % after the release (outside an event of probability "
        f"{delta:g}), and guesses right at most {50 + 50 * gain:.0f} times of 100 where half are in.\n"
        f"Found at {100 * ACCUSED:g} % wrong: part of those who are in that an attack can recognise while it wrongly "
        "accuses that part of the others. Advantage: recognised minus wrongly accused, at most. No attack gets beyond "
        "these limits. What holds for people in general may still be learnt about everybody, and several releases from "
        "the same people add up."
    )


def _draw(epsilons: Sequence[float], delta: float, any_mechanism: bool, out: Path) -> None:
    from dpsynth.figures.attack_limits import AttackCurve, attack_limits

    alpha, prior = np.linspace(0, 1, 501), np.linspace(1e-6, 1 - 1e-6, 501)
    curves = [
        AttackCurve(
            epsilon,
            alpha,
            power(alpha, epsilon, delta) if any_mechanism else gaussian_power(alpha, gaussian_mu(epsilon, delta)),
            prior,
            np.array([posterior(float(each), epsilon) for each in prior]),
        )
        for epsilon in epsilons
    ]
    kind = "any mechanism" if any_mechanism else "Gaussian noise"
    picture = attack_limits(curves, f"The strongest attacker, delta {delta:g}, {kind}")
    out.parent.mkdir(parents=True, exist_ok=True)
    picture.savefig(out)
