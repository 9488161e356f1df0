"""The documents of a release: complete, of public facts alone, and harmless whatever names they hold."""

import hashlib
import json
import re
import subprocess

import pytest

import dpsynth
from dpsynth import Budget
from dpsynth.data import Category, Domain, Integer
from dpsynth.data.columns import Identifier
from dpsynth.data.table.table import Table
from dpsynth.errors import ArtifactError, ConfigError
from dpsynth.models import AIM, Independent
from dpsynth.models.merf.recipe import MERF, TrainingOptions
from dpsynth.release.facts import Facts
from dpsynth.release.folder import DOCUMENTS, describe, facts_of, files_of, write_release
from dpsynth.release.verification import verify_release
from dpsynth.testing import TABLES, example_images, example_rows

FACTS = Facts("A <b>title</b>", "What | it is", "A register", "Teaching", "Office", "x@example.org", "CC-BY-4.0",
              "https://example.org/x", "2026-01-02")  # fmt: skip
HOSTILE = "a|b\n# `c` <script>alert(1)</script> [x](javascript:y) \"q\" 'r'"


@pytest.fixture(scope="module")
def fitted():
    return Independent(cells=4).fit(example_rows(60), Budget(1.0, 1e-5))


@pytest.fixture
def release(fitted, tmp_path):
    folder = tmp_path / "release"
    folder.mkdir()
    write_release(fitted, fitted.sample(30, seed=0).write, folder, FACTS, ".csv")
    return folder


def test_everything_is_there_and_listed(release):
    names = {*DOCUMENTS, "model.json", "model.safetensors", "privacy.json", "marginals.parquet", "synthetic.csv"}
    assert {path.name for path in release.iterdir()} == {*names, "SHA256SUMS"}
    listed = dict(line.split("  ")[::-1] for line in (release / "SHA256SUMS").read_text().splitlines())
    assert set(listed) == names
    for name, digest in listed.items():
        assert hashlib.sha256((release / name).read_bytes()).hexdigest() == digest
    done = subprocess.run(["sha256sum", "-c", "SHA256SUMS"], cwd=release, capture_output=True, check=False)
    assert done.returncode == 0


def test_a_release_is_confirmed(release):
    found = verify_release(release)
    assert found.confirmed, found.findings
    assert {finding.what: finding.holds for finding in found.findings} == {
        "checksums": True, "signature": None, "model": True, "statement": True, "epsilon": True,
    }  # fmt: skip


@pytest.mark.parametrize("name", ["synthetic.csv", "README.md", "privacy.json", "marginals.parquet"])
def test_a_changed_file_is_found(release, name):
    path = release / name
    path.write_bytes(path.read_bytes().replace(b"a", b"b", 1))
    found = {finding.what: finding for finding in verify_release(release).findings}
    assert found["checksums"].holds is False
    assert name in found["checksums"].why


def test_a_statement_that_lies_is_found_although_its_sums_fit(release):
    """Someone lowers epsilon everywhere, and writes all checksums anew."""
    statement = json.loads((release / "privacy.json").read_text())
    statement["proven"]["epsilon"] = statement["target"]["epsilon"] = 0.5
    statement["guarantee"] = re.sub(r"\([0-9.]+, ", "(0.5, ", statement["guarantee"])
    (release / "privacy.json").write_text(json.dumps(statement))
    model = json.loads((release / "model.json").read_text())
    model["sha256"]["privacy.json"] = hashlib.sha256((release / "privacy.json").read_bytes()).hexdigest()
    (release / "model.json").write_text(json.dumps(model))
    describe(dpsynth.load(release).domain, statement, release, FACTS)
    found = {finding.what: finding.holds for finding in verify_release(release).findings}
    assert found == {"checksums": True, "signature": None, "model": True, "statement": True, "epsilon": False}


def test_a_sentence_that_contradicts_its_numbers_is_found(release):
    statement = json.loads((release / "privacy.json").read_text())
    statement["guarantee"] = re.sub(r"\([0-9.]+, ", "(0.1, ", statement["guarantee"])
    (release / "privacy.json").write_text(json.dumps(statement))
    found = {finding.what: finding for finding in verify_release(release).findings}
    assert "says otherwise than its numbers" in found["statement"].why


def test_further_rows_are_named_as_not_listed(release):
    (release / "synthetic-2.csv").write_text("x\n")
    found = verify_release(release).findings[0]
    assert found.holds
    assert "synthetic-2.csv" in found.why


def test_facts_stay_until_they_are_stated_anew(fitted, release):
    assert facts_of(release) == FACTS
    describe(fitted.domain, fitted.statement, release, facts_of(release).with_({"steward": "New office"}))
    assert facts_of(release) == FACTS.with_({"steward": "New office"})
    assert "New office" in (release / "README.md").read_text()
    assert verify_release(release).confirmed


