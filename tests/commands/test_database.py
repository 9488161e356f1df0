"""A database from train.py to generate.py and evaluate.py: folders in, folders out."""

import json

import pytest

from dpsynth.commands import release_documents
from dpsynth.data.database import Database
from dpsynth.data.database.toy import Clinic
from tests.data.database.test_linking import KEY

QUICK = ["model=mst", "privacy.epsilon=4"]


@pytest.fixture
def clinic(tmp_path):
    return Clinic().sample(300, seed=1).write(tmp_path / "clinic")


def test_a_folder_becomes_a_release(clinic, command, tmp_path):
    data = ["data=database", f"data.path={clinic}", f"data.schema={clinic / 'schema.yaml'}"]
    work = tmp_path / "work"
    assert command("train", *QUICK, *data, "run=r", "n=200").code == 0
    release = work / "r" / "release"
    made = Database.read(release / "synthetic", release / "synthetic" / "schema.yaml", KEY)
    assert len(made) == 200
    statement = json.loads((release / "privacy.json").read_text())
    assert statement["unit"] == "one person, a row of patients with all their rows (at most 10 visits)"
    assert statement["covers"] == "every person of the data; used in training: each person with probability 0.8"
    assert "rows that were left out" in (work / "r" / "private" / "intake.json").read_text()

    release_documents.describe(["r", "--title", "A clinic", "--steward", "Office"])
    release_documents.describe(["r", "--license", "CC-BY-4.0"])
    card = (release / "README.md").read_text()
    for part in (
        "# A clinic",
        "Office",
        "### visits",
        "At most 10 rows for each row of patients",
        "all persons of the",
    ):
        assert part in card
    package = json.loads((release / "datapackage.json").read_text())
    visits = next(each for each in package["resources"] if each["path"] == "synthetic/visits.csv")
    patients = next(each for each in package["resources"] if each["path"] == "synthetic/patients.csv")
    header = (release / "synthetic" / "visits.csv").read_text().splitlines()[0]
    assert [field["name"] for field in visits["schema"]["fields"]] == header.split(",")
    reference = visits["schema"]["foreignKeys"][0]["reference"]
    assert reference == {"resource": patients["name"], "fields": patients["schema"]["primaryKey"]}
    release_documents.verify(["r"])

    wanted = command("generate", "run=r", "n=50", "where={visits.kind: emergency}", "out=more", "format=parquet")
    assert wanted.code == 0, wanted.err
    assert set(Database.read(work / "more", made.domain, KEY)["visits"].frame["kind"]) == {"emergency"}
    assert command("generate", "run=r", "n=50").code == 0
    assert (release / "synthetic-2" / "visits.csv").is_file()
    assert "exists already" in command("generate", "run=r", "n=50", "out=more").mistake

    quick = ("metrics=quick", "metrics.families=[marginals,validity]", "metrics.draws=1", "figures=none")
    assert command("evaluate", "run=r", *quick).code == 0
    scores = json.loads((work / "r" / "private" / "scores.json").read_text())["scores"]
    found = {score["name"]: score["value"] for score in scores}
    assert found["rules_kept"] == 1
    assert found["cardinality_tv"] < 0.3


def test_mistakes_end_with_a_line(clinic, command, tmp_path):
    schema = f"data.schema={clinic / 'schema.yaml'}"
    assert "data.path is not set" in command("train", *QUICK, "data=database", schema).mistake
    assert "data.schema is not set" in command("train", *QUICK, "data=database", f"data.path={clinic}").mistake
    assert "model=aim or model=mst" in command("train", "model=merf", "data=database_toy").mistake
    assert "several tables" in command("train", *QUICK, "data=database_toy", "columns=[sex]").mistake
    assert "out_format=duckdb: is for databases" in command("train", *QUICK, "data=toy", "out_format=duckdb").mistake
    assert (
        "data.distribution=bar: not one of clinic, bank"
        in command("train", *QUICK, "data=database_toy", "data.distribution=bar").mistake
    )
    assert "databases are not" in command("audit", "model=mst", "data=database_toy").mistake
