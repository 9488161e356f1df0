"""One row, image or person more or less in the file moves at most that one into or out of a part."""

from collections import Counter

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from dpsynth.data import Domain, ImageDomain, Images, Table
from dpsynth.data.selection import Selection, occurrences
from dpsynth.data.sources import load
from dpsynth.errors import ConfigError
from dpsynth.runs.data_options import declared_domain, rows_of_person

SCHEMA = """\
columns:
  age: {kind: integer, bounds: [0, 120]}
  pay: {kind: number, bounds: [0, 100], missing: true}
  sex: {kind: category, categories: [f, m], missing: true}
  ok: {kind: boolean}
  day: {kind: date, bounds: [1990-01-01, 2030-12-31], missing: true}
  town: {kind: category, categories: private}
rows: 300
"""
PLACES = (0, 150, 299)  # a first, a middle and a last row
draw = np.random.default_rng(1)
ROWS = [
    f"{draw.integers(120)},{draw.choice(['1.5', '7', 'NA'])},{draw.choice(['f', 'm', '?'])},"
    f"{draw.choice(['yes', 'no'])},{draw.choice(['2001-02-03', '9999-12-31', ''])},{draw.choice(['a', 'b'])}"
    for _ in range(290)
] + ["5,7,f,yes,,a"] * 10
draw.shuffle(ROWS)


def rows_of(part) -> Counter:
    """The rows of a table as a multiset."""
    return Counter(map(tuple, part.frame.astype(str).to_numpy().tolist()))


def distance(one: Counter, other: Counter) -> int:
    """The number of rows by which two multisets differ."""
    return (one - other).total() + (other - one).total()


@pytest.fixture
def csv(tmp_path):
    """csv(rows, **options): a source of these lines of text."""
    (tmp_path / "s.yaml").write_text(SCHEMA)

    def load_csv(rows, neighbours="add_remove", header="age,pay,sex,ok,day,town", **options):
        (tmp_path / "a.csv").write_text("\n".join([header, *rows]) + "\n")
        selection = Selection(bytes(32), neighbours)
        return load("csv", selection, path=tmp_path / "a.csv", schema=tmp_path / "s.yaml", **options)

    return load_csv


@pytest.mark.parametrize("options", [{}, {"n_train": 100}, {"holdout": 0, "n_train": 100}])
@pytest.mark.parametrize("place", PLACES)
def test_a_row_removed_from_the_file_moves_no_other(csv, place, options):
    whole, less = csv(ROWS, **options), csv(ROWS[:place] + ROWS[place + 1 :], **options)
    moved = [distance(rows_of(whole.train), rows_of(less.train))]
    if whole.holdout is not None:
        moved.append(distance(rows_of(whole.holdout), rows_of(less.holdout)))
        assert 30 < len(whole.holdout) < 90
    assert sum(moved) <= 1
    if options:
        assert 50 < len(whole.train) < 150


def test_a_row_of_which_there_are_several_moves_no_other_either(csv):
    """Of equal rows, whichever is removed, one fewer is selected or one fewer is left out."""
    place = ROWS.index("5,7,f,yes,,a")
    whole, less = csv(ROWS), csv(ROWS[:place] + ROWS[place + 1 :])
    moved = [distance(rows_of(getattr(whole, part)), rows_of(getattr(less, part))) for part in ("train", "holdout")]
    assert sorted(moved) == [0, 1]


@pytest.mark.parametrize("options", [{}, {"n_train": 100}])
@pytest.mark.parametrize("place", PLACES)
def test_a_replaced_row_changes_one_row_and_no_size(csv, place, options):
    other = [*ROWS[:place], "99,50,m,no,2020-01-01,c", *ROWS[place + 1 :]]
    whole, changed = csv(ROWS, "replace_one", **options), csv(other, "replace_one", **options)
    parts = ((whole.train, changed.train), (whole.holdout, changed.holdout))
    assert [len(one) for one, _ in parts] == [len(two) for _, two in parts] == [options.get("n_train", 240), 60]
    assert sum(distance(rows_of(one), rows_of(two)) for one, two in parts) <= 2


@pytest.mark.parametrize("most", [1, 3])
@pytest.mark.parametrize("place", [0, 60, 119])
def test_a_person_removed_from_the_file_moves_no_other(csv, place, most):
    who = [f"p{i * i % 120}" for i in range(300)]
    named = [f"{row},{name}" for row, name in zip(ROWS, who, strict=True)]
    gone = who[place]
    options = {"header": "age,pay,sex,ok,day,town,who", "person": "who", "max_rows_per_person": most, "n_train": 200}
    whole = csv(named, **options)
    less = csv([row for row, name in zip(named, who, strict=True) if name != gone], **options)
    moved = sum(distance(rows_of(getattr(whole, part)), rows_of(getattr(less, part))) for part in ("train", "holdout"))
    assert moved <= most
    assert whole.train.rows_per_person == most
    assert whole.train.coverage == (
        f"at most {most} row{'s' * (most > 1)} of each person",
        "each person with probability 0.8",
        "each person with probability 0.6667",
    )


def test_persons_and_replaced_rows_do_not_go_together(csv):
    data = {"name": "csv", "person": "who", "max_rows_per_person": 2}
    assert rows_of_person(data) == 2
    with pytest.raises(ConfigError, match=r"needs a maximum: say data\.max_rows_per_person=5"):
        rows_of_person({**data, "max_rows_per_person": None})
    assert rows_of_person({"name": "csv"}) is None
    with pytest.raises(ConfigError, match=r"data\.person needs privacy\.neighbours=add_remove"):
        rows_of_person(data, "replace_one")
    with pytest.raises(ConfigError, match="max_rows_per_person needs"):
        rows_of_person({"max_rows_per_person": 2})
    with pytest.raises(ConfigError, match="add_remove"):
        csv([f"{row},x" for row in ROWS], "replace_one", "age,pay,sex,ok,day,town,who", person="who")


