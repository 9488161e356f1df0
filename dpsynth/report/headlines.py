"""Which scores stand first: in the verdict, at the top of each group, and as columns of a comparison."""

from __future__ import annotations

from collections.abc import Sequence

from dpsynth.metrics.score import Score

# The verdict rests on these: combinations of columns, and prediction of the label, in that order; the class of images.
HEADLINES = (
    *("tv_3way", "tv_2way", "boosting_auc", "boosting_r2", "logistic_auc", "logistic_r2"),
    *("image_accuracy", "image_logistic"),
)
# A comparison of runs shows these, as far as they were computed.
COLUMNS = (
    *("tv_1way", "tv_2way", "tv_3way", "c2st_auc", "query_error", "boosting_auc", "boosting_r2"),
    *("image_accuracy", "image_logistic", "image_frechet", "image_kernel", "image_c2st_auc", "image_coverage"),
)


def headline_scores(scores: Sequence[Score]) -> list[Score]:
    """The scores the verdict rests on, in the order of `HEADLINES`; absent ones are left out."""
    return _named(scores, HEADLINES)


def column_scores(scores: Sequence[Score], most: int = 8) -> list[str]:
    """Names of the scores a comparison shows: `COLUMNS` that are there, else the first of each group."""
    present = [score.name for score in _named(scores, COLUMNS)]
    if not present:
        firsts = {score.group: score.name for score in reversed(scores) if score.value is not None}
        present = [score.name for score in scores if score.name in firsts.values()]
    return present[:most]


def folded(scores: Sequence[Score], most: int = 4) -> tuple[list[Score], list[Score]]:
    """The scores of one group as (shown at once, shown on request), each in the order they were given.

    Main scores come first, then the earlier ones; one single score is never folded.
    """
    if len(scores) <= most + 1:
        return list(scores), []
    ranked = sorted(range(len(scores)), key=lambda i: (scores[i].name not in {*HEADLINES, *COLUMNS}, i))
    first = set(ranked[:most])
    return [scores[i] for i in sorted(first)], [score for i, score in enumerate(scores) if i not in first]


def _named(scores: Sequence[Score], names: Sequence[str]) -> list[Score]:
    present = {score.name: score for score in scores if score.value is not None}
    return [present[name] for name in names if name in present]
