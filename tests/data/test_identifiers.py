"""Identifiers are set aside: nothing of them is learned, and synthetic rows get fresh ones."""

import uuid

import pandas as pd
import pytest

from dpsynth.data import Domain, Table
from dpsynth.data.columns import Identifier
from dpsynth.errors import DataError, SchemaError
from dpsynth.models import Independent
from dpsynth.privacy.accounting.budget import Budget

SCHEMA = """\
columns:
  id: {kind: identifier, pattern: 'P-{n:04}'}
  age: {kind: integer, bounds: [0, 99]}
  key: {kind: identifier}
  sex: {kind: category, categories: [F, M]}
"""


def test_identifiers_are_not_learned_and_come_back_fresh(tmp_path):
    domain = Domain.from_yaml(SCHEMA)
    assert domain.names == ("age", "sex")
    assert Domain.from_yaml(domain.to_yaml()) == domain
    (tmp_path / "a.csv").write_text("id,age,key,sex\n007,30,x@y.org,F\n008,40,z@y.org,M\n")
    table = Table.read(tmp_path / "a.csv", domain, person="key")
    assert list(table.frame.columns) == ["age", "sex"]
    assert len(table.bound_contributions("key", 1, bytes(32))) == 2
    for name in ("b.csv", "b.parquet"):
        written = table.write(tmp_path / name)
        frame = pd.read_csv(written, dtype=str) if name == "b.csv" else pd.read_parquet(written)
        assert list(frame.columns) == ["id", "age", "key", "sex"]
        assert frame["id"].tolist() == ["P-0001", "P-0002"]
        assert frame["key"].nunique() == 2
        assert "x@y.org" not in written.read_bytes().decode("latin-1")
        assert Table.read(written, domain).frame.equals(table.frame)
    (tmp_path / "c.csv").write_text("age,sex\n30,F\n")
    assert len(Table.read(tmp_path / "c.csv", domain)) == 1
    (tmp_path / "c.csv").write_text("007,30,x@y.org,F\n008,40,z@y.org,M\n")
    assert len(Table.read(tmp_path / "c.csv", domain, header=False)) == 2


def test_chosen_columns_keep_the_identifiers_that_were_named():
    domain = Domain.from_yaml(SCHEMA)
    assert domain.select(["sex", "age"]).set_aside == ()
    assert [column.name for column in domain.select(["sex", "id"]).written] == ["sex", "id"]


def test_uuids_follow_from_the_seed_of_the_sample_and_never_meet(tmp_path):
    domain = Domain.from_yaml(SCHEMA)
    table = Table(pd.DataFrame({"age": [30, 40], "sex": ["F", "M"]}), domain)
    fitted = Independent().fit(table, Independent().plan(domain, Budget(1.0, 1e-5)))
    first, again, other, fresh = (fitted.sample(50, seed=seed).written["key"] for seed in (0, 0, 1, None))
    assert first.equals(again)
    assert len({*first, *other, *fresh}) == 150
    assert all(uuid.UUID(key).version == 4 for key in first)
    assert not set(table.written["key"]) & set(Table(table.frame, domain).written["key"])
    written = fitted.sample(50, seed=0).write(tmp_path / "a.csv")
    assert pd.read_csv(written)["key"].tolist() == first.tolist()


@pytest.mark.parametrize("pattern", ["P-1", "{x}", "{n:q}", "{", "{n}{m}"])
def test_a_pattern_must_make_different_values(pattern):
    with pytest.raises(SchemaError, match="makes no different values"):
        Identifier("id", pattern)


def test_contradictions_are_refused():
    for wrong in ("{kind: identifier, missing: true}", "{kind: identifier, bounds: [0, 1]}"):
        with pytest.raises(SchemaError):
            Domain.from_yaml(f"columns:\n  id: {wrong}\n  n: {{kind: boolean}}\n")
    with pytest.raises(SchemaError, match="no identifier"):
        Domain.from_yaml("columns:\n  id: {kind: identifier}\n")
    with pytest.raises(SchemaError, match="'n' is declared twice"):
        Domain((Identifier("n"), *Domain.from_yaml("columns:\n  n: {kind: boolean}\n").columns))
    with pytest.raises(DataError, match="'age'"):
        Table(pd.DataFrame({"id": [1], "sex": ["F"]}), Domain.from_yaml(SCHEMA))
