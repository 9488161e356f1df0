import numpy as np
import pandas as pd
import pytest

from dpsynth.figures.style import render
from dpsynth.figures.tradeoff import tradeoff

pytestmark = pytest.mark.filterwarnings("error")


def runs(models=("maf",), epsilons=(0.3, 1.0, 10.0), seeds=(0, 1, 2), scores=("tv_2way", "auc"), data=("adult",)):
    return pd.DataFrame(
        [
            {
                "run": f"{model}-{epsilon}-{seed}",
                "model": model,
                "data": name,
                "epsilon": epsilon,
                "seed": seed,
                "score": score,
                "value": (0.9 if score == "auc" else 0.1) + 0.01 * seed,
                "real_baseline": 0.95 if score == "auc" else 0.02,
                "real_baseline_low": 0.94 if score == "auc" else 0.01,
                "real_baseline_high": 0.96 if score == "auc" else 0.03,
                "uniform": 0.5,
                "independent": 0.6 if score == "auc" else 0.15,
            }
            for model in models
            for name in data
            for epsilon in epsilons
            for seed in seeds
            for score in scores
        ]
    )


def panels(picture):
    return [axes for axes in picture.axes if axes.axison]


def test_one_panel_for_each_score_with_a_line_for_each_model():
    picture = tradeoff(runs(models=("maf", "mst")))
    assert [axes.get_title(loc="left") for axes in panels(picture)] == ["tv_2way", "auc"]
    for axes in panels(picture):
        assert axes.get_xscale() == "log"
        means = [line for line in axes.lines if line.get_marker() in ("o", "s")]
        assert len(means) == 2
        assert list(means[0].get_xdata()) == [0.3, 1.0, 10.0]
    assert [text.get_text() for text in picture.legends[0].get_texts()][:2] == ["maf", "mst"]


def test_lines_are_means_and_bars_reach_from_least_to_greatest():
    axes = panels(tradeoff(runs(scores=("tv_2way",))))[0]
    (mean,) = [line for line in axes.lines if line.get_marker() == "o"]
    assert list(mean.get_ydata()) == pytest.approx([0.11] * 3)
    bars = [collection.get_segments()[0] for collection in axes.collections if collection.get_label() != "band"]
    assert bars[0][:, 1] == pytest.approx([0.10, 0.12])


def test_the_better_direction_is_stated():
    notes = [axes.get_title(loc="right") for axes in panels(tradeoff(runs()))]
    assert notes == ["lower is better", "higher is better"]
    forced = tradeoff(runs().assign(better="lower"))
    assert [axes.get_title(loc="right") for axes in panels(forced)] == ["lower is better"] * 2


def test_far_baselines_are_named_without_flattening_the_lines():
    axes = panels(tradeoff(runs(scores=("tv_2way",))))[0]
    assert "uniform rows 0.5" in axes.get_xlabel()
    assert axes.get_ylim()[1] < 0.25
    assert "independent columns" in [text.get_text() for text in axes.texts]


def test_no_noise_stands_at_the_right_end():
    axes = panels(tradeoff(runs(epsilons=(1.0, float("inf")))))[0]
    assert [text.get_text() for text in axes.get_xticklabels()] == ["1", "no\nnoise"]
    assert list(axes.get_xticks()) == [1.0, 3.0]


def test_data_sets_have_panels_of_their_own():
    picture = tradeoff(runs(data=("adult", "pums"), scores=("auc",)))
    assert [axes.get_title(loc="left") for axes in panels(picture)] == ["adult: auc", "pums: auc"]


@pytest.mark.parametrize(
    "table",
    [
        runs(epsilons=(1.0,), seeds=(0,)),
        runs(epsilons=(float("inf"),)),
        runs().drop(
            columns=["real_baseline", "real_baseline_low", "real_baseline_high", "uniform", "independent", "seed"]
        ),
        runs().assign(real_baseline_low=np.nan, real_baseline_high=np.nan),
        runs().assign(
            value=0.0, real_baseline=0.0, real_baseline_low=0.0, real_baseline_high=0.0, uniform=0.0, independent=0.0
        ),
        runs().astype(object).where(lambda frame: frame["score"] != "auc", None).assign(epsilon="3", model="maf"),
        runs(models=[f"model {i}" for i in range(9)], scores=[f"score {i}" for i in range(7)]),
    ],
    ids=["one run", "no noise", "no references", "no band", "all equal", "objects", "many"],
)
def test_odd_tables_are_drawn_without_warnings(table):
    assert render(tradeoff(table), "png", 60).startswith(b"\x89PNG")


def test_tables_without_a_usable_row_are_refused():
    with pytest.raises(ValueError, match="lacks the columns epsilon"):
        tradeoff(runs().drop(columns="epsilon"))
    with pytest.raises(ValueError, match="no row"):
        tradeoff(runs().assign(value=np.nan))
