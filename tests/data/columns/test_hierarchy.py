"""Hierarchies come back as they were written, and what does not fit is refused."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dpsynth import Domain
from dpsynth.data.columns import Category
from dpsynth.data.columns.hierarchy import Hierarchy
from dpsynth.errors import SchemaError

NAMES = st.text("abcXYZ019é-", min_size=1, max_size=5)


@st.composite
def trees(draw):
    leaves = draw(st.lists(NAMES, min_size=1, max_size=8, unique=True))
    tree = {}
    for leaf in leaves:
        group, inner = draw(st.sampled_from("PQ")), draw(st.sampled_from(["x", "y"]))
        tree.setdefault(group, {}).setdefault(inner, []).append(leaf)
    return tree


@given(trees())
def test_a_tree_comes_back(tree):
    hierarchy = Hierarchy.from_spec(tree, "here")
    assert Hierarchy.from_spec(hierarchy.to_spec(), "here") == hierarchy
    for group, inner in tree.items():
        for name, leaves in inner.items():
            for leaf in leaves:
                assert hierarchy.path(leaf) == (group, name)


@given(trees())
def test_a_schema_with_a_tree_comes_back_and_needs_no_second_list(tree):
    domain = Domain.from_dict({"columns": {"icd": {"kind": "category", "hierarchy": tree}}})
    assert Domain.from_yaml(domain.to_yaml()) == domain
    assert set(domain["icd"].categories) == {
        leaf for inner in tree.values() for each in inner.values() for leaf in each
    }


def test_beginnings_of_names():
    hierarchy = Hierarchy.from_spec(["1", "3"], "here")
    assert hierarchy.path("I10.9") == ("I", "I10")
    assert hierarchy.path("I10") == ("I",)
    assert hierarchy.path("I") == ()
    assert hierarchy.to_spec() == [1, 3]


def test_categories_estimated_privately_keep_their_groups():
    column = Category("icd", hierarchy=Hierarchy.from_spec({"A": ["a", "b"], "B": ["c"]}, "here"))
    found = column.replace(categories=("a", "x"))
    assert found.hierarchy.paths == (("a", ("A",)),)
    assert column.replace(categories=("x",)).hierarchy is None


@pytest.mark.parametrize(
    ("spec", "words"),
    [
        ({"A": ["a"], "B": ["a"]}, "'a' stands in two groups"),
        ({"A": "a"}, "list its categories"),
        ({"A": [{"B": ["b"]}]}, "not both"),
        ({}, "names no category"),
        ({"A": []}, "names no category"),
        ([3, 1], "from few to many"),
        ([0], "from few to many"),
        (["x"], "from few to many"),
        ("region", "write a tree"),
    ],
)
def test_what_is_no_hierarchy_is_refused(spec, words):
    with pytest.raises(SchemaError, match=words):
        Domain.from_dict({"columns": {"icd": {"kind": "category", "categories": ["a", "b"], "hierarchy": spec}}})


def test_a_category_that_is_not_declared_is_refused():
    spec = {"kind": "category", "categories": ["a"], "hierarchy": {"A": ["a", "b"]}}
    with pytest.raises(SchemaError, match="holds 'b', which is no category"):
        Domain.from_dict({"columns": {"icd": spec}})


def test_deep_nesting_is_refused():
    tree = ["a"]
    for _ in range(50):
        tree = {"g": tree}
    with pytest.raises(SchemaError, match="groups within groups"):
        Hierarchy.from_spec(tree, "here")
