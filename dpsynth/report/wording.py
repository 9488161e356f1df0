"""How numbers, scores and groups of scores are written: the same in the terminal, the report and the tables; and the
scores as a table for the terminal."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence

from rich.table import Table
from rich.text import Text

from dpsynth.metrics.framework.metric import Score

ARROWS = {"lower": "↓", "higher": "↑"}
GROUPS = {
    "validity": "Legal values and rules",
    "database": "Persons and their rows",
    "marginals": "Combinations of values",
    "columns": "Single columns",
    "pairs": "Dependence of columns",
    "joint": "The table as a whole",
    "utility": "Prediction and queries",
    "images": "Images",
    "copying": "Traces of copied rows",
    "attack": "Attacks on single rows",
    "seed_compat": "As in the original code",
}
LEAKS = ("copying", "attack")  # groups that ask whether rows leak, not whether they are good
NOT_QUALITY = (*LEAKS, "seed_compat")  # of the last, only the definitions of an older table are of interest


# Scores in words, as sentences name them; tables keep the short names, which are keys of scores.json too.
IN_WORDS = {
    "nist": "the NIST score of marginals",
    "ks": "the Kolmogorov-Smirnov statistic",
    "wasserstein": "the Wasserstein distance of single columns",
    "missing_gap": "rates of missing values",
    "pearson_gap": "Pearson's correlation",
    "spearman_gap": "Spearman's rank correlation",
    "cramer_gap": "Cramer's V",
    "correlation_ratio_gap": "the correlation ratio of a category and a number",
    "sra": "the ranking of learners",
    "query_error": "counting queries",
    "query_relative_error": "counting queries, relative to their size",
    "coefficient_overlap": "coefficients of a regression",
    "wasserstein_ratio": "the Wasserstein distance of whole rows",
    "pmse_ratio": "the propensity score of a logistic model",
    "tree_pmse_ratio": "the propensity score of a tree",
    "c2st_auc": "a classifier of real and synthetic rows",
    "alpha_precision": "closeness to real rows",
    "beta_recall": "coverage of real rows by the nearest synthetic ones",
    "density": "density of synthetic rows around real ones",
    "coverage": "coverage of real rows",
    "validity": "legal values",
    "rules_kept": "rules between tables",
    "exact_copies": "exact copies of training rows",
    "dcr_fraction": "nearness to training rows",
    "nndr_median": "nearness to single training rows",
    "membership_density_auc": "the membership attack by density",
    "membership_distance_auc": "the membership attack by distance",
    "cardinality_tv": "the number of rows below a row",
    "parent_child_tv": "pairs of a parent's and a child's column",
    "within_row_tv": "pairs of columns within a table",
    "joined_tv_3way": "combinations of 3 columns of joined tables",
    "transition_tv": "successive rows",
    "step_tv": "gaps between successive rows",
    "sum_mean_error": "means of sums for each person",
    "sum_spread_error": "spreads of sums between persons",
    "image_accuracy": "the class of real images by a network",
    "image_logistic": "the class of real images by a logistic regression",
    "image_frechet": "the Frechet distance of features",
    "image_kernel": "the kernel distance of features",
    "image_precision": "precision of images",
    "image_recall": "recall of images",
    "image_density": "density of images",
    "image_coverage": "coverage of images",
    "image_c2st_auc": "a classifier of real and synthetic images",
}
_LEARNERS = {
    "boosting": "gradient boosting",
    "logistic": "a logistic regression",
    "tree": "a decision tree",
    "forest": "a random forest",
    "mlp": "a neural network",
    "bayes": "naive Bayes",
}
_MEASURES = {"auc": "AUC", "accuracy": "accuracy", "f1": "F1", "auprc": "average precision", "r2": "R2", "rmse": "RMSE",
             "mae": "mean absolute error"}  # fmt: skip


def in_words(name: str) -> str:
    """A score as a sentence names it: `tv_2way` as "total variation of pairs of columns"."""
    if name in IN_WORDS:
        return IN_WORDS[name]
    if found := re.fullmatch(r"(tv|kl)_(\d)way(_equal_mass)?", name):
        of = {"1": "single columns", "2": "pairs of columns"}.get(found[2], f"combinations of {found[2]} columns")
        distance = {"tv": "total variation", "kl": "the KL divergence"}[found[1]]
        return f"{distance} of {of}{' in cells of equal mass' if found[3] else ''}"
    learner, _, measure = name.partition("_")
    if learner in _LEARNERS and measure in _MEASURES:
        return f"prediction by {_LEARNERS[learner]} ({_MEASURES[measure]})"
    return name.replace("_", " ")


def number(value: float | None) -> str:
    """About four digits: 0.0123, 1.234, 56.8, 12,345; empty for None."""
    if value is None:
        return ""
    size = abs(value)
    if not math.isfinite(value) or size < 1:
        return f"{value:.4f}"
    return f"{value:.3f}" if size < 10 else f"{value:.1f}" if size < 1000 else f"{value:,.0f}"


def span(low: float | None, high: float | None) -> str:
    """An interval as "0.0120 to 0.0131"; empty when there is none."""
    return "" if low is None or high is None else f"{number(low)} to {number(high)}"


def around(value: float | None, low: float | None, high: float | None) -> str:
    """A value with the reach of its interval, 0.0512±.0008; without an interval the value alone.

    The longer side counts: the other may end early, at the least or greatest value the score can have.
    """
    if value is None or low is None or high is None:
        return number(value)
    return f"{number(value)}±{number(max(high - value, value - low)).removeprefix('0')}"


def small(value: object) -> str:
    """Epsilon, delta, a noise scale or a rate in at most four digits: 1, 1e-05, 4.072, inf."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return str(value)
    return f"{value:.4g}"


