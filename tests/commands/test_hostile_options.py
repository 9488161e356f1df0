"""Options of a run that somebody else wrote: they lead to a plan, or to one line; nothing is imported or allocated."""

import copy
import math
import time

import pytest
import yaml
from hydra import compose, initialize_config_dir
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dpsynth.commands import train
from dpsynth.commands.config_files import config_folder
from dpsynth.commands.launch import MISTAKES, one_line
from dpsynth.runs import kept_options
from dpsynth.runs.command_line import data_options, texts
from dpsynth.runs.options import TrainOptions, resolved, typed
from dpsynth.runs.run_folder import RunFolder

SHARED = [HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
MODELS = ("independent", "privbayes", "mst", "aim", "napsu", "merf", "pe", "dpvi", "maf", "datalens")
ODD = [
    None, True, "", "x", "~", "${seed}", "[", [], {}, [[]], -1, 0, 1, 2, 3, 2**31, 10**20, 10**400, 0.5, -0.5, 1e-300,
    1e308, math.nan, math.inf, [2**40], {"a": 1}, {"_target_": "os.system"},
    {"_target_": "dpsynth.models.marginal.MST"},
    "1e999",
]  # fmt: skip


@pytest.fixture(scope="module")
def written():
    """The options that train.py writes, by model; a toy table of three rows."""
    found = {}
    with initialize_config_dir(str(config_folder()), version_base="1.3"):
        for model in MODELS:
            words = [f"model={model}", "data=toy", "data.rows=3", "run=mine"]
            found[model] = {**resolved(compose("train", words)), "chosen": {"model": model, "data": "toy"}}
    return found


def places(content, path=()):
    yield path
    items = content.items() if isinstance(content, dict) else enumerate(content) if isinstance(content, list) else ()
    for key, each in items:
        yield from places(each, (*path, key))


def planned(tmp_path, kept) -> str:
    """The line that ends the way from the kept options to a plan; empty when there is one."""
    run = RunFolder(tmp_path)
    run.private.mkdir(exist_ok=True)
    run.config.write_text(yaml.safe_dump(kept))
    begun, said = time.monotonic(), ""
    try:
        read = kept_options.read(run)
        del read["chosen"]
        options = typed(TrainOptions, read)
        train.planned(options, data_options(options.data), texts(options.columns, "columns"))
    except MISTAKES as error:
        said = one_line(error)
    assert "\n" not in said
    assert time.monotonic() - begun < 20
    return said


@pytest.mark.parametrize("model", ["independent", "maf"])
def test_untouched_options_lead_to_a_plan(written, tmp_path, model):
    assert planned(tmp_path, written[model]) == ""


def tried(written, tmp_path, data, models):
    kept = copy.deepcopy(written[data.draw(st.sampled_from(models))])
    for _ in range(data.draw(st.integers(1, 2))):
        path = data.draw(st.sampled_from([each for each in places(kept) if each]))
        inside = kept
        for key in path[:-1]:
            inside = inside[key]
        inside[path[-1]] = data.draw(st.sampled_from(ODD))
    planned(tmp_path, kept)


@given(data=st.data())
@settings(max_examples=50, suppress_health_check=SHARED)
def test_changed_options_lead_to_a_plan_or_a_line(written, tmp_path, data):
    tried(written, tmp_path, data, ("independent", "privbayes", "mst", "merf", "dpvi"))


@pytest.mark.slow
@given(data=st.data())
@settings(max_examples=500, suppress_health_check=SHARED)
def test_changed_options_lead_to_a_plan_or_a_line_500(written, tmp_path, data):
    tried(written, tmp_path, data, MODELS)
