import json
from dataclasses import fields
from pathlib import Path

import numpy as np
import pytest
import yaml

from dpsynth.errors import ConfigError, DataError
from dpsynth.metrics import Score, Settings, evaluate

CONFIGS = Path(__file__).parents[2] / "configs" / "metrics"


@pytest.mark.parametrize("name", ["quick", "full"])
def test_config_files_hold_exactly_the_settings(name):
    options = yaml.safe_load((CONFIGS / f"{name}.yaml").read_text())
    assert set(options) == {field.name for field in fields(Settings)}
    Settings.from_dict(options)


@pytest.mark.parametrize(
    "options",
    [
        {"bin": 32},
        {"bins": 0},
        {"pairs": -1},
        {"triples": 1.5},
        {"max_rows": 0},
        {"learners": ["magic"]},
        {"seed": None},
    ],
)
def test_wrong_settings_are_refused(options):
    with pytest.raises(ConfigError, match="metrics"):
        Settings.from_dict(options)


def test_scores_are_named_once_json_able_and_repeatable(domain, draw):
    train, holdout, synthetic = draw(800, 0), draw(400, 1), draw(1000, 2)
    scores = evaluate(train, holdout, synthetic, domain)
    names = [score.name for score in scores]
    assert len(set(names)) == len(names)
    assert names[:5] == ["tv_1way", "tv_2way", "tv_3way", "wasserstein", "missing_gap"]
    assert "boosting_auc" in names
    records = json.loads(json.dumps([score.to_dict() for score in scores]))
    assert [Score.from_dict(record).name for record in records] == names
    again = evaluate(train, holdout, synthetic, domain)
    assert [score.to_dict() for score in again] == [score.to_dict() for score in scores]
    assert scores[0].detail["rows"] == 800  # cut to the number of real training rows


def test_a_fresh_sample_scores_like_the_floor_and_uniform_rows_like_nothing(domain, draw):
    settings = Settings(learners=())
    scores = evaluate(draw(2000, 0), draw(2000, 1), draw(2000, 2), domain, settings)
    assert all(abs(score.closeness - 1) < 0.05 for score in scores if score.name.startswith(("tv", "wass")))
    assert all(score.floor < score.baseline for score in scores)


def test_damage_is_seen_where_it_was_done(domain, draw):
    train, holdout = draw(2000, 0), draw(2000, 1)
    shuffled = draw(2000, 2)
    shuffled["age"] = np.random.default_rng(0).permutation(shuffled["age"])
    scores = {s.name: s for s in evaluate(train, holdout, shuffled, domain)}
    assert scores["tv_1way"].value < 1.5 * scores["tv_1way"].floor
    assert scores["tv_2way"].value > scores["tv_2way"].floor
    pair = next(item for item in scores["tv_2way"].detail["worst"] if item["columns"] == ["age", "bought"])
    assert pair["value"] > pair["floor"] + 0.1
    assert scores["boosting_auc"].value < scores["boosting_auc"].floor - 0.1


def test_parts_can_be_left_out(domain, draw):
    settings = Settings(pairs=0, triples=0, learners=(), max_rows=100)
    scores = evaluate(draw(300, 0), draw(300, 1), draw(300, 2), domain, settings)
    assert [score.name for score in scores] == ["tv_1way", "wasserstein", "missing_gap"]
    assert scores[0].detail["rows"] == scores[0].detail["holdout_rows"] == 100


def test_without_a_holdout_no_row_is_compared_with_itself(domain, draw):
    scores = {s.name: s for s in evaluate(draw(2000, 0), None, draw(1500, 1), domain)}
    assert scores["tv_2way"].detail["rows"] == scores["tv_2way"].detail["holdout_rows"] == 1000
    assert scores["tv_2way"].floor > 0.05
    assert scores["boosting_auc"].floor < 0.95  # a fit tested on its own rows would score higher
    with pytest.raises(DataError, match="holdout"):
        evaluate(draw(1, 0), None, draw(5, 1), domain)


def test_edge_tables(domain, draw):
    train, holdout = draw(100, 0), draw(100, 1)
    evaluate(train, holdout, draw(1, 2), domain)
    evaluate(train, holdout.head(1), draw(50, 2), domain)
    evaluate(train.head(1), holdout, draw(50, 2).assign(age=5, gain=np.nan), domain)
    with pytest.raises(DataError, match="no rows"):
        evaluate(train, holdout, draw(1, 2).iloc[:0], domain)
