import datetime as dt

import numpy as np
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dpsynth import Budget, load
from dpsynth.data import Boolean, Category, Date, Domain, Integer, Number
from dpsynth.data.table.codec import Codec
from dpsynth.errors import ArtifactError, ConfigError
from dpsynth.marginals.noisy_tables import NoisyTable, cells_of, noisy_tables, read, words, write
from dpsynth.models import AIM, DPVI, MAF, MST, NAPSU, Independent, PrivBayes
from dpsynth.models.dpvi.recipe import InferenceOptions
from dpsynth.testing import example_rows

DOMAIN = Domain(
    (
        Category("city", categories=("Bonn", "Ulm, upper", "missing"), missing=True),
        Integer("size", low=-3, high=40, point_masses=(0, 99)),
        Number("weight", low=0.0, high=10.0),
        Boolean("member"),
        Date("joined", low=dt.date(2020, 1, 1), high=dt.date(2020, 1, 10), missing=True),
    )
)
METHODS = [
    Independent(cells=4),
    MST(cells=4),
    AIM(cells=4, workload=2, rounds=2),
    NAPSU(cells=4, draws=2),
    PrivBayes(cells=4),
    PrivBayes(cells=4, estimator="ancestral"),
    MAF(dp_sgd_fraction=0.5).replace(training={"steps": 1}),
    DPVI(inference=InferenceOptions(steps=1)),
]  # fmt: skip


def test_cells_are_named_by_values():
    codec = Codec(DOMAIN, 3)
    assert cells_of(codec["city"]) == (("Bonn",), ("Ulm, upper",), ("missing",), (None,))
    assert cells_of(codec["member"]) == (("False",), ("True",))
    assert cells_of(codec["weight"])[0] == ("0.0..3.333333333333333",)
    assert cells_of(codec["joined"]) == (("2020-01-01..2020-01-03",), ("2020-01-04..2020-01-07",),
                                         ("2020-01-08..2020-01-10",), (None,))  # fmt: skip
    assert cells_of(codec["size"])[-2:] == (("0",), ("99",))


@pytest.mark.parametrize("name", DOMAIN.names)
@pytest.mark.parametrize("bins", [1, 3, 64])
def test_both_ends_of_a_range_are_encoded_into_its_cell(name, bins):
    """Every value named by a cell has the code of that cell; the open upper end of a continuum has the next one."""
    codec = Codec(DOMAIN, bins)
    column = codec[name]
    for code, (value,) in enumerate(cells_of(column)):
        low, _, high = (value or "").partition("..")
        if value is None:
            assert codec.encode_value(name, None)[0] == code
            continue
        ends = [low] if name == "weight" or not high else [low, high]
        assert all(codec.encode_value(name, end)[0] == code for end in ends)


def test_merged_codes_join_their_ranges_and_values():
    column = Codec(DOMAIN, 64)["joined"]
    assert cells_of(column, np.array([0, 0, 0, 1, 1, 1, 1, 0, 0, 0, 2])) == (
        ("2020-01-01..2020-01-03", "2020-01-08..2020-01-10"), ("2020-01-04..2020-01-07",), (None,),
    )  # fmt: skip
    assert cells_of(Codec(DOMAIN, 64)["city"], np.array([1, 0, 1, 1])) == (("Ulm, upper",), ("Bonn", "missing", None))


def test_a_cell_in_words_says_how_many_values_it_leaves_out():
    assert words((None, "a")) == "(missing) | a"
    assert words(tuple("abcdef")) == "a | b | c | d | 2 more"


@settings(max_examples=10, deadline=None)
@given(st.data())
def test_tables_come_back_from_their_file(tmp_path_factory, data):
    value = st.one_of(st.none(), st.text(max_size=4).filter(lambda text: not set(text) & {"\x00", "\x1f"}))
    tables = []
    for _ in range(data.draw(st.integers(1, 3))):
        columns = data.draw(st.lists(st.text(min_size=1, max_size=3), min_size=1, max_size=3, unique=True))
        cells = [
            tuple(data.draw(st.lists(st.lists(value, min_size=1, max_size=2).map(tuple), min_size=1, max_size=3,
                                     unique=True)))
            for _ in columns
        ]  # fmt: skip
        shape = tuple(map(len, cells))
        draw = np.random.default_rng(0)
        sigma = draw.random(shape) if data.draw(st.booleans()) else 2.5
        tables.append(NoisyTable(tuple(columns), tuple(cells), draw.normal(0, 9, shape), sigma))
    path = tmp_path_factory.mktemp("tables") / "marginals.parquet"
    write(tables, path)
    again = read(path)
    assert [(t.columns, t.cells) for t in again] == [(t.columns, t.cells) for t in tables]
    for one, other in zip(tables, again, strict=True):
        assert np.array_equal(one.counts, other.counts)
        assert np.array_equal(
            np.broadcast_to(one.sigma, one.counts.shape), np.broadcast_to(other.sigma, one.counts.shape)
        )


