"""Is a method what its plan says? The contract of `Synthesizer`, as a function for authors of methods.

    from dpsynth.testing import check_model
    check_model(MyMethod(steps=4))          # a small recipe: it is fitted a few dozen times

The checks are those that every method of the package passes in its own tests: - the plan needs no data, stays within
the budget, and is the same twice; - *noise meter*: releases, sampling rates and the noise that is drawn are those that
are charged (`privacy/noise_meter.py`); - *replay*: with all releases frozen, a table (or set of images) with a first,
middle or last row removed or replaced, by
  an ordinary or an extreme one, gives the same queries within their sensitivities, and the same published bits
  (`privacy/replay.py`), at a small epsilon and at a large one, which crosses the branches that noise hides;
- a finished fit is stated to be private, an infinite epsilon is not; samples lie inside the domain; a saved model is
the
  same when it is loaded.
"""

# pyright: reportMissingTypeStubs=false, reportUnknownMemberType=false

from __future__ import annotations

import contextlib
import datetime as dt
import io
import json
import math
import tempfile
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import numpy as np
import pandas as pd

from dpsynth.data import Boolean, Category, Date, Domain, ImageDomain, Images, Integer, Number
from dpsynth.data.database import Database, DatabaseDomain, LinkedTable
from dpsynth.data.table.table import Table
from dpsynth.models.contract.fitted import Fitted, load
from dpsynth.models.contract.synthesizer import Synthesizer
from dpsynth.privacy.accounting.budget import Budget, Neighbours
from dpsynth.privacy.noise.random import RandomGenerators
from dpsynth.privacy.noise_meter import NoiseMeter
from dpsynth.privacy.replay import AuditError, Coupling, audit, same
from dpsynth.release.facts import Facts
from dpsynth.release.folder import write_release

DELTA = 1e-5
RELATIONS: tuple[Neighbours, ...] = ("add_remove", "replace_one")
TABLES = Domain(
    (
        Category("kind", categories=("a", "b", "never"), missing=True),
        Integer("size", low=0, high=40, point_masses=(0,)),
        Number("weight", low=0.0, high=1000.0),
        Boolean("member"),
        Date("joined", low=dt.date(1990, 1, 1), high=dt.date(2020, 12, 31), missing=True),
        Category("label", categories=("no", "yes"), label=True),
    ),
    rows=60,
)
IMAGES = ImageDomain(8, 8, classes=("disk", "bar", "never"), rows=60)

DATABASE = DatabaseDomain(
    "persons",
    {
        "persons": LinkedTable(
            "persons", Domain((Category("kind", ("a", "b")), Integer("age", 0, 100)), rows=60), key=("person",)
        ),
        "visits": LinkedTable(
            "visits",
            Domain(
                (
                    Date("day", dt.date(1990, 1, 1), dt.date(2020, 12, 31)),
                    Category("state", ("good", "bad", "never"), missing=True),
                    Number("cost", low=0.0, high=100.0),
                )
            ),
            key=("visit",), parent="persons", foreign_key=("person",), most=4, order="day",
            rules=("next.day >= day",),
        ),
        "claims": LinkedTable(
            "claims", Domain((Boolean("paid"),)), parent="persons", foreign_key=("person",), most=3
        ),
        "items": LinkedTable(
            "items", Domain((Integer("price", 0, 9),)), parent="visits", foreign_key=("visit",), most=2
        ),
    },
)  # fmt: skip

Data = Table | Images | Database


def check_model(
    recipe: Synthesizer,
    *,
    rows: int = 60,
    epsilons: Sequence[float] = (1.0, 100.0),
    relations: Sequence[Neighbours] = RELATIONS,
    seed: int = 0,
) -> None:
    """Run every check on a small recipe, for each of its modalities.

    Args:
        recipe: Small public settings, so that a fit takes well under a second.
        rows: Of the made-up data.
        epsilons: Of the replays.
        relations: Neighbour relations to check.
        seed: Of the made-up data and of everything that is random.

    Raises:
        AuditError: The first check that fails, in words.
    """
    for modality in sorted(recipe.modalities):
        data = EXAMPLES[modality](rows, seed)
        for neighbours in relations:
            check_plan(recipe, data, Budget(1.0, DELTA, neighbours))
            check_noise(recipe, data, Budget(1.0, DELTA, neighbours), seed)
            for epsilon in epsilons:
                check_replay(recipe, data, Budget(epsilon, DELTA, neighbours), seed)
        check_release(recipe, data)