def grouped(scores: Sequence[Score]) -> dict[str, list[Score]]:
    """Title of a group -> its scores; known groups in the order of `GROUPS`, then others as they come."""
    known = [group for group in GROUPS if any(score.group == group for score in scores)]
    others = [score.group for score in scores if score.group not in GROUPS]
    return {
        GROUPS.get(group, group.capitalize() or "Other"): [score for score in scores if score.group == group]
        for group in dict.fromkeys([*known, *others])
    }


# -------------------- Terminal --------------------------------------------------------------

_LIKE = {True: Text("yes", style="green"), False: Text("no"), None: Text("")}


def absences(scores: Sequence[Score]) -> list[str]:
    """One sentence for each reason, with the scores that are absent for it."""
    reasons: dict[str, list[str]] = {}
    for score in scores:
        if score.value is None:
            reasons.setdefault(score.reason or "", []).append(in_words(score.name))
    return [f"Absent: {', '.join(names)}: {reason}." for reason, names in reasons.items()]


def scores_table(scores: Sequence[Score], title: str = "Synthetic against real rows") -> Table:
    """One line for each score, by group: value with the reach of its interval over draws, that of fresh real samples
    with the reach of their band, what independent columns and uniform rows score, and whether the value lies in the
    band or on its better side. Absent scores are left to `absences`.
    """
    table = Table(
        title=title, title_justify="left", header_style="bold", box=None, padding=(0, 1, 0, 0), pad_edge=False
    )
    table.add_column("score", no_wrap=True)
    for heading in ("synthetic", "real sample", "indep.", "uniform", "in band"):
        table.add_column(heading, justify="right", no_wrap=True)
    for group, members in grouped([score for score in scores if score.value is not None]).items():
        table.add_row(Text(group, style="italic"))
        for score in members:
            table.add_row(
                f" {score.name} {ARROWS[score.better]}",
                Text(around(score.value, score.low, score.high), style="bold"),
                around(score.real_baseline, score.real_baseline_low, score.real_baseline_high),
                number(score.baselines.get("independent")),
                number(score.baselines.get("uniform")),
                _LIKE[score.like_real],
            )
    return table
