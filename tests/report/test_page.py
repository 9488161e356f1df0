import re
from html.parser import HTMLParser

import pytest

from dpsynth.figures.style import figure
from dpsynth.metrics.score import Score
from dpsynth.report.page import render_report, write_report

STATEMENT = {
    "private": True,
    "guarantee": "(1, 1e-05)-differential privacy for one row",
    "target": {"epsilon": 1.0, "delta": 1e-05},
    "charges": [{"name": "dp-sgd", "event": {"type": "x", "parts": [1]}}, {"name": "rows", "detail": {}}],
    "finished": True,
}
SCORES = [
    Score(
        "tv_2way",
        0.05,
        "lower",
        floor=0.03,
        baseline=0.7,
        meaning="mean of pairs",
        detail={"worst": [{"columns": ["<b>age</b>", "sex"], "value": 0.2, "floor": 0.04}]},
    ),
    Score.absent("utility", "higher", "the domain has no label column"),
]


class Balanced(HTMLParser):
    """Collects sources and checks that every opened element is closed."""

    void = frozenset({"meta", "img", "br"})

    def __init__(self):
        super().__init__()
        self.open, self.sources = [], []

    def handle_starttag(self, tag, attrs):
        self.sources += [value for key, value in attrs if key in ("src", "href")]
        if tag not in self.void:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


def page(statement=STATEMENT, scores=SCORES):
    drawn = figure(2, 1)
    drawn.subplots()
    return render_report(scores, statement, {"Histograms": drawn}, facts={"model": "maf", "rows": 5})


def test_the_page_is_whole_and_self_contained():
    parser = Balanced()
    parser.feed(page())
    assert parser.open == []
    assert len(parser.sources) == 1
    assert parser.sources[0].startswith("data:image/svg+xml;base64,")
    assert "<script" not in page()
    assert not re.search(r"https?://", page())


def test_it_says_that_it_is_private_and_what_the_scores_do_not_say():
    text = page()
    assert "Private: this page was made from real rows" in text
    assert text.index("Verdict") < text.index("Guarantee") < text.index("Scores")
    assert "They do not measure privacy" in text


def test_guarantee_scores_and_reasons_are_shown():
    text = page()
    for part in (
        "epsilon 1, delta 1e-05",
        "dp-sgd",
        "0.0500",
        "0.0300",
        "97%",
        "mean of pairs",
        "has no label",
    ):
        assert part in text
    assert "No guarantee" not in text


@pytest.mark.parametrize("statement", [None, {"private": False, "guarantee": "not private: seeded noise"}])
def test_a_missing_promise_is_loud(statement):
    assert "No guarantee" in page(statement)


def test_names_are_escaped():
    assert "<b>age</b>" not in page()
    assert "&lt;b&gt;age&lt;/b&gt; × sex" in page()


def test_written_whole_or_not_at_all(tmp_path):
    path = write_report(tmp_path / "private" / "report.html", SCORES, STATEMENT, {})
    assert path.read_text(encoding="utf-8").startswith("<!doctype html>")
    assert [file.name for file in path.parent.iterdir()] == ["report.html"]
    with pytest.raises(AttributeError):
        write_report(tmp_path / "broken.html", [None], STATEMENT, {})  # pyright: ignore[reportArgumentType]
    assert not (tmp_path / "broken.html").exists()
