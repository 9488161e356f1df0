import json
from pathlib import Path

import numpy as np
import pytest

from dpsynth.data import ImageDomain, Images
from dpsynth.data.selection import Selection
from dpsynth.data.sources import load

FAST = (
    "metrics.families=[image_distances,image_support,image_two_sample,image_logistic,image_classifier,copying]",
    "metrics.image_rows=150",
    "metrics.image_steps=30",
    "metrics.costly_replicates=2",
    "metrics.costly_draws=2",
    "progress=quiet",
)
NAMES = {
    *("image_frechet", "image_kernel", "image_precision", "image_recall", "image_density", "image_coverage"),
    *("image_c2st_auc", "image_logistic", "image_accuracy", "exact_copies", "dcr_fraction", "nndr_median"),
}


def read_scores(folder):
    record = json.loads((Path(folder) / "scores.json").read_text())
    return record, {score["name"]: score for score in record["scores"]}


def test_a_run_of_images_is_evaluated_in_the_frame_of_tables(command, pictured):
    outcome = command("evaluate", "run=pictured", *FAST)
    assert outcome.code == 0, outcome.err
    assert "Synthetic against real images" in outcome.out
    assert "Guarantee: (8, 1e-05)-differential privacy" in outcome.out
    record, scores = read_scores(pictured / "private")
    assert (record["model"], record["data"]) == ("class_means", "digits")
    assert set(scores) == NAMES
    for name, score in scores.items():
        trained = name == "image_accuracy"
        assert score["value"] is not None
        assert score["real_baseline"] is not None
        assert (score["real_baseline_low"] is None) == (score["low"] is None) == trained, name
        assert set(score["baselines"]) == ({"uniform", "independent"} if score["group"] == "images" else set())
    assert scores["image_frechet"]["detail"]["images"] == 150
    assert scores["image_logistic"]["real_baseline"] > 0.85 > scores["image_logistic"]["baselines"]["independent"]
    drawn = {path.name for path in (pictured / "private" / "figures").iterdir()}
    assert drawn == {"scores.png", "images.png"}
    report = (pictured / "private" / "report.html").read_text()
    assert report.count("data:image/png") == 2
    assert "synthetic images: " in report
    assert "accuracy" in report
    assert "Cells of each column" not in report


def test_any_files_of_images_can_be_compared(command, pictured):
    digits = load("digits", Selection(bytes(32)), holdout=0.3)
    digits.train.write("a.npz")
    digits.holdout.write("b.npz")
    given = ("real=a.npz", "holdout=b.npz", "synthetic=pictured/release/synthetic.npz", "out=scores", "figures=none")
    outcome = command("evaluate", *given, *FAST)
    assert outcome.code == 0, outcome.err
    assert "nothing is guaranteed" in outcome.out
    files = read_scores("scores")[1]
    assert set(files) == NAMES
    assert files["image_frechet"]["low"] is None
    outcome = command("evaluate", given[0], *given[2:-2], "figures=none", "out=halves", *FAST)
    assert outcome.code == 0, outcome.err
    halves = read_scores("halves")[1]
    assert "holdout" in halves["exact_copies"]["reason"]
    assert halves["image_logistic"]["real_baseline"] < 1


def test_classes_are_matched_by_name(command, pictured):
    digits = load("digits", Selection(bytes(32)), holdout=0.3)
    digits.train.write("a.npz")
    order = np.arange(10)[::-1]
    turned = Images(digits.holdout.pixels, 9 - digits.holdout.labels, ImageDomain(8, 8, classes=tuple(map(str, order))))
    for name, images in (("straight.npz", digits.holdout), ("turned.npz", turned)):
        images.write(name)
        given = ("real=a.npz", f"synthetic={name}", f"out={name}-scores", "figures=none", "progress=quiet")
        assert command("evaluate", *given, "metrics.families=[image_logistic]").code == 0
    assert read_scores("turned.npz-scores")[1] == read_scores("straight.npz-scores")[1]


def test_runs_of_images_are_compared_side_by_side(command, pictured):
    quick = ("metrics.families=[image_distances,image_logistic]", "metrics.image_rows=100", "progress=quiet")
    outcome = command("evaluate", "runs=pict*", "out=compared", *quick)
    assert outcome.code == 0, outcome.err
    assert "image_logistic" in outcome.out
    assert "class_means" in Path("compared/comparison.md").read_text()
    assert command("evaluate", "runs=pict*", "out=compared", *quick).code == 0  # from scores.json


def test_images_without_classes_are_evaluated_by_their_pixels(command, tmp_path):
    digits = load("digits", Selection(bytes(32)), holdout=0.3)
    for name, images in (("a.npz", digits.train), ("b.npz", digits.holdout)):
        Images(images.pixels, None, ImageDomain(8, 8)).write(name)
    outcome = command("evaluate", "real=a.npz", "synthetic=b.npz", "out=scores", *FAST)
    assert outcome.code == 0, outcome.err
    assert "the images have no label" in outcome.out
    assert read_scores("scores")[1]["image_frechet"]["value"] is not None


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("real=a.npz",), "synthetic= is missing"),
        (("real=a.npz", "synthetic=a.npz", "schema=s.yaml"), "images have none"),
        (("real=a.npz", "synthetic=small.npz"), "expected uint8 pixels of shape"),
        (("real=a.npz", "synthetic=other.npz"), "'x' is not a class of the images"),
        (("real=a.npz", "synthetic=none.npz"), "holds no images"),
        (("run=pictured", "metrics.families=[marginals]"), "none of these evaluates images"),
    ],
)
def test_mistakes_are_one_line(command, pictured, options, message):
    digits = load("digits", Selection(bytes(32))).train
    digits.write("a.npz")
    digits.take(np.arange(0)).write("none.npz")
    Images(digits.pixels[:, :, :6], digits.labels, ImageDomain(6, 8, classes=digits.domain.classes)).write("small.npz")
    Images(digits.pixels, np.zeros(len(digits), dtype=int), ImageDomain(8, 8, classes=("x",))).write("other.npz")
    assert message in command("evaluate", *options).mistake
