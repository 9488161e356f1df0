import copy

import pytest

from dpsynth.data import Boolean, Category, Date, Domain, Integer, Number
from dpsynth.data.columns import Datetime, Identifier
from dpsynth.errors import SchemaError
from dpsynth.integrations.sdv import domain_of, is_metadata, metadata_of
from dpsynth.testing import TABLES

COLUMNS = {
    "id": {"sdtype": "id", "regex_format": "P-[0-9]{5}"},
    "age": {"sdtype": "numerical", "computer_representation": "Int64"},
    "pay": {"sdtype": "numerical"},
    "sex": {"sdtype": "categorical"},
    "member": {"sdtype": "boolean"},
    "born": {"sdtype": "datetime", "datetime_format": "%d.%m.%Y"},
    "seen": {"sdtype": "datetime", "datetime_format": "%Y-%m-%d %H:%M:%S"},
    "mail": {"sdtype": "email", "pii": True},
}
METADATA = {
    "tables": {"people": {"columns": COLUMNS, "primary_key": "id"}},
    "relationships": [],
    "METADATA_SPEC_VERSION": "V1",
}


def test_kinds_are_taken_over_and_nothing_else_is_assumed():
    domain = domain_of(METADATA)
    kinds = {column.name: type(column) for column in domain.written}
    assert kinds == {"id": Identifier, "age": Integer, "pay": Number, "sex": Category, "member": Boolean,
                     "born": Date, "seen": Datetime, "mail": Identifier}  # fmt: skip
    assert all(column.missing for column in domain)
    assert {column.name for column in domain.undeclared} == {"age", "pay", "sex", "born", "seen"}


def test_metadata_come_back_as_they_were():
    assert metadata_of(domain_of(METADATA), like=METADATA) == METADATA
    old = {"columns": COLUMNS, "primary_key": "id", "METADATA_SPEC_VERSION": "SINGLE_TABLE_V1"}
    assert metadata_of(domain_of(old), like=old) == old


def test_a_schema_comes_back_but_for_what_sdv_cannot_say():
    found = domain_of(metadata_of(TABLES))
    assert [(c.name, type(c)) for c in found] == [(c.name, type(c)) for c in TABLES]


def test_columns_that_were_left_out_leave_the_metadata():
    domain = Domain(tuple(c for c in domain_of(METADATA).written if c.name not in ("id", "pay")))
    found = metadata_of(domain, like=METADATA)["tables"]["people"]
    assert set(found["columns"]) == set(COLUMNS) - {"id", "pay"}
    assert "primary_key" not in found


def test_one_table_must_be_chosen_of_several():
    two = copy.deepcopy(METADATA)
    two["tables"]["visits"] = {"columns": {"x": {"sdtype": "boolean"}}}
    with pytest.raises(SchemaError, match="choose one"):
        domain_of(two)
    assert domain_of(two, "visits").names == ("x",)
    with pytest.raises(SchemaError, match="no table 'z'"):
        domain_of(two, "z")


@pytest.mark.parametrize(
    "wrong",
    [
        {},
        {"tables": {}},
        {"columns": {}},
        {"columns": {"a": {"sdtype": "unknown"}}},
        {"columns": {"a": "numerical"}},
        3,
    ],
    ids=str,
)
def test_what_is_no_metadata_is_refused(wrong):
    with pytest.raises(SchemaError, match="SDV metadata"):
        domain_of(wrong)


def test_metadata_are_told_from_a_schema():
    assert is_metadata(METADATA)
    assert not is_metadata({"columns": {"a": {"kind": "boolean"}}})
    assert not is_metadata("people.yaml")


def test_the_library_reads_what_is_written():
    metadata = pytest.importorskip("sdv.metadata")
    for content in (METADATA, metadata_of(TABLES)):
        known = metadata.Metadata.load_from_dict(content)
        known.validate()
        assert metadata_of(domain_of(known), like=known) == known.to_dict()
