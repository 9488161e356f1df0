"""The replay audit from the file on: a CSV without its first, a middle or its last row neighbours the whole one."""

import json

import numpy as np
import pandas as pd
import pytest

import dpsynth
from dpsynth.data import sources
from dpsynth.data.selection import Selection
from dpsynth.models import MST, Independent
from dpsynth.privacy.replay import Coupling, audit

KEY = bytes([1]) * 32  # under which all three of these rows are in training
SCHEMA = """
columns:
  city: {kind: category, categories: [Bonn, Ulm], other: elsewhere, missing: true}
  age: {kind: integer, bounds: [0, 110], missing: true}
  income: {kind: number, bounds: [0, 50000], point_masses: 0, missing: true}
  born: {kind: date, bounds: [1900-01-01, 2026-12-31], missing: true}
  label: {kind: category, categories: ["no", "yes"], label: true}
rows: 60
"""
ODD = ["Köln,200,1e300,9999-12-31,yes", ",,,,no", "Ulm,3.7,-5,2020-02-02T10:00:00.000000001Z,yes"]
METHODS = [Independent(cells=8), MST(), MST(cells=8)]


@pytest.fixture(scope="module")
def lines():
    """A file with odd rows in front, in the middle and at the end."""
    draw = np.random.default_rng(0)
    rows = [
        f"{draw.choice(['Bonn', 'Ulm'])},{draw.integers(0, 111)},{draw.choice([0, draw.integers(0, 50_001)])},"
        f"19{draw.integers(10, 99)}-01-{draw.integers(10, 28)},{draw.choice(['no', 'yes'])}"
        for _ in range(57)
    ]
    return [ODD[0], *rows[:28], ODD[1], *rows[28:], ODD[2]]


def training_rows(folder, lines):
    """What a run would learn from: read, split by the secret key, as on the command line."""
    path = folder / "people.csv"
    path.write_text("city,age,income,born,label\n" + "".join(f"{line}\n" for line in lines), encoding="utf-8")
    (folder / "people.yaml").write_text(SCHEMA)
    options = {"path": str(path), "schema": str(folder / "people.yaml"), "holdout": 0.2, "unreadable": "missing"}
    return sources.load("csv", **options, selection=Selection(KEY)).train


@pytest.mark.parametrize("recipe", METHODS, ids=repr)
@pytest.mark.parametrize("epsilon", [1.0, 100.0])
@pytest.mark.parametrize("place", ["first", "middle", "last"])
def test_a_file_without_a_row_is_a_neighbour(tmp_path, lines, recipe, epsilon, place):
    missing = {"first": 0, "middle": 29, "last": len(lines) - 1}[place]
    whole = training_rows(tmp_path, lines)
    part = training_rows(tmp_path, [line for k, line in enumerate(lines) if k != missing])
    there = pd.util.hash_pandas_object(whole.frame, index=False).tolist()
    rest = pd.util.hash_pandas_object(part.frame, index=False).tolist()
    [gone, *_] = [k for k in range(len(there)) if there[:k] + there[k + 1 :] == rest]  # exactly that row is missing
    coupling = Coupling.without(gone, len(there))
    plan = recipe.plan(whole.domain, dpsynth.Budget(epsilon, 1e-5))

    def publish(table, randomness):
        fitted = recipe.fit(table, plan, randomness)
        return fitted.config(), fitted.tensors(), fitted.sample(5, seed=0).frame, json.dumps(fitted.statement)

    audit(publish, whole, part, couplings=(None, coupling))
    audit(publish, part, whole, couplings=(coupling, None))
