"""What reading did to a column is counted, and a column of which nothing was kept is refused."""

import pytest

from dpsynth.data import Domain, Table
from dpsynth.data.table.intake import IntakeError
from dpsynth.errors import DataError
from dpsynth.marginals.counting.raw_rows import encode_files


@pytest.mark.parametrize(
    ("entry", "cells", "options"),
    [
        ("integer, bounds: [0, 9]", ["45210", "31000", "7700"], {}),
        ("number, bounds: [0, 1]", ["31", "55", ""], {}),
        ("number, bounds: [0, 9], missing: true", ["31%", "55%", "7%"], {"unreadable": "missing"}),
        ("category, categories: [a, b], missing: true", ["A", "B", "A"], {}),
        ("category, categories: [a, b], other: rest", ["A", "B", "A"], {}),
        ("date, bounds: [2000-01-01, 2001-01-01]", ["2020-01-01", "2021-01-01", "2022-01-01"], {}),
    ],
)
def test_a_column_without_a_value_in_its_domain_is_refused(tmp_path, entry, cells, options):
    """It would be learned as a constant, and every score would compare it with itself."""
    entry += "" if "missing" in entry or "" not in cells else ", missing: true"
    domain = Domain.from_yaml(f"columns:\n  x: {{kind: {entry}}}\n  y: {{kind: boolean}}\n")
    file = tmp_path / "a.csv"
    file.write_text("x,y\n" + "".join(f'"{cell}",true\n' for cell in cells))
    with pytest.raises(IntakeError, match="column 'x': not one of 3 values lies in its domain"):
        Table.read(file, domain, **options)
    with pytest.raises(IntakeError, match="column 'x': not one of 3 values lies in its domain"):
        encode_files(file, tmp_path / "codes.parquet", domain, rows=2, **options)
    assert not (tmp_path / "codes.parquet").exists()


def test_one_value_in_the_domain_is_enough(tmp_path):
    domain = Domain.from_yaml("columns:\n  x: {kind: integer, bounds: [0, 9]}\n  y: {kind: boolean}\n")
    (tmp_path / "a.csv").write_text("x,y\n45210,true\n5,false\n31000,true\n")
    table = Table.read(tmp_path / "a.csv", domain)
    assert table.invalid == {"x": 2}
    assert table.intake["x"].kept == 1


def test_undeclared_categories_are_counted_and_shown_with_their_row(tmp_path):
    domain = Domain.from_yaml("columns:\n  x: {kind: category, categories: ['2', '3']}\n")
    (tmp_path / "a.csv").write_text("x\n2\n2.0\n3.0\n")
    with pytest.raises(DataError, match=r"column 'x': 2 of 3 values are no declared category, first '2.0' \(row 2\)"):
        Table.read(tmp_path / "a.csv", domain)
