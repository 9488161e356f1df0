"""Frames in, frames out: what is public is said, what is refused is refused in a sentence."""

import datetime as dt

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

import dpsynth
from dpsynth.data import Domain
from dpsynth.errors import BudgetError, ConfigError, DataError, SchemaError
from dpsynth.models import Independent
from dpsynth.privacy.accounting.account import Account
from dpsynth.testing import example_rows

SCHEMA = {
    "columns": {
        "sex": {"kind": "category", "categories": ["F", "M"]},
        "age": {"kind": "integer", "bounds": [0, 99]},
        "since": {"kind": "date", "bounds": ["2000-01-01", "2020-12-31"], "missing": True},
    },
    "rows": 300,
}
QUICK = {"model": "independent", "schema": SCHEMA}


@pytest.fixture
def people():
    draw = np.random.default_rng(0)
    days = pd.to_datetime("2000-01-01") + pd.to_timedelta(draw.integers(0, 7000, 300), unit="D")
    return pd.DataFrame({"sex": draw.choice(["F", "M"], 300), "age": draw.integers(0, 100, 300), "since": days})


class OnlyArrow:
    """A frame of some library that offers the capsule interface and nothing else."""

    def __init__(self, table):
        self._table = table

    def __arrow_c_stream__(self, requested_schema=None):
        return self._table.__arrow_c_stream__(requested_schema)


def test_the_method_may_be_chosen_by_public_facts(people):
    model = dpsynth.TableSynthesizer(**{**QUICK, "model": "auto"}).fit(people)
    assert model.statement_["chosen"]


def test_pandas_in_pandas_out(people):
    found = dpsynth.synthesize(people, epsilon=1, n=50, **QUICK)
    assert isinstance(found, pd.DataFrame)
    assert list(found.columns) == list(people.columns)
    assert len(found) == 50
    assert found.attrs["privacy"]["private"]


@pytest.mark.parametrize("kind", ["pyarrow", "capsule", "polars", "duckdb"])
def test_every_arrow_frame_is_taken(people, kind):
    table = pa.Table.from_pandas(people, preserve_index=False)
    if kind in ("polars", "duckdb"):
        library = pytest.importorskip(kind)
        frame = library.from_arrow(table)
    else:
        frame = table if kind == "pyarrow" else OnlyArrow(table)
    found = dpsynth.synthesize(frame, n=20, **QUICK)
    assert type(found) is (pa.Table if kind == "capsule" else type(frame))
    back = found if isinstance(found, pa.Table) else found.arrow() if kind == "duckdb" else found.to_arrow()
    assert len(pa.table(back)) == 20


def test_without_a_schema_nothing_is_read(people):
    with pytest.raises(SchemaError, match="nothing is read from the data in silence"):
        dpsynth.synthesize(people)
    draft = dpsynth.draft_schema(people)
    assert "NOT PUBLIC YET" in draft
    assert Domain.from_text(draft).names == tuple(people.columns) if hasattr(Domain, "from_text") else "age:" in draft


def test_a_private_schema_takes_names_and_types_alone(people, monkeypatch):
    """Two frames of the same types give the same plan, whatever their values."""
    from dpsynth.data.table.frames import declared_types

    one = declared_types(pa.Table.from_pandas(people, preserve_index=False))
    other = people.assign(age=5, sex="other", since=dt.datetime(1999, 1, 1)).astype({"since": "datetime64[ns]"})
    assert declared_types(pa.Table.from_pandas(other, preserve_index=False)) == one
    assert {column.name for column in one.undeclared} == set(people.columns)
    assert all(column.missing for column in one)


def test_a_private_schema_is_estimated_within_the_budget(people):
    frame = people.astype({"sex": "string"})
    model = dpsynth.TableSynthesizer(5.0, schema="private", model="independent").fit(frame)
    assert {charge["name"].partition("/")[0] for charge in model.statement_["charges"]} >= {"bounds", "categories"}
    assert model.statement_["private"]
    with pytest.raises(SchemaError, match="its type says nothing"):
        dpsynth.synthesize(people.astype({"sex": object}), schema="private", model="independent")