@pytest.mark.parametrize(
    "wrong", [{"date": "yesterday"}, {"url": "javascript:x"}, {"title": " "}, {"steward": "a\x00b"}], ids=str
)
def test_facts_that_are_none_are_refused(wrong):
    with pytest.raises(ConfigError):
        Facts.from_dict(wrong)


def test_hostile_names_stay_text(tmp_path):
    domain = Domain(
        (Category(HOSTILE, categories=(HOSTILE, "b"), label=True), Integer("n|\n", low=0, high=9), Identifier("id")),
        rows=20,
    )
    table = Table(Table.as_it_stands(_frame(domain), domain).frame, domain)
    fitted = Independent(cells=4).fit(table, Budget(1.0, 1e-5))
    (folder := tmp_path / "release").mkdir()
    write_release(fitted, fitted.sample(5, seed=0).write, folder, Facts(title=HOSTILE.replace("\n", " ")), ".csv")
    card = (folder / "README.md").read_text()
    assert "<script>" not in card
    assert "[x](javascript" not in card
    for name in ("croissant.json", "datapackage.json", "deployment.json", "sdv_metadata.json"):
        assert json.loads((folder / name).read_text())
    assert json.loads((folder / "croissant.json").read_text())["recordSet"][0]["field"][0]["name"] == HOSTILE
    assert verify_release(folder).confirmed


def _frame(domain):
    import pandas as pd

    return pd.DataFrame({HOSTILE: [HOSTILE, "b"] * 10, "n|\n": range(20)}).assign(
        **{"n|\n": [k % 10 for k in range(20)]}
    )


def test_what_is_not_private_says_so_everywhere(tmp_path):
    fitted = AIM(cells=4, workload=1).fit(example_rows(60), Budget(float("inf"), 1e-5))
    (folder := tmp_path / "release").mkdir()
    write_release(fitted, fitted.sample(5, seed=0).write, folder, Facts(), ".csv")
    for name in ("README.md", "croissant.json", "deployment.json"):
        assert "NOT PRIVATE" in (folder / name).read_text(), name
    found = verify_release(folder)
    assert not found.confirmed
    assert {f.what: f.holds for f in found.findings}["statement"] is False


def test_images_have_documents_too(tmp_path):
    fitted = MERF(training=TrainingOptions(steps=2)).fit(example_images(40), Budget(1.0, 1e-5))
    (folder := tmp_path / "release").mkdir()
    write_release(fitted, fitted.sample(4, seed=0).write, folder, FACTS, ".npz")
    assert "8 x 8 pixels" in (folder / "README.md").read_text()
    assert "schema.yaml" not in files_of(folder)
    assert verify_release(folder).confirmed


def test_no_document_holds_what_the_fit_does_not(release, fitted, tmp_path):
    """Documents are a function of model, rows and facts: the same from a loaded model, elsewhere."""
    again = dpsynth.load(release)
    (other := tmp_path / "other").mkdir()
    write_release(again, again.sample(30, seed=0).write, other, FACTS, ".csv")
    for path in release.iterdir():
        assert (other / path.name).read_bytes() == path.read_bytes(), path.name


def test_a_folder_without_rows_is_refused(release):
    (release / "synthetic.csv").unlink()
    with pytest.raises(ArtifactError, match="no file of synthetic rows"):
        describe(TABLES, {}, release, FACTS)


def test_the_table_schema_holds_for_the_rows(release):
    """Every value of the CSV file meets the type, the bounds and the categories of its field."""
    import csv

    package = json.loads((release / "datapackage.json").read_text())
    schema = package["resources"][0]["schema"]
    with (release / "synthetic.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [field["name"] for field in schema["fields"]] == list(rows[0])
    for field in schema["fields"]:
        limits = field.get("constraints", {})
        for row in rows:
            value = row[field["name"]]
            if value in schema["missingValues"]:
                assert not limits.get("required")
            elif "enum" in limits:
                assert value in limits["enum"]
            elif field["type"] in ("integer", "number"):
                assert limits["minimum"] <= float(value) <= limits["maximum"]
            elif field["type"] in ("date", "datetime"):
                assert limits["minimum"] <= value <= limits["maximum"]


def test_croissant_is_valid(release):
    croissant = pytest.importorskip("mlcroissant")
    data = croissant.Dataset(jsonld=release / "croissant.json")
    assert not data.metadata.ctx.issues.errors
    assert len(list(data.records("rows"))) == 30


def test_frictionless_agrees(release):
    frictionless = pytest.importorskip("frictionless")
    found = frictionless.Package(str(release / "datapackage.json")).get_resource("synthetic").validate()
    assert found.valid, found.flatten(["type", "note"])
