"""The scores in plain sentences: what holds, what does not, and on which rule the judgement rests."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from dpsynth.metrics.score import Score

CLOSE, USEFUL = 0.95, 0.8  # shares of the way from knowing nothing to a real sample
HEADLINES = ("tv_3way", "tv_2way", "boosting_auc", "boosting_r2", "logistic_auc", "logistic_r2")
RULE = (
    "The headline follows the weakest of the main scores (combinations of two and three columns, prediction "
    f"of the label): close from {CLOSE:.0%} of the way between knowing no data and a real sample, useful "
    f"from {USEFUL:.0%}."
)

Grade = Literal["close", "useful", "far", "unknown"]
_WORDS: dict[Grade, str] = {
    "close": "Close to a real sample in what was measured.",
    "useful": "Useful, with errors that a real sample would not have.",
    "far": "Far from the real data in what was measured.",
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
    """Judge a table by its main scores; `statement` is the content of privacy.json, or None."""
    by_name = {score.name: score for score in scores if score.value is not None}
    main = [by_name[name] for name in HEADLINES if name in by_name]
    shares = [score.closeness for score in main if score.closeness is not None]
    grade: Grade = "unknown"
    if shares:
        grade = "close" if min(shares) >= CLOSE else "useful" if min(shares) >= USEFUL else "far"
    private, guarantee = promise(statement)
    return Verdict(private, guarantee, grade, _WORDS[grade], tuple(_sentences(by_name)))


def promise(statement: Mapping[str, Any] | None) -> tuple[bool, str]:
    """(is it private, the guarantee in words); only a statement that says `private: true` counts as one."""
    if statement is None:
        return False, "no privacy statement came with this table: nothing is guaranteed"
    words = str(statement.get("guarantee", "the privacy statement names no guarantee"))
    return statement.get("private") is True, words


def _sentences(scores: Mapping[str, Score]) -> Iterator[str]:
    for order in (3, 2, 1):
        score = scores.get(f"tv_{order}way")
        if score is not None and score.value is not None:
            beside = "" if score.floor is None else f"; a real sample of the same size has {score.floor:.3f}"
            yield (
                f"The shares of {order}-way combinations of values are off by {score.value:.3f} in total "
                f"variation on average{beside}."
            )
            break
    for name, measure in (("boosting_auc", "AUC"), ("boosting_r2", "R2")):
        score = scores.get(name) or scores.get(name.replace("boosting", "logistic"))
        if score is not None and score.value is not None:
            beside = "" if score.floor is None else f"; one trained on real rows has {score.floor:.3f}"
            label = score.detail.get("label", "the label")
            yield (
                f"A model trained on synthetic rows predicts {label} of real rows with {measure} "
                f"{score.value:.3f}{beside}."
            )
    blind = [score.name for score in scores.values() if score.closeness is not None and score.closeness <= 0]
    if blind:
        yield f"No better than knowing the domain alone: {', '.join(blind)}."
