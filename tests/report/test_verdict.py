import pytest

from dpsynth.metrics.framework.metric import Score
from dpsynth.metrics.table.validity import with_real
from dpsynth.report.verdict import like_real, losses, rows_needed, verdict
from dpsynth.report.wording import in_words

STATEMENT = {"private": True, "guarantee": "(1, 1e-05)-differential privacy for one row"}


@pytest.mark.parametrize(
    ("pairs", "auc", "grade"),
    [
        (0.04, 0.93, "real"),
        (0.01, 0.99, "real"),
        (0.05, 0.93, "close"),
        (0.05, 0.88, "useful"),
        (0.05, 0.6, "far"),
        (0.25, 0.93, "loses"),
        (0.05, 0.4, "loses"),
    ],
)
def test_the_weakest_main_score_decides(score, area, pairs, auc, grade):
    assert verdict([score(value=pairs), area(auc)], STATEMENT).grade == grade


def test_other_scores_do_not_decide(score, area):
    other = score("tv_1way", 0.6)
    assert verdict([score(value=0.03), area(0.93), other], STATEMENT).grade == "real"


def test_a_score_that_uniform_rows_pass_is_no_measure_of_the_way(score, area):
    """Numbers that are uniform in truth: from uniform rows to a real sample there is no way to go part of."""
    flat = score("ks", 0.05, baselines={"uniform": 0.035, "independent": 0.03})
    assert verdict([score(value=0.05), area(0.93), flat], STATEMENT).grade == "close"
    assert verdict([flat], STATEMENT).grade == "unknown"


@pytest.mark.parametrize("name", ["tv_2way_equal_mass", "tv_3way_equal_mass", "ks"])
def test_heavy_tails_decide_too(score, area, name):
    assert verdict([score(value=0.03), area(0.93), score(name, 0.5)], STATEMENT).grade in ("far", "loses")


def test_single_numbers_are_spoken_of(score):
    text = " ".join(verdict([score(), score("ks", 0.0123, group="columns")], STATEMENT).sentences)
    assert "up to 0.0123" in text


def test_scores_in_the_band_are_counted_among_those_with_a_band(score, area):
    scores = [score(value=0.03), area(0.6), Score.absent("missing_gap", "lower", "no column may be missing")]
    scores += [
        score("bare", real_baseline=None, real_baseline_low=None, real_baseline_high=None),
        score("dcr_fraction", 0.03, group="copying"),
    ]
    assert like_real(scores) == (1, 2)
    assert "by 1 of 2 scores" in verdict(scores, STATEMENT).sentences[0]


def test_sentences_give_value_and_floor(score, area):
    text = " ".join(verdict([score(), area()], STATEMENT).sentences)
    for part in ("0.0500", "0.0300", "0.9000", "0.9300", "income", "AUC", "2 columns"):
        assert part in text
    assert "Loses" not in text
    assert "Worse than" not in text


def test_losing_to_independent_columns_and_to_no_data_is_said(score):
    text = " ".join(verdict([score(value=0.8), score("tv_3way", 0.3)], STATEMENT).sentences)
    pairs, triples = in_words("tv_2way"), in_words("tv_3way")
    assert f"Loses to independent columns on: {pairs}; {triples}." in text
    assert f"Worse than rows drawn without any data on: {pairs}." in text


def test_independent_columns_that_are_like_real_cannot_be_lost_to(score):
    """They are real columns without noise: on single columns nothing can beat them."""
    single = score("tv_1way", 0.05, baselines={"uniform": 0.7, "independent": 0.03})
    assert single.loses_to("independent")
    assert losses([single]) == []
    assert losses([score(value=0.3)])
    higher = score(
        "boosting_auc", 0.5, "higher", baselines={"independent": 0.95}, real_baseline_low=0.9, real_baseline_high=0.99
    )
    assert losses([higher]) == []


def test_illegal_values_and_signs_of_copies_are_said(score):
    broken = score(
        "validity",
        0.98,
        "higher",
        group="validity",
        real_baseline=1.0,
        real_baseline_low=1.0,
        real_baseline_high=1.0,
        baselines={},
    )
    copies = score("exact_copies", 0.5, group="copying", baselines={})
    text = " ".join(verdict([score(), broken, copies], STATEMENT).sentences)
    assert "Not all of it is legal (legal values)" in text
    assert in_words("exact_copies") in text
    assert "neither proves nor refutes" in text
    clean = score(
        "validity",
        1.0,
        "higher",
        group="validity",
        real_baseline=1.0,
        real_baseline_low=1.0,
        real_baseline_high=1.0,
        baselines={},
    )
    assert "legal" not in " ".join(verdict([score(), clean], STATEMENT).sentences)


@pytest.mark.parametrize(
    ("statement", "private"),
    [
        (STATEMENT, True),
        (None, False),
        ({}, False),
        ({"private": "yes"}, False),
        ({"private": False, "guarantee": "not private: seeded noise"}, False),
    ],
)
def test_only_an_explicit_promise_counts(score, statement, private):
    result = verdict([score()], statement)
    assert result.private is private
    assert result.guarantee


