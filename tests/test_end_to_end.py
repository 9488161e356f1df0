"""The scripts as a person runs them, in processes of their own, on the main model and a small toy table."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pandas as pd
import pytest

import dpsynth

ROOT = Path(__file__).resolve().parents[1]
TOY = [
    "data=toy",
    "data.rows=400",
    "model.training.steps=200",
    "model.training.batch_size=40",
    "model.hidden=16",
    "model.dp_sgd_fraction=0.5",
    "privacy.noise=seeded",
    "trainer.threads=1",
    "trainer.log_every=1",
    "trainer.progress=quiet",
]


def script(name: str, *arguments: str, folder: Path) -> subprocess.CompletedProcess:
    command = [sys.executable, str(ROOT / f"{name}.py"), *arguments]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=250)


def succeeded(run: subprocess.CompletedProcess) -> str:
    assert run.returncode == 0, run.stderr
    assert "Traceback" not in run.stderr
    return run.stdout


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """A finished run; its noise is seeded, so that the very same run can be made again."""
    folder = tmp_path_factory.mktemp("work")
    assert "Guarantee: not private: seeded noise" in succeeded(script("train", *TOY, "run=mine", folder=folder))
    return folder / "mine"


def test_train_generate_evaluate(whole):
    log = pd.read_csv(whole / "private" / "train_log.csv")
    assert log.loc[log["training"] == "DP-SGD", "step"].max() == 200
    assert "noise_to_signal" in set(log["figure"])
    red = ("n=50", "where={color: red}", "out=red.csv")
    succeeded(script("generate", "run=mine", *red, folder=whole.parent))
    assert set(pd.read_csv(whole.parent / "red.csv")["color"]) == {"red"}
    out = succeeded(script("evaluate", "run=mine", "metrics=quick", "metrics.learners=[]", folder=whole.parent))
    assert "tv_1way" in out
    assert sorted(path.name for path in whole.parent.iterdir()) == ["mine", "red.csv"]


def test_ctrl_c_saves_and_a_second_run_resumes_to_the_same_result(whole, tmp_path):
    command = [sys.executable, str(ROOT / "train.py"), *TOY, "run=broken"]
    pipes = {"stderr": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    process = subprocess.Popen(command, cwd=tmp_path, **pipes)
    log = tmp_path / "broken" / "private" / "train_log.csv"
    while process.poll() is None and not (log.exists() and log.read_text().count("\n") > 20):
        time.sleep(0.01)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 130, err
    assert "train.py run=broken resume=true" in err
    assert len(err.strip().splitlines()) == 1
    assert not (tmp_path / "broken" / "release").exists()

    succeeded(script("train", "run=broken", "resume=true", folder=tmp_path))
    first, second = (dpsynth.load(folder).tensors() for folder in (whole, tmp_path / "broken"))
    assert all(first[name].equal(second[name]) for name in first)
    files = [(path / "release" / "synthetic.csv").read_bytes() for path in (whole, tmp_path / "broken")]
    assert files[0] == files[1]
    assert not (tmp_path / "broken" / "private" / "checkpoint").exists()


DIGITS = [
    "model=merf",
    "data=digits",
    "model.embedding.frequencies=300",
    "model.training.steps=150",
    "model.generator.hidden=64",
]
DIGITS += ["privacy.epsilon=10", "trainer.progress=quiet"]
CHAIN = ["metrics=quick", "metrics.image_steps=30", "metrics.image_rows=200"]


def test_images_train_generate_evaluate_offline(tmp_path):
    """The whole chain on the digits that come with scikit-learn."""
    assert "-differential privacy for one row" in succeeded(script("train", *DIGITS, folder=tmp_path))
    run = tmp_path / "outputs" / "merf-digits"
    assert (run / "release" / "synthetic.npz").exists()
    out = ("n=100", "out=old", "format=datalens", "where={label: '3'}")
    succeeded(script("generate", "run=outputs/merf-digits", *out, folder=tmp_path))
    assert len(list((tmp_path / "old").glob("*.npz"))) == 10
    assert "image_accuracy" in succeeded(script("evaluate", f"run={run}", *CHAIN, folder=tmp_path))
    scores = {each["name"]: each for each in json.loads((run / "private" / "scores.json").read_text())["scores"]}
    learnt = scores["image_logistic"]
    assert learnt["value"] > learnt["baselines"]["uniform"] + 0.1
    assert learnt["real_baseline"] > 0.85
    assert {path.name for path in (run / "private" / "figures").iterdir()} == {"scores.png", "images.png"}
    assert (run / "private" / "report.html").exists()


@pytest.mark.slow
def test_the_main_job_on_adult(tmp_path):
    """train.py as it stands, then the others on its run; the quality marks are in benchmarks/."""
    out = succeeded(script("train", "model=maf", "data=adult", folder=tmp_path))
    assert "Guarantee: (1, 1e-05)" in out
    succeeded(script("generate", "run=outputs/maf-adult", "n=1000", folder=tmp_path))
    assert "boosting_auc" in succeeded(script("evaluate", "run=outputs/maf-adult", "metrics=quick", folder=tmp_path))


@pytest.mark.slow
def test_an_installed_wheel_brings_its_configs(tmp_path):
    """The console scripts need no checkout: configs, schemas, bundled table and report page are inside."""
    pip, target = [sys.executable, "-m", "pip"], tmp_path / "site"
    build = [*pip, "wheel", "--no-deps", "-w", str(tmp_path), str(ROOT)]
    subprocess.run(build, check=True, capture_output=True)
    [wheel] = tmp_path.glob("*.whl")
    install = [*pip, "install", "--no-deps", "--target", str(target), str(wheel)]
    subprocess.run(install, check=True, capture_output=True)
    start = "import sys; from dpsynth.commands.train import main; sys.argv[0] = 'dpsynth-train'; main()"
    run = subprocess.run(
        [sys.executable, "-c", start, "data=adult", "privacy.dry_run=true"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(target)},
        capture_output=True,
        text=True,
    )
    assert "dp-sgd" in succeeded(run)
    configs = {path.name for path in (target / "dpsynth" / "configs").iterdir()}
    assert {"train.yaml", "generate.yaml", "evaluate.yaml", "model", "data"} <= configs
    assert (target / "dpsynth" / "report" / "page.html.j2").exists()
    assert (target / "dpsynth" / "data" / "files" / "adult.parquet").exists()