def test_a_limit_needs_a_public_number_of_rows():
    images = {"name": "image_folder", "image_size": 8, "label": "none", "n_train": 10}
    with pytest.raises(ConfigError, match=r"data\.n_train=10: .*declare 'rows: NUMBER'"):
        declared_domain(images)
    assert declared_domain({**images, "rows": 40}).rows == 10
    assert declared_domain(images, neighbours="replace_one").rows == 10


@pytest.mark.parametrize("neighbours", ["add_remove", "replace_one"])
@pytest.mark.parametrize("place", [0, 17, 39])
def test_a_picture_removed_or_replaced_moves_no_other(tmp_path, place, neighbours):
    for name in ("whole", "other"):
        for k in range(40):
            path = tmp_path / name / "ab"[k % 2] / f"{k:02}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.new("L", (4, 4), k // 4).save(path)  # two equal pictures of each class
    other = tmp_path / "other" / "ab"[place % 2] / f"{place:02}.png"
    if neighbours == "add_remove":
        other.unlink()
    else:
        Image.new("L", (4, 4), 255).save(other)
    options = {"image_size": 4, "channels": 1, "classes": ["a", "b"], "holdout": 0.4, "n_train": 20, "rows": 40}
    whole, changed = (
        load("image_folder", Selection(bytes(32), neighbours), root=tmp_path / name, **options)
        for name in ("whole", "other")
    )

    def images_of(part):
        return Counter((int(code), int(pixels[0, 0, 0])) for code, pixels in zip(part.labels, part.pixels, strict=True))

    moved = [
        distance(images_of(getattr(whole, part)), images_of(getattr(changed, part))) for part in ("train", "holdout")
    ]
    assert sum(moved) <= (1 if neighbours == "add_remove" else 2)
    assert 2 < len(whole.holdout) < 30
    if neighbours == "replace_one":
        assert (len(whole.holdout), len(whole.train)) == (len(changed.holdout), len(changed.train)) == (16, 20)


@given(
    values=st.lists(st.integers(0, 6), max_size=30),
    at=st.integers(0, 30),
    value=st.integers(0, 9),
    key=st.binary(min_size=32, max_size=32),
)
@settings(max_examples=100)
def test_for_every_key_a_row_more_is_a_row_more_in_one_part(values, at, value, key):
    more = [*values[:at], value, *values[at:]]

    def parts(rows):
        table = Table(
            pd.DataFrame({"n": rows}), Domain.from_yaml("columns:\n  n: {kind: integer, bounds: [0, 9]}\nrows: 20\n")
        )
        train, held = table.split(0.4, key)
        return Counter(train.subset(7, key).frame["n"]), Counter(held.frame["n"]), Counter(train.frame["n"])

    before, after = parts(values), parts(more)
    assert not any((one - two) for one, two in zip(before, after, strict=True))
    assert distance(before[1] + before[2], after[1] + after[2]) == 1
    assert distance(before[0], after[0]) <= 1


def test_images_of_a_split_and_of_a_subset():
    pixels = np.random.default_rng(0).integers(0, 3, (400, 1, 1, 2)).astype(np.uint8)
    images = Images(pixels, np.zeros(400, int), ImageDomain(1, 2, classes=("a",), rows=400))
    train, held = images.split(0.25, bytes(32))
    assert len(train) + len(held) == 400
    assert 60 < len(held) < 140
    assert 60 < len(images.subset(100, bytes(32))) < 140
    assert len(images.subset(100, bytes(32), "replace_one")) == 100
    with pytest.raises(ConfigError):
        images.subset(0, bytes(32))


def test_draws_are_uniform_and_independent_between_purposes_and_keys():
    selection = Selection(bytes(32))
    contents = selection.digests([pd.Series(np.arange(20_000))], 20_000)
    masks = [
        selection.chosen("holdout", contents, 0.3),
        selection.chosen("n_train", contents, 0.3),
        Selection(bytes([1] * 32)).chosen("holdout", contents, 0.3),
    ]
    assert all(abs(mask.mean() - 0.3) < 0.015 for mask in masks)
    assert abs((masks[0] & masks[1]).mean() - 0.09) < 0.01
    assert abs((masks[0] & masks[2]).mean() - 0.09) < 0.01
    assert selection.chosen("holdout", contents, 1.0).all()
    assert "key" not in repr(selection)


def test_digests_tell_contents_apart_and_find_equal_ones():
    selection = Selection(bytes(32))
    columns = [pd.Series([0.0, -0.0, np.nan, 1.0]), pd.Series(["a", "a", "a", None], dtype=object)]
    digests = selection.digests(columns, 4)
    assert (digests[0] == digests[1]).all()
    assert len(np.unique(digests, axis=0)) == 3
    swapped = selection.digests([pd.Series([1, 2]), pd.Series([2, 1])], 2)
    assert (swapped[0] != swapped[1]).any()
    assert occurrences(digests).tolist() == [0, 1, 0, 0]
    assert len(selection.digests([], 0)) == 0


@pytest.mark.parametrize(("kind", "values"), [("boolean", [True, None, False, True]), ("Int64", [1, None, 0, 1])])
def test_missing_flags_and_whole_numbers_are_contents_like_others(kind, values):
    one, missing, zero, again = Selection(bytes(32)).digests([pd.Series(values, dtype=kind)], 4).tolist()
    assert one == again
    assert one not in (missing, zero)
    assert missing != zero
