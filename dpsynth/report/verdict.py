"""The scores in plain sentences: what holds, what does not, and by which rule; and which scores stand first, in the
verdict, at the top of each group and as columns of a comparison."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from dpsynth.metrics.framework.metric import Score
from dpsynth.report.wording import LEAKS, NOT_QUALITY, in_words, number

# The verdict rests on these, in that order: combinations of columns in equal-width bins and in cells of equal mass,
# single numeric columns, and prediction of the label; the class of images.
HEADLINES = (
    *("tv_3way", "tv_2way", "tv_3way_equal_mass", "tv_2way_equal_mass", "ks"),
    *("boosting_auc", "boosting_r2", "logistic_auc", "logistic_r2"),
    *("image_accuracy", "image_logistic"),
)
# A comparison of runs shows these, as far as they were computed.
COLUMNS = (
    *("tv_1way", "tv_2way", "tv_3way", "tv_2way_equal_mass", "ks"),
    *("c2st_auc", "query_error", "boosting_auc", "boosting_r2"),
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


# -------------------- Verdict ---------------------------------------------------------------

CLOSE, USEFUL = 0.95, 0.8  # fractions of the way from uniform rows to a real sample
TWO_SAMPLE = ("c2st_auc", "image_c2st_auc")
APART = 0.9  # AUC from which a classifier tells rows apart whatever the band of real samples says
NAMED = 6  # scores named in one sentence
RULE = (
    "How the headline is found: the main scores are those of combinations of two and three columns, with numbers in "
    "equal-width bins and in cells that hold equally many real rows, the Kolmogorov-Smirnov statistic of numeric "
    "columns, and predicting the label; of images, those of classifiers. If all lie in the band of fresh real samples, "
    "the table is like a real sample, unless a classifier tells it from real rows (its AUC is beyond the band, or "
    f"{APART} and more) or some of its rows break the schema. A score counts only where it can tell: outside the "
    f"band, or if the band ends within {1 - USEFUL:.0%} of the way to rows drawn uniformly. Where none can, there are "
    "too few rows for a verdict, and the number that would do is estimated from the width of the bands, which shrink "
    "with the square root of the rows. If one is worse than that of independent columns, the table loses to them. "
    f"Otherwise the weakest decides: close from {CLOSE:.0%} of the way between rows drawn uniformly over the "
    f"domain and a real sample, useful from {USEFUL:.0%}, else far. Independent columns are the real columns, each "
    "shuffled by itself, without any noise (of images, every pixel and the label); scores on which they are "
    "themselves like a real sample cannot show dependence and are not held against the table."
)

Grade = Literal["real", "close", "useful", "far", "loses", "unknown"]
_WORDS: dict[Grade, str] = {
    "real": "Like a real sample in all main scores.",
    "close": "Close to a real sample in what was measured.",
    "useful": "Useful, with errors that a real sample would not have.",
    "far": "Far from the real data in what was measured.",
    "loses": "Loses to independent columns or pixels, which keep no dependence at all.",
    "unknown": "The scores do not allow a verdict.",
}


@dataclass(frozen=True)
class Verdict:
    """What stands at the top of a report.

    private    whether the statement promises differential privacy
    guarantee  the promise, or why there is none
    grade      of the quality; `headline` says it in a sentence, `sentences` give the figures behind it
    """

    private: bool
    guarantee: str
    grade: Grade
    headline: str
    sentences: tuple[str, ...]


def verdict(scores: Sequence[Score], statement: Mapping[str, Any] | None) -> Verdict:
    """Evaluate a table by its main scores (`RULE`); `statement` is the content of privacy.json, or None."""
    private, guarantee = promise(statement)
    main = headline_scores(scores)
    telling = [score for score in main if _tells(score)]
    grade = _grade(telling)
    words = _WORDS[grade]
    if main and not telling:
        words = _too_few(main)
    if grade in ("real", "close") and (doubts := _doubts(scores)):
        grade, words = "close", f"{_DOUBTED[grade]}, but {' and '.join(doubts)}: not a real sample."
    return Verdict(private, guarantee, grade, words, tuple(_sentences(scores)))


def _tells(score: Score) -> bool:
    """Whether a score says something: it lies outside the band, or the band is so narrow that a useless table would."""
    if score.like_real is not True or "uniform" not in score.baselines:
        return True
    return _width(score) <= 1 - USEFUL


def _width(score: Score) -> float:
    """How far the band reaches from a real sample towards uniform rows, as a fraction of that way."""
    edge = score.real_baseline_high if score.better == "lower" else score.real_baseline_low
    if edge is None or score.real_baseline is None:
        return math.inf
    way = score.baselines["uniform"] - score.real_baseline
    improves = way > 0 if score.better == "lower" else way < 0
    return abs(edge - score.real_baseline) / abs(way) if improves else math.inf


def rows_needed(scores: Sequence[Score]) -> int | None:
    """Rows of each side with which the first score could tell, at the rate 1/sqrt(n); None where that is not known."""
    found = [
        score.detail["rows compared"] * (_width(score) / (1 - USEFUL)) ** 2
        for score in scores
        if "rows compared" in score.detail and math.isfinite(_width(score))
    ]
    if not found:
        return None
    least = min(found)
    unit = 10 ** max(0, math.floor(math.log10(max(least, 1))) - 1)
    return math.ceil(least / unit) * unit


def _too_few(main: Sequence[Score]) -> str:
    needed = rows_needed(main)
    compared = [score.detail["rows compared"] for score in main if "rows compared" in score.detail]
    words = "Too few rows for a verdict: rows drawn without any data could hardly be distinguished from real ones"
    if needed is None:
        return f"{words}."
    return (
        f"{words}. {max(compared):,} of each side were compared, real rows the model has not seen and synthetic ones; "
        f"about {needed:,} would tell."
    )


_DOUBTED = {"real": "Like a real sample in the main scores", "close": "Close to a real sample in the main scores"}


def _doubts(scores: Sequence[Score]) -> list[str]:
    """What speaks against a real sample although the main scores do not."""
    found = []
    if caught := stated_apart(scores):
        found.append(f"{_names(caught)} tells them apart")
    broken = [
        score
        for score in scores
        if score.name == "validity" and score.value is not None and score.value < min(1.0, score.real_baseline or 1.0)
    ]
    if broken:
        found.append("some of its rows break the schema")
    return found


def stated_apart(scores: Sequence[Score]) -> list[Score]:
    """Two-sample tests by which a classifier tells synthetic rows from real ones: beyond the band, or nearly always.

    With few rows the band of real samples can reach 1, and then says nothing of a score near it.
    """
    found = (score for score in scores if score.name in TWO_SAMPLE and score.value is not None)
    return [score for score in found if score.like_real is False or (score.value or 0.0) >= APART]


def promise(statement: Mapping[str, Any] | None) -> tuple[bool, str]:
    """(is it private, the guarantee in words); only a statement that says `private: true` counts as one."""
    if statement is None:
        return False, "no privacy statement came with this table: nothing is guaranteed"
    words = str(statement.get("guarantee", "the privacy statement names no guarantee"))
    return statement.get("private") is True, words


def losses(scores: Sequence[Score]) -> list[Score]:
    """Scores worse than those of independent columns, where these are themselves worse than fresh real samples."""
    return [score for score in scores if score.loses_to("independent") and not _harmless(score, "independent")]


def like_real(scores: Sequence[Score]) -> tuple[int, int]:
    """(scores inside the band of fresh real samples, scores of quality that have such a band)."""
    described = [score.like_real for score in scores if score.group not in NOT_QUALITY and score.like_real is not None]
    return sum(described), len(described)


def _grade(main: Sequence[Score]) -> Grade:
    # where uniform rows are like a real sample the way between the two is made of chance
    telling = [score for score in main if "uniform" in score.baselines and not _harmless(score, "uniform")]
    fractions = [fraction for score in telling if (fraction := score.closeness("uniform")) is not None]
    if main and all(score.like_real for score in main):
        return "real"
    if losses(main):
        return "loses"
    if not fractions:
        return "unknown"
    return "close" if min(fractions) >= CLOSE else "useful" if min(fractions) >= USEFUL else "far"


def _harmless(score: Score, baseline: str) -> bool:
    """Whether the score does not distinguish the baseline from a real sample; without a band, if it is no worse."""
    other = score.baselines[baseline]
    if score.better == "lower":
        edge = score.real_baseline if score.real_baseline_high is None else score.real_baseline_high
        return edge is not None and other <= edge
    edge = score.real_baseline if score.real_baseline_low is None else score.real_baseline_low
    return edge is not None and other >= edge


def _sentences(scores: Sequence[Score]) -> Iterator[str]:
    passed, evaluated = like_real(scores)
    if evaluated:
        yield f"Cannot be distinguished from a fresh real sample by {passed} of {evaluated} scores."
    named = {score.name: score for score in scores if score.value is not None}
    for order in (3, 2, 1):
        score = named.get(f"tv_{order}way")
        if score is not None:
            of = "of single columns" if order == 1 else f"of combinations of {order} columns"
            yield (
                f"Fractions of rows in the cells {of} are off by {number(score.value)} in total variation on "
                f"average{_beside(score, 'a real sample of the same size has')}."
            )
            break
    single = named.get("ks")
    if single is not None:
        yield (
            f"Fractions of rows below a value of a numeric or date column are off by up to {number(single.value)}, "
            f"mean over these columns{_beside(single, 'a real sample of the same size has')}."
        )
    for score in headline_scores(scores):
        if score.group == "utility":
            measure = {"auc": "AUC", "r2": "R2"}.get(score.name.rpartition("_")[2], score.name)
            label = score.detail.get("label", "the label")
            yield (
                f"A model trained on synthetic rows predicts {label} of real rows with {measure} "
                f"{number(score.value)}{_beside(score, 'one trained on real rows has')}."
            )
            break
    accuracy = named.get("image_accuracy") or named.get("image_logistic")
    if accuracy is not None:
        yield (
            f"A classifier trained on synthetic images names the class of real ones with accuracy "
            f"{number(accuracy.value)}{_beside(accuracy, 'one trained on real images has')}."
        )
    lost = losses([score for score in scores if score.group not in NOT_QUALITY])
    if lost:
        yield f"Loses to independent columns on: {_names(lost)}."
    blind = [s for s in scores if s.group not in NOT_QUALITY and s.loses_to("uniform") and not _harmless(s, "uniform")]
    if blind:
        yield f"Worse than rows drawn without any data on: {_names(blind)}."
    broken = [score for score in scores if score.group == "validity" and _short_of_best(score)]
    if broken:
        yield f"Not all of it is legal ({_names(broken)}): the score should be {number(_best(broken[0]))}."
    suspects = [score for score in scores if score.group in LEAKS and score.like_real is False]
    if suspects:
        yield (
            f"Look at single rows: {_names(suspects)} lie outside the band of fresh real samples. That can be a sign "
            "of copied rows; it neither proves nor refutes the guarantee."
        )


def _beside(score: Score, words: str) -> str:
    return "" if score.real_baseline is None else f"; {words} {number(score.real_baseline)}"


def _best(score: Score) -> float:
    return 0.0 if score.better == "lower" else 1.0


def _short_of_best(score: Score) -> bool:
    return score.value is not None and (score.value > 0 if score.better == "lower" else score.value < 1)


def _names(scores: Sequence[Score]) -> str:
    names = "; ".join(in_words(score.name) for score in scores[:NAMED])
    return names + (f" and {len(scores) - NAMED} more" if len(scores) > NAMED else "")