@pytest.mark.parametrize("damage", ["columns", "cells", "nan", "order"])
def test_a_damaged_file_is_refused(tmp_path, damage):
    table = NoisyTable(("a", "b"), ((("x",), ("y",)), (("u",), ("v",))), np.ones((2, 2)), 1.0)
    write([table, table], path := tmp_path / "marginals.parquet")
    found = pq.read_table(path)
    frame = found.to_pydict()
    if damage == "columns":
        frame["columns"][1] = ["a", "c"]
    elif damage == "cells":
        frame["cell"][1] = [["x"], ["u"]]
    elif damage == "nan":
        frame["count"][0] = float("nan")
    else:
        frame["table"] = [0, 1, 0, 1, 0, 1, 0, 1]
    pq.write_table(type(found).from_pydict(frame, schema=found.schema), path)
    with pytest.raises(ArtifactError, match="not readable as noisy marginals"):
        read(path)


def test_shapes_and_numbers_are_checked():
    with pytest.raises(ConfigError, match="counts of shape"):
        NoisyTable(("a",), ((("x",),),), np.ones(2), 1.0)
    with pytest.raises(ConfigError, match="not negative"):
        NoisyTable(("a",), ((("x",),),), np.ones(1), -1.0)


@pytest.mark.parametrize("recipe", METHODS, ids=repr)
def test_methods_keep_what_they_measured(recipe, tmp_path):
    """Saved, loaded, and the same; every column by itself or in a table, each with the noise of the mechanism."""
    table = example_rows(60)
    fitted = recipe.fit(table, Budget(1.0, 1e-5))
    assert {name for each in fitted.measured for name in each.columns} == set(table.domain.names)
    fitted.save(tmp_path / "model")
    again = load(tmp_path / "model").measured
    assert [(t.columns, t.cells, t.counts.tolist(), t.sigma) for t in again] == [
        (t.columns, t.cells, t.counts.tolist(), t.sigma) for t in fitted.measured
    ]


def true_count(series, cell):
    """How many values of a column stand in a cell, by the texts of the cell alone."""
    texts = series.astype("string")
    if series.dtype.kind == "M":
        texts = series.dt.strftime("%Y-%m-%d")
    total = 0
    for value in cell:
        low, _, high = (value or "").partition("..")
        if value is None:
            total += int(series.isna().sum())
        elif not high:
            total += int((texts == value).sum())
        elif series.dtype.kind == "M":
            total += int(((texts >= low) & (texts <= high)).sum())
        else:
            total += int(((series >= float(low)) & (series <= float(high)) & (series != 0)).sum())  # 0 is a point mass
    return total


def test_intervals_cover_the_true_counts():
    """Of many noisy histograms, about 95 % of the cells have the true count in their interval."""
    table = example_rows(200)
    inside = []
    for _ in range(25):
        fitted = Independent(cells=8).fit(table, Budget(2.0, 1e-5))
        for measured in fitted.measured:
            (name,), (cells,) = measured.columns, measured.cells
            if name != "weight":  # whose upper ends are open
                exact = [true_count(table.frame[name], cell) for cell in cells]
                assert sum(exact) == len(table)
                low, high = measured.interval()
                inside += ((low <= exact) & (exact <= high)).tolist()
        assert fitted.measured[0].sigma > 1
    assert len(inside) > 400
    assert 0.91 < np.mean(inside) < 0.98


def test_noiseless_counts_have_no_noise_and_no_width():
    fitted = Independent(cells=4).fit(example_rows(50), Budget(float("inf"), 1e-5))
    low, high = fitted.measured[0].interval()
    assert fitted.measured[0].sigma == 0
    assert (low == high).all()


def test_columns_may_be_called_like_the_figures():
    domain = Domain((Category("count", categories=("a", "b")),))
    (table,) = noisy_tables(Codec(domain), [None], [(0,)], [np.array([3.0, 4.0])], 1.0)
    assert list(table.frame().columns) == ["count", "count (noisy)", "sigma", "low", "high"]
