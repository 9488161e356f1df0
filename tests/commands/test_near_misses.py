"""A mistyped option, choice or flag is answered by what was probably meant."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dpsynth.commands.near_misses import flag_mistake, meant, paths_of


@pytest.mark.parametrize(
    ("word", "hint"),
    [
        ("epsilon=1", "unknown option epsilon; did you mean privacy.epsilon=1?"),
        ("privacy.epslion=1", "did you mean privacy.epsilon=1?"),
        ("dry_run=true", "did you mean privacy.dry_run=true?"),
        ("--epsilon=1", "written without dashes, as NAME=VALUE; did you mean privacy.epsilon=1?"),
        ("--seed=1", "did you mean seed=1?"),
        ("-x", "-x: options are written without dashes"),
        ("model=mts", "model/mts: no such choice; did you mean model=mst? There are"),
        ("data=people.csv", "a file of your own: data=csv data.path=people.csv data.schema=SCHEMA.yaml"),
        ("holdout=0.1", "did you mean data.holdout=0.1?"),
        ("modle=mst", "did you mean model=mst?"),
        ("model.bin=3", "unknown option model.bin"),
    ],
)
def test_what_was_meant_is_said(command, word, hint):
    assert hint in command("train", *(("data=toy", word) if not word.startswith("data=") else (word,))).mistake


def test_an_option_below_a_group_is_found_by_its_last_name(command):
    said = command("train", "model=merf", "data=toy", "model.steps=10").mistake
    assert said.endswith("did you mean model.training.steps=10?")


def test_a_value_behind_a_flag_is_part_of_the_hint(command):
    assert command("train", "data=toy", "--epsilon", "3").mistake.endswith("did you mean privacy.epsilon=3?")


def test_other_commands_have_hints_of_their_own(command):
    assert "did you mean metrics.pairs=3?" in command("evaluate", "pairs=3").mistake
    assert "did you mean overwrite=true?" in command("generate", "run=x", "overwrit=true").mistake


@pytest.mark.parametrize("flags", [["--help"], ["-m"], ["--config-dir", "a=b"], ["-cd=x"], ["a=-1"], ["--cfg", "job"]])
def test_flags_that_exist_are_none(flags):
    assert flag_mistake("train", flags) is None


@given(st.sampled_from(paths_of("train", ["model=datalens"])))
def test_every_option_is_found_by_its_last_name(path):
    last = path.rpartition(".")[2]
    assert all(found.rpartition(".")[2] == last for found in meant(last, paths_of("train", ["model=datalens"])))


def test_nothing_is_guessed_where_nothing_is_near():
    assert meant("quxzzz", paths_of("train", [])) == []
