"""Other evaluations get both tables in the same types, without identifiers, and in the codes that they expect."""

import datetime as dt

import pandas as pd
import pytest

from dpsynth.data import Boolean, Category, Date, Domain, Integer, Number
from dpsynth.data.columns import Identifier
from dpsynth.data.table.table import Table
from dpsynth.errors import ConfigError, DataError
from dpsynth.integrations.evaluators import mostlyai_inputs, sdmetrics_inputs, sdnist_file

DOMAIN = Domain((
    Identifier("id"),
    Integer("age", 0, 120, missing=True),
    Number("pay", 0.0, 1e6),
    Category("sex", ("F", "M"), missing=True),
    Boolean("member"),
    Date("born", dt.date(1900, 1, 1), dt.date(2020, 1, 1)),
))  # fmt: skip


def table(missing):
    rows = {
        "id": ["a", "b", "c"],
        "age": [30, None if missing else 40, 50],
        "pay": [1.5, 2.5, 3.5],
        "sex": ["F", None if missing else "M", "M"],
        "member": [True, False, True],
        "born": ["1990-01-01", "1980-02-03", "1970-12-31"],
    }
    return Table(pd.DataFrame(rows), DOMAIN)


def test_both_tables_have_the_columns_of_the_metadata_in_types_of_the_same_kind():
    real, synthetic, metadata = sdmetrics_inputs(table(True), table(False))
    assert list(real) == list(synthetic) == list(metadata["columns"]) == ["age", "pay", "sex", "member", "born"]
    kinds = {"numerical": "if", "boolean": "b", "categorical": "O", "datetime": "M"}
    for name, entry in metadata["columns"].items():
        for frame in (real, synthetic):
            assert frame[name].dtype.kind in kinds[entry["sdtype"]], name
    assert real["age"].isna().tolist() == [False, True, False]
    assert real["sex"].tolist() == ["F", None, "M"]


def test_a_report_of_sdmetrics_takes_them():
    reports = pytest.importorskip("sdmetrics.reports.single_table", reason="SDMetrics is not installed")
    report = reports.QualityReport()
    report.generate(*sdmetrics_inputs(table(True), table(False)), verbose=False)
    assert 0 <= report.get_score() <= 1


def test_mostlyai_is_given_training_holdout_and_synthetic_rows():
    inputs = mostlyai_inputs(table(False), table(True), table(False))
    assert set(inputs) == {"syn_tgt_data", "trn_tgt_data", "hol_tgt_data"}
    assert all(list(frame) == ["age", "pay", "sex", "member", "born"] for frame in inputs.values())
    assert "hol_tgt_data" not in mostlyai_inputs(table(False), table(True))


def test_these_are_the_arguments_of_the_report_of_mostlyai():
    import inspect

    qa = pytest.importorskip("mostlyai.qa", reason="mostlyai-qa is not installed")
    assert set(mostlyai_inputs(table(False), table(True), table(False))) <= set(inspect.signature(qa.report).parameters)


def test_tables_without_a_common_column_are_refused():
    other = Table(pd.DataFrame({"x": [1, 2]}), Domain((Integer("x", 0, 9),)))
    with pytest.raises(DataError, match="no column in common"):
        sdmetrics_inputs(other, table(False))
    with pytest.raises(DataError, match="no column in common"):
        mostlyai_inputs(other, table(False))


NIST = Domain((
    Category("PUMA", ("25-00503", "25-01000")),
    Integer("AGEP", 0, 99),
    Integer("PINCP", 0, 999_999, missing=True),
    Integer("EXTRA", 0, 9),
))  # fmt: skip


@pytest.mark.parametrize("ending", ["csv", "parquet"])
def test_sdnist_is_given_its_features_in_its_codes(tmp_path, ending):
    rows = {"PUMA": ["25-00503", "25-01000"], "AGEP": [3, 41], "PINCP": [None, 12_000], "EXTRA": [1, 2]}
    path = sdnist_file(Table(pd.DataFrame(rows), NIST), tmp_path / f"synthetic.{ending}")
    found = pd.read_csv(path, dtype=str) if ending == "csv" else pd.read_parquet(path).astype(str)
    assert {name: found[name].tolist() for name in found} == {
        "PUMA": ["25-00503", "25-01000"],
        "AGEP": ["3", "41"],
        "PINCP": ["N", "12000"],
    }


def test_what_sdnist_cannot_read_is_refused(tmp_path):
    with pytest.raises(DataError, match="no column is a feature of the NIST excerpts"):
        sdnist_file(table(False), tmp_path / "synthetic.csv")
    with pytest.raises(ConfigError, match=r"FILE\.csv or FILE\.parquet"):
        sdnist_file(table(False), tmp_path / "synthetic.json")
