"""A drafted schema finds keys and links, marks every guess, and reads the tables it was drafted from."""

import json

import pytest

from dpsynth.data.database import Database, DatabaseDomain
from dpsynth.data.database.draft import draft
from dpsynth.data.database.toy import Bank, Clinic
from dpsynth.errors import SchemaError
from tests.data.database.test_linking import KEY


@pytest.mark.parametrize("toy", [Clinic(), Bank()])
def test_a_draft_reads_what_it_was_drafted_from(toy, tmp_path):
    database = toy.sample(60, seed=1)
    folder = database.write(tmp_path / "tables")
    (folder / "schema.yaml").unlink()
    text = draft(folder)
    drafted = DatabaseDomain.from_yaml(text)
    assert drafted.root == database.domain.root
    for table in database.domain:
        found = drafted[table.name]
        assert (found.parent, found.foreign_key, found.order) == (table.parent, table.foreign_key, table.order)
        assert found.domain.names == table.domain.names
    assert len(Database.read(folder, drafted, KEY)) == 60
    lines = [line for line in text.splitlines() if ":" in line and not line.startswith("#")]
    assert all("guess" in line for line in lines if not line.rstrip().endswith(":"))


METADATA = {
    "METADATA_SPEC_VERSION": "V1",
    "tables": {
        "patients": {"primary_key": "patient_id", "columns": {
            "patient_id": {"sdtype": "id"}, "sex": {"sdtype": "categorical"}, "chronic": {"sdtype": "boolean"}}},
        "visits": {"primary_key": "visit_id", "sequence_index": "date", "columns": {
            "visit_id": {"sdtype": "id"}, "patient_id": {"sdtype": "id"},
            "date": {"sdtype": "datetime", "datetime_format": "%Y-%m-%d"},
            "kind": {"sdtype": "categorical"}, "cost": {"sdtype": "numerical"}}},
    },
    "relationships": [{
        "parent_table_name": "patients", "child_table_name": "visits",
        "parent_primary_key": "patient_id", "child_foreign_key": "patient_id"}],
}  # fmt: skip


def test_sdv_says_keys_and_kinds(tmp_path):
    folder = Clinic().sample(60, seed=1).write(tmp_path / "tables")
    (folder / "schema.yaml").unlink()
    (tmp_path / "metadata.json").write_text(json.dumps(METADATA))
    text = draft(folder, tmp_path / "metadata.json")
    drafted = DatabaseDomain.from_yaml(text)
    assert drafted["visits"].key == ("visit_id",)
    assert drafted["visits"].parent == "patients"
    assert drafted["visits"].order == "date"
    assert drafted["visits"].domain["date"].kind == "date"
    assert text.count("said by the metadata") >= 4
    assert len(Database.read(folder, drafted, KEY)["visits"]) > 0


def test_other_metadata_are_refused(tmp_path):
    folder = Clinic().sample(60, seed=1).write(tmp_path / "tables")
    path = tmp_path / "metadata.json"
    for content, said in [
        ({**METADATA, "METADATA_SPEC_VERSION": "SINGLE_TABLE_V1"}, "METADATA_SPEC_VERSION V1"),
        ({**METADATA, "relationships": [{"parent_table_name": "x", "child_table_name": "visits"}]}, "names table 'x'"),
        ([], "METADATA_SPEC_VERSION V1"),
    ]:
        path.write_text(json.dumps(content))
        with pytest.raises(SchemaError, match=said):
            draft(folder, path)
    path.write_text("{")
    with pytest.raises(SchemaError, match="cannot be read as metadata"):
        draft(folder, path)