def check_plan(recipe: Synthesizer, data: Data, budget: Budget) -> None:
    """The plan stays within the budget, is nearly all of it, and follows from public facts alone."""
    plan = recipe.plan_for(data, budget)
    if not plan.proven.epsilon <= budget.epsilon + 1e-9:
        raise AuditError(f"the plan costs epsilon {plan.proven.epsilon:.6g}, more than {budget.epsilon:g}")
    if json.dumps(plan.to_dict()) != json.dumps(recipe.plan_for(data, budget).to_dict()):
        raise AuditError("the plan is another one the second time: something but public facts enters it")
    if plan.memory_bytes <= 0:
        raise AuditError("the plan estimates no memory")


def check_noise(recipe: Synthesizer, data: Data, budget: Budget, seed: int = 0) -> None:
    """What is drawn is what is charged."""
    plan, meter = recipe.plan_for(data, budget), NoiseMeter(seed)
    recipe.fit(data, plan, RandomGenerators(seed, privacy=meter))
    meter.check(plan)


def check_replay(recipe: Synthesizer, data: Data, budget: Budget, seed: int = 0) -> None:
    """Neighbours give the same queries within their sensitivities, and the same results when releases are frozen.

    What the fit prints counts as a result: a terminal is read by others.
    """

    def publish(rows: Data, randomness: RandomGenerators) -> object:
        said = io.StringIO()
        with contextlib.redirect_stdout(said), contextlib.redirect_stderr(said), warnings.catch_warnings(record=True):
            fitted = recipe.fit(rows, plan, randomness)
        sample: Any = fitted.sample(5, seed=0)
        return (
            fitted.config(),
            fitted.tensors(),
            _content(sample),
            json.dumps(fitted.statement),
            said.getvalue(),
            released(fitted, sample),
        )

    plan = recipe.plan_for(data, budget)
    for place in (0, len(data) // 2, len(data) - 1):
        if budget.neighbours == "add_remove":
            coupling = Coupling.without(place, len(data))
            audit(publish, data, removed(data, place), seed=seed, couplings=(None, coupling))
            audit(publish, removed(data, place), data, seed=seed, couplings=(coupling, None))
        else:
            for other in replaced(data, place):
                audit(publish, data, other, seed=seed, changed=place)


def released(fitted: Fitted[Any], sample: Any) -> dict[str, bytes]:
    """Every file of a release, by name, as it is handed out."""
    with tempfile.TemporaryDirectory() as folder:
        write_release(fitted, sample.write, Path(folder), Facts(date="2000-01-01"), sample.suffix)
        files = sorted(path for path in Path(folder).rglob("*") if path.is_file())
        return {str(path.relative_to(folder)): path.read_bytes() for path in files}


def check_release(recipe: Synthesizer, data: Data) -> None:
    """A fitted model says what it is, samples inside its domain, and survives saving."""
    fitted = recipe.fit(data, Budget(1.0, DELTA))
    if not (fitted.statement["private"] and fitted.statement["finished"]):
        raise AuditError(f"a whole fit is stated as: {fitted.statement['guarantee']}")
    if recipe.fit(data, Budget(math.inf, DELTA)).statement["private"]:
        raise AuditError("a fit without a finite epsilon is stated to be private")
    sample: Any = fitted.sample(50, seed=0)
    tables = [sample] if isinstance(data, Table) else sample.tables.values() if isinstance(data, Database) else []
    if not all(Table(table.frame, table.domain, "error").frame.equals(table.frame) for table in tables):
        raise AuditError("samples leave the domain")
    with tempfile.TemporaryDirectory() as folder:
        fitted.save(Path(folder) / "release")
        again: Any = load(Path(folder) / "release").sample(50, seed=0)
    if not same(_content(sample), _content(again)):
        raise AuditError("a saved model draws other rows than before")


def example_rows(n: int, seed: int = 0) -> Table:
    """n made-up rows with every kind of column; the last one is extreme in all of them."""
    draw = np.random.default_rng(seed)
    size = draw.integers(0, 41, n)
    joined = pd.Timestamp("1990-01-01") + pd.to_timedelta(draw.integers(0, 11_000, n), unit="D")
    frame = pd.DataFrame(
        {
            "kind": np.array(["a", "b", None], dtype=object)[draw.integers(0, 3, n)],
            "size": np.where(draw.random(n) < 0.3, 0, size),
            "weight": draw.lognormal(3, 1, n),
            "member": draw.random(n) < 0.3,
            "joined": pd.Series(joined).mask(draw.random(n) < 0.2),
            "label": np.where(size + draw.normal(0, 8, n) > 20, "yes", "no"),
        }
    )
    frame.loc[n - 1, ["kind", "size", "weight", "member", "label"]] = ["never", 40, 1e9, True, "no"]
    return Table(frame, replace(TABLES, rows=n))


def example_images(n: int, seed: int = 0) -> Images:
    """n made-up images, disks and bars; the last one is white and of a class of its own."""
    draw = np.random.default_rng(seed)
    labels = draw.integers(0, 2, n)
    rows, columns = np.mgrid[: IMAGES.height, : IMAGES.width]
    top, left = draw.uniform(2, IMAGES.height - 3, (2, n, 1, 1))
    disk, bar = np.hypot(rows - top, columns - left) < 2.5, abs(rows - top) < 1.5
    inside = cast(Any, np.where(labels[:, None, None] == 0, disk, bar))
    pixels: Any = (inside * draw.integers(100, 256, (n, 1, 1))).astype(np.uint8)[:, None]
    pixels[-1], labels[-1] = 255, 2
    return Images(pixels, labels, replace(IMAGES, rows=n))


def example_database(n: int, seed: int = 0) -> Database:
    """n made-up persons, the first without any rows, the last with as many as there may be, all of them extreme."""
    draw = np.random.default_rng(seed)
    visits = draw.integers(0, 5, n)
    visits[0], visits[-1] = 0, 4
    of_visit = np.repeat(np.arange(n), visits)
    items = draw.integers(0, 3, len(of_visit))
    items[-4:] = 2
    claims = draw.integers(0, 3, n)
    claims[0], claims[-1] = 0, 3
    last = of_visit == n - 1
    days = np.sort(draw.integers(0, 11_000, len(of_visit)))[np.argsort(np.argsort(of_visit, kind="stable"))]
    state = np.array(["good", "bad", None], dtype=object)[draw.integers(0, 3, len(of_visit))]
    frames = {
        "persons": pd.DataFrame({"kind": np.array(["a", "b"], dtype=object)[draw.integers(0, 2, n)]}).assign(
            age=np.append(draw.integers(0, 90, n - 1), 100)
        ),
        "visits": pd.DataFrame(
            {
                "day": pd.Timestamp("1990-01-01") + pd.to_timedelta(days, unit="D"),
                "state": np.where(last, "never", state),
                "cost": np.where(last, 100.0, draw.random(len(of_visit)) * 50),
            }
        ),
        "claims": pd.DataFrame({"paid": draw.random(claims.sum()) < 0.3}),
        "items": pd.DataFrame({"price": draw.integers(0, 10, items.sum())}),
    }
    domain = DATABASE.with_rows(n)
    owners = {
        "visits": of_visit,
        "claims": np.repeat(np.arange(n), claims),
        "items": np.repeat(np.arange(len(of_visit)), items),
    }
    return Database(domain, {table.name: Table(frames[table.name], table.domain) for table in domain}, owners)


EXAMPLES = {"table": example_rows, "image": example_images, "database": example_database}


def _content(data: Any) -> object:
    """Everything that data hold, to be compared."""
    if isinstance(data, Database):
        return {name: table.frame for name, table in data.tables.items()}, data.owners
    return data.frame if isinstance(data, Table) else (data.pixels, data.labels)


def removed(data: Data, place: int) -> Any:
    """The data without one row or person, under the same domain."""
    rest = np.delete(np.arange(len(data)), place)
    if isinstance(data, Database):
        return data.take(rest)
    if isinstance(data, Table):
        return Table(cast(pd.DataFrame, data.frame.iloc[rest].reset_index(drop=True)), data.domain)
    return Images(data.pixels[rest], None if data.labels is None else data.labels[rest], data.domain)


def replaced(data: Data, place: int) -> Iterator[Any]:
    """The data with one row or person replaced: by the next one, and by the extreme last one."""
    for other in {(place + 1) % len(data), len(data) - 1} - {place}:
        index = np.arange(len(data))
        index[place] = other
        if isinstance(data, Database):
            yield data.take(index)
            continue
        if isinstance(data, Table):
            yield Table(cast(pd.DataFrame, data.frame.iloc[index].reset_index(drop=True)), data.domain)
        else:
            yield Images(data.pixels[index], None if data.labels is None else data.labels[index], data.domain)