def test_no_scores_no_verdict(score):
    assert verdict([], STATEMENT).grade == "unknown"
    assert verdict([score("another")], STATEMENT).grade == "unknown"


def test_a_baseline_no_worse_than_the_one_real_sample_cannot_be_lost_to(score):
    """A network is trained on one real sample only, which gives a real-data baseline and no band."""
    bare = {
        "real_baseline": 0.2,
        "real_baseline_low": None,
        "real_baseline_high": None,
        "baselines": {"independent": 0.3},
    }
    assert losses([score("datalens_accuracy", 0.1, "higher", **bare)]) == []
    assert losses([score("image_accuracy", 0.1, "higher", **{**bare, "real_baseline": 0.9})])


def test_classifiers_of_images_decide_and_are_stated(score):
    bare = {"real_baseline_low": None, "real_baseline_high": None, "baselines": {"uniform": 0.1, "independent": 0.1}}
    for value, grade in ((0.95, "close"), (0.85, "useful"), (0.5, "far"), (0.05, "loses")):
        found = verdict(
            [score("image_accuracy", value, "higher", group="images", real_baseline=0.98, **bare)], STATEMENT
        )
        assert found.grade == grade
        assert f"accuracy {value:.4f}; one trained on real images has 0.9800" in " ".join(found.sentences)


def wide(score, value=0.05, rows=50, high=0.4):
    """A score of so few rows that fresh real samples reach most of the way to uniform ones at .7."""
    return score(value=value, real_baseline_low=0.0, real_baseline_high=high, detail={"rows compared": rows})


def test_few_rows_give_no_verdict_and_the_number_that_would_do(score, area):
    """The band ends (.4 - .03) / (.7 - .03) = 55 % of the way to uniform rows, and has to end at 20 %."""
    found = verdict([wide(score)], STATEMENT)
    assert found.grade == "unknown"
    assert found.headline.startswith("Too few rows for a verdict")
    assert "50 of each side were compared" in found.headline
    assert "about 390 would tell" in found.headline
    assert rows_needed([wide(score), wide(score, rows=20)]) == 160
    assert rows_needed([score()]) is None
    blind = score(value=0.05, real_baseline_high=0.8, detail={"rows compared": 9})
    assert verdict([blind], STATEMENT).grade == "unknown"
    # a score that tells decides, and one that does not is not held against the table
    assert verdict([wide(score), area(0.93)], STATEMENT).grade == "real"
    assert verdict([wide(score, 0.3), area(0.93)], STATEMENT).grade == "real"
    assert verdict([wide(score), area(0.6)], STATEMENT).grade == "far"


def test_few_rows_are_enough_to_see_that_a_table_is_far(score):
    """Outside even a wide band, a score says something."""
    assert verdict([wide(score, 0.6)], STATEMENT).grade == "far"


def test_the_numbers_of_rows_hold_by_the_law_they_state(score):
    """With as many rows as were named, the band is narrow enough; with fewer it is not."""
    needed = rows_needed([wide(score)])
    assert needed is not None
    for rows, grade in ((needed, "real"), (needed * 0.9, "unknown")):
        reach = 0.37 * (50 / rows) ** 0.5
        assert verdict([score(value=0.03, real_baseline_high=0.03 + reach)], STATEMENT).grade == grade


@pytest.mark.parametrize(
    ("value", "high", "named"), [(0.99, 1.0, True), (0.9, None, True), (0.6, 0.55, True), (0.6, 0.7, False)]
)
def test_what_a_classifier_tells_apart_is_no_real_sample(score, area, value, high, named):
    """Also where so few rows were compared that the band of real samples reaches 1, or where there is no band."""
    low = None if high is None else 0.3
    caught = score("c2st_auc", value, real_baseline=0.5, real_baseline_low=low, real_baseline_high=high, baselines={})
    found = verdict([score(value=0.03), area(0.93), caught], STATEMENT)
    assert found.grade == ("close" if named else "real")
    assert ("a classifier of real and synthetic rows tells them apart" in found.headline) == named
    close = verdict([score(value=0.05), area(0.93), caught], STATEMENT)
    assert close.grade == "close"
    assert ("a classifier of real and synthetic rows tells them apart" in close.headline) == named


def test_rows_that_break_the_schema_are_no_real_sample(score, area):
    """Unless the real file breaks it as often: `with_real` says what the real rows score."""
    broken = score(
        "validity",
        0.9,
        "higher",
        group="validity",
        real_baseline=1.0,
        real_baseline_low=1.0,
        real_baseline_high=1.0,
        baselines={},
    )
    scores = [score(value=0.03), area(0.93), broken]
    found = verdict(scores, STATEMENT)
    assert found.grade == "close"
    assert "some of its rows break the schema" in found.headline
    alike = with_real(scores, 0.85)
    assert [each.real_baseline for each in alike] == [0.03, 0.93, 0.85]
    assert alike[2].real_baseline_low == alike[2].real_baseline_high == 0.85
    assert alike[:2] == scores[:2]
    assert verdict(alike, STATEMENT).grade == "real"
