"""Scores in sentences are named in words."""

import pytest

from dpsynth.report.verdict import COLUMNS, HEADLINES
from dpsynth.report.wording import IN_WORDS, in_words


@pytest.mark.parametrize("name", sorted({*HEADLINES, *COLUMNS, *IN_WORDS, "kl_2way", "mlp_f1", "tv_1way_equal_mass"}))
def test_a_score_has_words_of_its_own(name):
    words = in_words(name)
    assert "_" not in words
    assert words != name.replace("_", " ")


def test_two_scores_never_share_their_words():
    names = {*HEADLINES, *COLUMNS, *IN_WORDS, "kl_2way", "kl_3way", "mlp_f1", "mlp_auc", "tree_auc"}
    assert len({in_words(name) for name in names}) == len(names)


def test_a_score_from_elsewhere_is_read_as_it_is_written():
    assert in_words("my_own_score") == "my own score"
