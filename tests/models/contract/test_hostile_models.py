"""Model files that somebody else wrote: a model, or one line. Never code, never a full memory, never a long wait.

One small model of every fitted class is saved; then its JSON is changed in all kinds of ways.
"""

import copy
import json
import resource
import shutil
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import dpsynth
from dpsynth.data import ImageDomain, Images
from dpsynth.errors import ArtifactError
from dpsynth.models import AIM, DPVI, MAF, MERF, NAPSU, PE, DataLens, ImageMixture, Independent, PrivBayes
from dpsynth.models.datalens.options import OWN_CHOICES, StudentOptions, TeacherOptions
from dpsynth.models.shared.class_rejection import ClassifierOptions

IMAGES = ImageDomain(8, 8, classes=("disk", "bar"), rows=60)
PHASES = [{"iterations": 1}]
DATALENS = DataLens(
    rounds=1, queries=6, teacher=TeacherOptions(count=4, at_once=4, hidden=8),
    student=StudentOptions(steps=1, last_steps=1, width=16), classifier=ClassifierOptions(steps=2),
    published=replace(OWN_CHOICES, keep=True),
)  # fmt: skip
SMALL_MERF = MERF(bins=8).replace(
    embedding={"frequencies": 20}, generator={"hidden": 16}, training={"steps": 2, "batch_size": 16}
)
SMALL_AIM = AIM(rounds=2, workload=2, round_iterations=5, iterations=5)
RECIPES = {
    "independent": Independent(),
    "privbayes": PrivBayes(),
    "aim": SMALL_AIM,
    "napsu": NAPSU(draws=2, iterations=5, cells=8),
    "dpvi": DPVI(components=3, bins=8).replace(inference={"steps": 2, "batch_size": 40}),
    "maf": MAF(dp_sgd_fraction=0.5, hidden=16, marginals=SMALL_AIM).replace(training={"steps": 2, "batch_size": 40}),
    "merf": SMALL_MERF,
    "datalens": DATALENS.replace(bins=4),
    "pe": PE(population=12).replace(evolution={"phases": PHASES}, proposal={"rows": 100}, pool={"variants": 20}),
    "maf of images": MAF().replace(
        images={"training": {"steps": 2, "batch_size": 20}, "network": {"width": 8}, "classifier": {"steps": 2}}
    ),
    "merf of images": SMALL_MERF,
    "datalens of images": DATALENS.replace(votes={"frequencies": 4}),
    "mixture of images": ImageMixture(clusters=2, rounds=1, directions=4, waves=3),
    "pe of images": PE(population=12).replace(evolution={"phases": PHASES, "lookahead": 1}),
}
ODD = [
    None, True, False, "", "x", "99", [], {}, [[]], -1, -2, 0, 1, 2, 3, 7, 255, 256, 65_536, 2**20, 2**31, 2**40, 2**63,
    10**30, -(2**40), 0.5, -0.5, 1e308, [0, 0], [-1], [2**40], [[0, -1]], {"_target_": "os.system"}, "../../x",
    "\ud800",
]  # fmt: skip


@pytest.fixture(scope="module")
def saved(people, tmp_path_factory):
    """A folder of models by name."""
    folder = tmp_path_factory.mktemp("models")
    draw = np.random.default_rng(0)
    images = Images(draw.integers(0, 256, (60, 1, 8, 8)).astype(np.uint8), draw.integers(0, 2, 60), IMAGES)
    for name, recipe in RECIPES.items():
        rows = images if name.endswith("images") else people
        recipe.fit(rows, dpsynth.Budget(8.0, 1e-5)).save(folder / name)
    return folder


def places(content, path=()):
    """The place of every value in a JSON document."""
    yield path
    items = content.items() if isinstance(content, dict) else enumerate(content) if isinstance(content, list) else ()
    for key, each in items:
        yield from places(each, (*path, key))


def changed(content, path, value):
    content = copy.deepcopy(content)
    inside = content
    for key in path[:-1]:
        inside = inside[key]
    inside[path[-1]] = value
    return content


def load(saved: Path, name: str, content, scratch: Path):
    """What comes of a model whose model.json is `content`; two rows, when it can be loaded."""
    shutil.rmtree(scratch, ignore_errors=True)
    shutil.copytree(saved / name, scratch)
    (scratch / "model.json").write_text(json.dumps(content), encoding="utf-8")
    begun, peak = time.monotonic(), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    fitted, refusal = None, ""
    try:
        fitted = dpsynth.load(scratch)
    except ArtifactError as error:
        refusal = str(error)
    assert "\n" not in refusal
    assert time.monotonic() - begun < 20
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - peak < 2 * 2**20  # in KiB
    return fitted


@pytest.mark.parametrize("name", RECIPES)
def test_untouched_models_load(saved, name, tmp_path):
    fitted = load(saved, name, json.loads((saved / name / "model.json").read_text()), tmp_path / "model")
    assert len(fitted.sample(2, seed=0)) == 2


def tried(saved, scratch, data):
    """Change one to three values of a model, load it, and draw two rows of what loads."""
    name = data.draw(st.sampled_from(sorted(RECIPES)))
    content = json.loads((saved / name / "model.json").read_text())
    for _ in range(data.draw(st.integers(1, 3))):
        path = data.draw(st.sampled_from([place for place in places(content) if place]))
        content = changed(content, path, data.draw(st.sampled_from(ODD)))
    load(saved, name, content, scratch)


SHARED = [HealthCheck.function_scoped_fixture, HealthCheck.too_slow, HealthCheck.data_too_large]


@given(data=st.data())
@settings(max_examples=50, suppress_health_check=SHARED)
def test_changed_models_load_or_are_refused(saved, tmp_path, data):
    tried(saved, tmp_path / "model", data)


@pytest.mark.slow
@given(data=st.data())
@settings(max_examples=500, suppress_health_check=SHARED)
def test_changed_models_load_or_are_refused_500(saved, tmp_path, data):
    tried(saved, tmp_path / "model", data)