@pytest.mark.parametrize(
    ("change", "error", "words"),
    [
        ({"epsilon": -1}, BudgetError, "epsilon must be above 0"),
        ({"model": "best"}, ConfigError, "choose one of"),
        ({"person": "sex"}, ConfigError, "needs max_rows_per_person"),
        ({"max_rows_per_person": 2}, ConfigError, "needs person"),
        ({"schema": 3}, SchemaError, "is none"),
        ({"schema": "nowhere.yaml"}, SchemaError, "nowhere.yaml"),
    ],
)
def test_mistakes_are_refused_before_data_are_spent(people, change, error, words):
    with pytest.raises(error, match=words):
        dpsynth.synthesize(people, **{**QUICK, **change})


def test_what_is_no_frame_is_refused():
    for wrong in ([1, 2], {"a": [1]}, np.zeros(3), "people.csv"):
        with pytest.raises(DataError, match="is no frame"):
            dpsynth.synthesize(wrong, **QUICK)


def test_advice_is_a_warning(people):
    with pytest.warns(UserWarning, match="publishing a row"):
        dpsynth.synthesize(people, delta=0.01, n=2, **QUICK)
    with pytest.warns(UserWarning, match="not private"):
        dpsynth.synthesize(people, epsilon=float("inf"), n=2, **QUICK)


def test_fits_are_charged_to_an_account_until_it_is_spent(people, tmp_path):
    file = tmp_path / "people.account"
    account = Account.create(file, "people", dpsynth.Budget(2.0, 1e-4))
    model = dpsynth.TableSynthesizer(epsilon=1.0, delta=1e-6, account=file, **QUICK).fit(people)
    assert account.statement().spent[0] > 0
    with pytest.raises(BudgetError, match="people"):
        model.set_params(epsilon=5.0).fit(people)
    assert len(account.statement().entries) == 1


def test_persons_are_protected(people):
    frame = people.assign(who=np.arange(300) // 3)
    model = dpsynth.TableSynthesizer(1.0, person="who", max_rows_per_person=2, **QUICK).fit(frame)
    assert model.statement_["unit"] == "one person (at most 2 rows)"
    assert "who" not in model.sample(5).frame


def test_scikit_learn_can_clone_it(people):
    base = pytest.importorskip("sklearn.base")
    model = dpsynth.TableSynthesizer(2.0, schema=SCHEMA, model=Independent())
    again = base.clone(model)
    assert again.get_params() == model.get_params()
    assert again is not model
    again.set_params(epsilon=1.0)
    assert model.epsilon == 2.0
    with pytest.raises(ConfigError, match="no parameter 'depth'"):
        again.set_params(depth=1)
    with pytest.raises(ConfigError, match="not fitted"):
        again.sample(1)
    assert again.fit(people) is again
    assert repr(again).startswith("TableSynthesizer(epsilon=1.0") or "schema=" in repr(again)


def test_sdv_metadata_are_a_schema(people):
    columns = {"age": {"sdtype": "numerical", "computer_representation": "Int64"}, "sex": {"sdtype": "categorical"}}
    metadata = {"tables": {"t": {"columns": columns}}, "relationships": [], "METADATA_SPEC_VERSION": "V1"}
    found = dpsynth.synthesize(people[["age", "sex"]], 5.0, metadata, model="independent", n=10)
    assert list(found.columns) == ["age", "sex"]


def test_scores_are_a_frame(people):
    model = dpsynth.TableSynthesizer(1.0, **QUICK).fit(people)
    from dpsynth.evaluation.suite import Settings

    found = dpsynth.evaluate(people, model.sample(300), settings=Settings(families=("marginals",)))
    assert list(found.columns)[:3] == ["value", "low", "high"]
    assert (found["value"] >= 0).all()


def test_html_shows_synthetic_rows_and_never_private_ones():
    table = example_rows(20)
    assert "never" in table.frame["kind"].tolist()
    assert ">never<" not in table._repr_html_()
    fitted = Independent(cells=4).fit(table, dpsynth.Budget(1.0, 1e-5))
    assert "<td>" in fitted.sample(3, seed=0)._repr_html_()
    assert "differential privacy" in fitted._repr_html_()
    assert "differential privacy" in repr(fitted)
