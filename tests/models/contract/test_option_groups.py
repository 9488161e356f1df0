"""Groups of options: built from plain mappings, changed in part, and refused by the whole path of the option."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dpsynth.errors import ConfigError
from dpsynth.models import MAF, DataLens
from dpsynth.models.contract.option_groups import OptionGroup, above_zero, at_least, between, one_of
from dpsynth.models.contract.registry import build
from dpsynth.models.contract.synthesizer import Synthesizer


@dataclass(frozen=True)
class Ranges(OptionGroup):
    count: int | None = None
    rate: float = 1.0
    part: float = 0.5
    kind: str = "a"

    def __post_init__(self) -> None:
        at_least(self, 1, "count")
        above_zero(self, "rate")
        between(self, 0, 1, "part", ends="[)")
        one_of(self, ("a", "b"), "kind")


def built(**options) -> Synthesizer:
    return build({"_target_": "dpsynth.models.DataLens", **options}, Synthesizer, "model")


def test_a_group_is_built_from_a_plain_mapping_and_keeps_its_other_defaults():
    recipe = built(teacher={"rows": 3}, published={"keep": False})
    assert recipe == DataLens().replace(teacher={"rows": 3}, published={"keep": False})
    assert recipe.teacher.hidden == DataLens().teacher.hidden


def test_the_plain_values_of_a_recipe_build_it_again():
    recipe = DataLens().replace(rounds=3, student={"steps": 2}, published={"sigma": 5.0}, queries=4)
    assert built(**asdict(recipe)) == recipe


def test_a_change_of_one_option_leaves_the_others_of_its_group():
    recipe = MAF().replace(images={"training": {"steps": 7}})
    again = recipe.replace(images={"training": {"batch_size": 9}, "size": 10})
    assert (again.images.training.steps, again.images.training.batch_size, again.images.size) == (7, 9, 10)
    assert recipe.images.training.batch_size == MAF().images.training.batch_size


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"teacher": {"rows": 0}}, "model.teacher.rows=0: must be at least 1"),
        ({"teacher": {"rows": 1.5}}, "model.teacher.rows=1.5: must be a whole number"),
        ({"teacher": {"depth": 2}}, "model.teacher: .*'depth'; there are count, rows, "),
        ({"teacher": None}, "model.teacher=None: must be a mapping"),
        ({"teacher": 3}, "model.teacher=3: must be a mapping"),
        ({"teacher": [1]}, r"model.teacher=\[1\]: must be a mapping"),
        ({"published": True}, "model.published=True: must be a mapping .* or null"),
        ({"teacher": {"_target_": "dpsynth.models.MAF"}}, "model.teacher=.*: must be a mapping"),
        ({"teacher": {"_target_": "os.system"}}, "only classes of dpsynth.models are built"),
    ],
    ids=str,
)
def test_what_a_group_cannot_be_is_refused_with_its_path(options, message):
    with pytest.raises(ConfigError, match=message):
        built(**options)


def test_changes_are_refused_with_the_path_within_the_recipe():
    with pytest.raises(ConfigError, match=r"^images\.network\.width=0: must be at least 1"):
        MAF().replace(images={"network": {"width": 0}})
    with pytest.raises(ConfigError, match=r"^student: .*steepness"):
        DataLens().replace(student={"steepness": 1})


@given(
    count=st.none() | st.integers(-3, 3),
    rate=st.floats(-2, 2) | st.just(math.nan),
    part=st.floats(-1, 2) | st.just(math.nan),
    kind=st.sampled_from("abc"),
)
def test_ranges_hold_exactly_what_they_say(count, rate, part, kind):
    fits = (count is None or count >= 1) and rate > 0 and 0 <= part < 1 and kind in "ab"
    if fits:
        Ranges(count, rate, part, kind)
    else:
        with pytest.raises(ConfigError, match=r"^(count|rate|part|kind)=.*: "):
            Ranges(count, rate, part, kind)
