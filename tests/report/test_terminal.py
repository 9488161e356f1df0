import io

from rich.console import Console

from dpsynth.metrics.framework.metric import Score
from dpsynth.report.wording import absences, scores_table


def printed(scores, width=80):
    console = Console(width=width, record=True, file=io.StringIO())
    console.print(scores_table(scores))
    return console.export_text()


def test_values_bands_and_baselines_fit_eighty_columns(score):
    long = score("correlation_ratio_gap", 0.0012, group="pairs")
    text = printed([score(), long, score("nist", 872.3, "higher", low=860.3, high=884.3)])
    for part in (
        "tv_2way ↓",
        "0.0500±.0100",
        "0.0300±.0100",
        "0.2000",
        "0.7000",
        "correlation_ratio_gap ↓",
        "872.3±12.0",
    ):
        assert part in text
    assert "…" not in text
    assert max(map(len, text.splitlines())) <= 80


def test_groups_have_titles_and_the_band_is_stated(score):
    text = printed([score(), score("cramer_gap", 0.03, group="pairs"), score("odd", group="made up")])
    assert text.index("Combinations of values") < text.index("Dependence of columns") < text.index("Made up")
    [outside] = [line for line in text.splitlines() if "tv_2way" in line]
    [inside] = [line for line in text.splitlines() if "cramer_gap" in line]
    assert outside.split()[-1] == "no"
    assert inside.split()[-1] == "yes"


def test_absent_scores_are_named_with_their_reason(score):
    absent = [Score.absent(name, "higher", "no [label] column") for name in ("auc", "f1")]
    assert absences([*absent, score()]) == ["Absent: auc, f1: no [label] column."]
    assert "auc" not in printed([*absent, score()])


def test_an_interval_cut_at_a_limit_is_not_stated_shorter(score):
    assert "0.0050±.0400" in printed([score(value=0.005, low=0.0, high=0.045)])
