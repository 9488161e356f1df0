import json
import warnings
from dataclasses import fields
from pathlib import Path

import numpy as np
import pytest
import yaml

from dpsynth.errors import ConfigError, DataError
from dpsynth.evaluation.suite import ALL, FAMILIES, Settings, evaluate
from dpsynth.metrics import Score

CONFIGS = Path(__file__).parents[2] / "configs" / "metrics"
TINY = {"replicates": 3, "costly_replicates": 2, "costly_draws": 1, "learners": ("boosting",)}
TABLES = tuple(name for name in ALL if not name.startswith("image"))


@pytest.mark.parametrize("name", ["quick", "full", "seed_compat", "datalens"])
def test_config_files_hold_exactly_the_settings(name):
    options = yaml.safe_load((CONFIGS / f"{name}.yaml").read_text())
    assert set(options) == {field.name for field in fields(Settings)}
    Settings.from_dict(options)


def test_full_means_full():
    assert set(yaml.safe_load((CONFIGS / "full.yaml").read_text())["families"]) == set(ALL)
    assert set(FAMILIES) - set(ALL) == {"seed_compat", "image_datalens", "image_lenet", "image_dpimagebench"}


@pytest.mark.parametrize(
    "options",
    [
        {"bin": 32},
        {"bins": 0},
        {"pairs": -1},
        {"triples": 1.5},
        {"max_rows": 0},
        {"learners": ["magic"]},
        {"families": ["magic"]},
        {"image_features": "nowhere"},
        {"replicates": 1},
        {"seed": None},
    ],
)
def test_wrong_settings_are_refused(options):
    with pytest.raises(ConfigError, match="metrics"):
        Settings.from_dict(options)


@pytest.fixture(scope="module")
def tables(draw):
    return draw(200, 0), draw(100, 1), [draw(300, 2), draw(300, 3)]


@pytest.fixture(scope="module")
def scores(domain, tables):
    return evaluate(*tables, domain, Settings(**TINY))


def test_scores_are_named_once_json_able_and_repeatable(domain, tables, scores):
    names = [score.name for score in scores]
    assert len(set(names)) == len(names)
    assert all(score.meaning and score.group for score in scores), [s.name for s in scores if not s.meaning]
    records = json.loads(json.dumps([score.to_dict() for score in scores]))
    assert [Score.from_dict(record).name for record in records] == names
    again = evaluate(*tables, domain, Settings(**TINY, threads=1))
    assert [score.to_dict() for score in again] == [score.to_dict() for score in scores]
    assert scores[0].detail["rows"] == 200  # cut to the number of real training rows


def test_every_score_of_a_table_has_a_floor_a_band_and_a_way_to_go(scores):
    for score in scores:
        assert score.value is not None, score.reason
        assert score.real_baseline_low <= score.real_baseline <= score.real_baseline_high
        assert score.baselines or score.group in ("copying", "attack")


def test_parts_can_be_left_out(domain, draw):
    settings = Settings(pairs=0, triples=0, families=("marginals", "columns"), max_rows=100)
    scores = evaluate(draw(300, 0), draw(300, 1), draw(300, 2), domain, settings)
    assert [score.name for score in scores] == ["tv_1way", "wasserstein", "ks", "missing_gap"]
    assert scores[0].detail["rows"] == scores[0].detail["holdout_rows"] == 100


def test_without_a_holdout_no_row_is_compared_with_itself(domain, draw):
    settings = Settings(families=("marginals", "utility", "copying"), **TINY)
    scores = {s.name: s for s in evaluate(draw(2000, 0), None, draw(1500, 1), domain, settings)}
    assert scores["tv_2way"].detail["rows"] == scores["tv_2way"].detail["holdout_rows"] == 1000
    assert scores["tv_2way"].real_baseline > 0.05
    assert scores["boosting_auc"].real_baseline < 0.95  # a fit tested on its own rows would score higher
    assert "holdout" in scores["exact_copies"].reason
    with pytest.raises(DataError, match="holdout"):
        evaluate(draw(1, 0), None, draw(5, 1), domain)


def odd_tables(draw):
    train, holdout = draw(60, 0), draw(40, 1)
    gone = draw(30, 2).assign(gain=np.nan, day=np.datetime64("NaT"), flag=None).astype({"flag": "boolean"})
    yield "one synthetic row", (train, holdout, draw(1, 2))
    yield "one real row", (train, holdout.head(1), draw(50, 2))
    yield "one training row", (train.head(1), holdout, draw(50, 2))
    yield "one row each", (train.head(1), holdout.head(1), draw(1, 2))
    yield "no holdout, two rows", (train.head(2), None, draw(50, 2))
    yield "a constant and missing values", (train, holdout, gone.assign(age=5))
    yield "one class", (train, holdout, draw(50, 2).assign(bought="no"))
    yield "one class in the holdout", (train, holdout.assign(bought="no"), draw(50, 2))
    yield "identical tables", (train, train, train)
    yield "the same row over and over", (train, holdout, draw(1, 3).loc[[0] * 50].reset_index(drop=True))


@pytest.mark.parametrize("slowly", [False, pytest.param(True, marks=pytest.mark.slow)], ids=["", "ranking"])
def test_odd_tables_are_evaluated_without_a_word(domain, draw, slowly):
    """`ranking` fits all learners twice for each of its samples; by default one odd table has to do for it."""
    for name, tables in odd_tables(draw):
        families = tuple(each for each in TABLES if each != "ranking" or slowly or name == "one class in the holdout")
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            scores = evaluate(*tables, domain, Settings(**{**TINY, "replicates": 2}, families=families))
        assert [score.name for score in scores], name
    with pytest.raises(DataError, match="no rows"):
        evaluate(draw(9, 0), draw(9, 1), draw(1, 2).iloc[:0], domain)
