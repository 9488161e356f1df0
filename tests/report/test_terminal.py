import io

from rich.console import Console

from dpsynth.metrics.score import Score
from dpsynth.report.terminal import scores_table


def test_values_floors_and_reasons_are_printed():
    scores = [
        Score("tv_2way", 0.05, "lower", floor=0.03, baseline=0.7),
        Score("better_than_real", 0.01, "lower", floor=0.03, baseline=0.7),
        Score.absent("utility", "higher", "no [label] column"),
    ]
    console = Console(width=100, record=True, file=io.StringIO())
    console.print(scores_table(scores))
    text = console.export_text()
    for part in ("tv_2way ↓", "0.0500", "0.0300", "0.7000", "97%", "100%", "no [label] column"):
        assert part in text
