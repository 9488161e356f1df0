"""What a terminal, or the log of a build server, may show: public facts, unless somebody asks for more."""

import hashlib
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

ROWS = 4_177
SCHEMA = """\
rows: 4000
columns:
  age: {kind: integer, bounds: [0, 100]}
  sex: {kind: category, categories: [Female, Male]}
"""
FIT = ("model=maf", "model.training.steps=40", "model.hidden=8", "model.dp_sgd_fraction=0.5", "trainer.log_every=10")


def test_nor_of_generated_rows(command):
    outcome = command("train", "data=toy", *FIT, "run=mine", "n=10")
    assert outcome.code == 0
    assert not re.search(r"loss|gradient|sha256", outcome.out + outcome.err)


@pytest.fixture
def people():
    random = np.random.default_rng(0)
    frame = pd.DataFrame({"age": random.integers(0, 100, ROWS), "sex": random.choice(["Female", "Male"], ROWS)})
    frame.to_csv("people.csv", index=False)
    Path("people.yaml").write_text(SCHEMA)
    return ("data=csv", "data.path=people.csv", "data.schema=people.yaml", "data.holdout=0")


def private_facts():
    """What describes the file of the fixture exactly."""
    content = Path("people.csv").read_bytes()
    return hashlib.sha256(content).hexdigest()[:8], str(len(content)), f"{len(content):,}", str(ROWS), f"{ROWS:,}"


def found(text, facts):
    return [fact for fact in facts if re.search(rf"(?<![\d,]){fact}" + (r"(?!\d)" if len(fact) < 8 else ""), text)]


@pytest.mark.parametrize("progress", ["bar", "lines", "quiet"])
def test_the_terminal_shows_no_private_figure(command, people, progress):
    outcome = command("train", *people, *FIT, "run=mine", f"trainer.progress={progress}")
    assert outcome.code == 0, outcome.err
    shown = outcome.out + outcome.err
    assert not found(shown, private_facts())
    assert not re.search(r"loss|gradient|sha256|\bbytes\b", shown)
    private = Path("mine/private/data.txt").read_text() + Path("mine/private/train_log.csv").read_text()
    assert "sha256" in private
    assert "loss" in private
    assert len(found(private, private_facts())) >= 2


def test_unless_it_is_asked_to(command, people):
    options = ("run=mine", "trainer.progress=lines", "trainer.private_console=true")
    outcome = command("train", *people, *FIT, *options)
    shown = outcome.out + outcome.err
    assert "sha256" in shown
    assert found(shown, private_facts())
    assert re.search(r"DP-SGD: step 40/40, .*loss .*gradient-norm", shown)


@pytest.mark.parametrize("text", ["30,Other\n", "old,Male\n", "200,Male\n"])
def test_a_refusal_that_depends_on_a_row_comes_before_anything_is_claimed_or_spent(command, people, monkeypatch, text):
    from dpsynth.models.maf.recipe import MAF

    monkeypatch.setattr(MAF, "fit", lambda *_, **__: pytest.fail("fitted"))
    with Path("people.csv").open("a") as file:
        file.write(text)
    assert command("train", *people, *FIT, "data.invalid=error", "run=mine").mistake
    assert not Path("mine").exists()


def test_so_does_a_code_that_no_row_can_have(command, monkeypatch):
    import pyarrow as pa
    import pyarrow.parquet as pq

    from dpsynth.data import Category, Domain
    from dpsynth.data.table.codec import Codec
    from dpsynth.marginals.counting.encoded_files import write_encoded
    from dpsynth.models.marginal.independent import Independent

    domain = Domain((Category("a", categories=("x", "y")), Category("b", categories=("x", "y", "z"))), rows=50)
    files = write_encoded("good.parquet", Codec(domain, 32), [np.zeros((50, 2), np.uint8)])
    stored = pq.ParquetFile("good.parquet")
    for bad in (pa.array([0] * 49 + [3], pa.uint8()), pa.array([0] * 49 + [None], pa.uint8()), pa.array([0.5] * 50)):
        table = pa.table({"a": pa.array([0] * 50, pa.uint8()), "b": bad}).replace_schema_metadata(
            stored.metadata.metadata
        )
        pq.write_table(table, "bad.parquet")
        with monkeypatch.context() as patch:
            patch.setattr(Independent, "fit", lambda *_, **__: pytest.fail("fitted"))
            mistake = command("train", "model=independent", "data=encoded", "data.path=bad.parquet", "run=mine").mistake
        assert "column 'b' holds other values than its 3 codes" in mistake
        assert not Path("mine").exists()
    files.verify()
