"""Tables nobody wants to meet: every family gives the same names, and numbers or reasons, without a warning."""

import math

import numpy as np
import pandas as pd
import pytest

from dpsynth.data.table.domain import Domain
from dpsynth.metrics.framework.metric import Reference
from dpsynth.metrics.framework.sample import Sample
from dpsynth.metrics.table.coefficients import Coefficients
from dpsynth.metrics.table.membership import Copying, Membership
from dpsynth.metrics.table.queries import Queries
from dpsynth.metrics.table.utility import Ranking, Utility

pytestmark = pytest.mark.filterwarnings("error")

FAMILIES = [
    Utility(),
    pytest.param(Ranking(), marks=pytest.mark.slow),  # the learners of Utility, twice
    Queries(100),
    Coefficients(),
    Copying(),
    Membership(),
]
WIDE = [f"c{k}" for k in range(5000)]
SMALL = "columns:\n  x: {kind: number, bounds: [0, 1], missing: true}\n  y: {kind: boolean, missing: true%s}\n"


def check(family, evaluated, reference, names):
    """Measures, and returns the scores as dicts."""
    scores = family.measure(evaluated, reference)
    assert [score.name for score in scores] == names
    for score in scores:
        assert score.reason if score.value is None else math.isfinite(score.value)
        assert score.meaning
        assert score.group
    return [score.to_dict() for score in scores]


@pytest.mark.parametrize("family", FAMILIES, ids=lambda family: type(family).__name__)
def test_poor_rows_on_either_side(family):
    domain = Domain.from_yaml(SMALL % ", label: true")
    g = np.random.default_rng(0)
    x = g.random(60)
    sound = pd.DataFrame({"x": x, "y": x + g.normal(0, 0.3, 60) > 0.5})
    tables = {
        "sound": sound,
        "constant": sound.assign(x=0.5, y=True),
        "missing": pd.DataFrame({"x": [np.nan] * 5, "y": pd.Series([None] * 5, dtype=object)}),
        "one row": sound.head(1),
        "two rows": sound.iloc[[int(np.argmin(x)), int(np.argmax(x))]],
    }
    samples = {name: Sample(frame, domain) for name, frame in tables.items()}
    names = [score.name for score in family.measure(samples["sound"], Reference(samples["sound"], samples["sound"]))]
    for sample in samples.values():
        check(family, sample, Reference(samples["sound"], samples["sound"]), names)
        check(family, samples["sound"], Reference(sample, samples["sound"]), names)
        if family.needs_train:
            check(family, samples["sound"], Reference(samples["sound"], sample), names)
    check(family, samples["sound"], Reference(samples["sound"]), names)


@pytest.mark.parametrize("family", FAMILIES, ids=lambda family: type(family).__name__)
@pytest.mark.parametrize("kind", ["no label", "one column", "wide column", "wide label"])
def test_odd_domains(family, kind):
    g = np.random.default_rng(0)
    wide = f"{{kind: category, categories: [{', '.join(WIDE)}]%s}}"
    schema = {
        "no label": SMALL % "",
        "one column": "columns:\n  y: {kind: boolean, label: true}\n",
        "wide column": f"columns:\n  x: {wide % ''}\n  y: {{kind: boolean, label: true}}\n",
        "wide label": f"columns:\n  x: {{kind: number, bounds: [0, 1]}}\n  y: {wide % ', label: true'}\n",
    }[kind]

    def table():
        category = np.array(WIDE, dtype=object)[g.integers(0, 5000, 80)]
        x = category if kind == "wide column" else g.random(80)
        return pd.DataFrame({"x": x, "y": category if kind == "wide label" else g.random(80) < 0.5})

    domain = Domain.from_yaml(schema)
    evaluated, holdout, train = (Sample(table()[list(domain.names)], domain) for _ in range(3))
    first = family.measure(evaluated, Reference(holdout, train))
    names, found = [score.name for score in first], [score.to_dict() for score in first]
    assert check(family, evaluated, Reference(holdout, train), names) == found
