"""dpsynth/marginals/counting/selected_rows.py: streamed rows are those that reading, splitting and limiting give."""

import numpy as np
import pandas as pd
import pytest

from dpsynth.data import Codec, Domain, Table
from dpsynth.data.columns import Category, Integer, Number
from dpsynth.data.selection import Selection
from dpsynth.errors import ConfigError, DataError
from dpsynth.marginals.counting import selected_rows
from dpsynth.marginals.counting.raw_rows import RawRows
from dpsynth.marginals.counting.selected_rows import Parts, encode_selected

KEY = bytes(range(32))
DOMAIN = Domain(
    (
        Integer("age", low=0, high=9, missing=True),
        Category("city", categories=("A", "B", "C"), missing=True),
        Number("pay", low=0.0, high=5.0, decimals=1),
        Integer("limit", low=0, high=9),
    ),
    constraints=("age <= limit",),
    rows=500,
)


@pytest.fixture
def path(tmp_path):
    """500 rows, of which many are equal and some break the constraint or lie outside the domain."""
    generator = np.random.default_rng(0)
    frame = pd.DataFrame(
        {
            "age": generator.integers(0, 12, 500).astype(str),
            "city": generator.choice(["A", "B", "C", "D", ""], 500),
            "pay": generator.integers(0, 3, 500).astype(str),
            "limit": generator.integers(3, 10, 500).astype(str),
        }
    )
    frame.iloc[100:200] = frame.iloc[300:400].to_numpy()
    frame.to_csv(tmp_path / "rows.csv", index=False)
    return tmp_path / "rows.csv"


def in_memory(path, domain, parts, selection):
    table = Table.read(path, DOMAIN)
    if parts.holdout:
        table, _ = table.split(parts.holdout, selection.key, selection.neighbours)
    if parts.n_train is not None:
        table = table.subset(parts.n_train, selection.key, selection.neighbours)
    return table.select(domain.names)


@pytest.mark.parametrize("neighbours", ["add_remove", "replace_one"])
@pytest.mark.parametrize(("holdout", "n_train"), [(None, None), (0.2, None), (0.3, 100), (None, 250), (0.5, 10_000)])
@pytest.mark.parametrize("rows", [70, 1000])
def test_the_rows_are_those_of_the_table_in_memory(path, tmp_path, neighbours, holdout, n_train, rows):
    selection = Selection(KEY, neighbours)
    parts = Parts(selection, holdout, n_train, DOMAIN.rows)
    for domain in (DOMAIN, DOMAIN.select(["limit", "city"])):
        folder = tmp_path / f"rows-{len(domain.columns)}"
        folder.mkdir()
        files, broken = encode_selected(RawRows(path, DOMAIN, rows=rows), domain, 4, parts, folder)
        table = in_memory(path, domain, parts, selection)
        assert np.array_equal(np.concatenate([*files.blocks()]), Codec(domain, 4).encode(table.frame).codes)
        assert files.coverage == table.coverage
        expected = {str(rule): int((~rule.satisfied(table.frame)).sum()) for rule in domain.constraints}
        assert broken == expected
        assert [each.name for each in folder.iterdir()] == [files.paths[0].name], "nothing else of the rows stays"


def test_what_reading_changed_is_told_for_all_rows(path, tmp_path):
    raw = RawRows(path, DOMAIN, rows=60)
    encode_selected(raw, DOMAIN, 4, Parts(Selection(KEY), 0.5), tmp_path)
    assert raw.intake == Table.read(path, DOMAIN).intake


def test_one_row_more_changes_one_part_by_it_alone(path, tmp_path):
    """The property that the guarantee rests on, on streams: parts of neighbours differ by that row at most."""
    lines = path.read_text().splitlines()
    for number, at in enumerate((1, 150, 501)):
        other = tmp_path / f"more-{number}.csv"
        other.write_text("\n".join([*lines[:at], "3,B,1,7", *lines[at:]]) + "\n")
        found = []
        for name in (path, other):
            folder = tmp_path / f"{number}-{name.stem}"
            folder.mkdir()
            files, _ = encode_selected(RawRows(name, DOMAIN, rows=90), DOMAIN, 4, Parts(Selection(KEY), 0.4), folder)
            found.append(np.concatenate([*files.blocks()]).tolist())
        before, after = (sorted(map(tuple, rows)) for rows in found)
        assert len(after) - len(before) in (0, 1)
        for row in before:
            after.remove(row)
        assert after in ([], [tuple(Codec(DOMAIN, 4).encode(pd.DataFrame(
            {"age": [3], "city": ["B"], "pay": [1.0], "limit": [7]})).codes[0].tolist())])  # fmt: skip


def test_mistakes_are_those_of_the_table(path, tmp_path):
    selection = Selection(KEY)
    with pytest.raises(ConfigError, match="holdout must be a fraction"):
        Parts(selection, 1.5)
    with pytest.raises(ConfigError, match="positive whole number"):
        Parts(selection, None, 0, 100)
    with pytest.raises(ConfigError, match="rows: NUMBER"):
        Parts(selection, None, 10, None)
    path.write_text("age,city,pay,limit\n")
    with pytest.raises(DataError, match="no rows"):
        encode_selected(RawRows(path, DOMAIN), DOMAIN, 4, Parts(selection), tmp_path)
    path.write_text("age,city,pay,limit\n1,A,1,1\n1,A,x,1\n")
    with pytest.raises(DataError, match=r"'x' \(row 2\)"):
        encode_selected(RawRows(path, DOMAIN, rows=1), DOMAIN, 4, Parts(selection), tmp_path)


def test_digests_of_any_number_of_rows_fit_into_parts(monkeypatch, path, tmp_path):
    monkeypatch.setattr(selected_rows, "PARTS", 3)
    test_the_rows_are_those_of_the_table_in_memory(path, tmp_path, "add_remove", 0.3, 100, 100)
