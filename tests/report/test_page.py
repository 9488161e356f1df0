import re
from html.parser import HTMLParser

import pytest

from dpsynth.figures.style import figure, figure_style, render
from dpsynth.metrics.framework.metric import Score
from dpsynth.report.page import Page


class Balanced(HTMLParser):
    """Collects sources and pictures, and checks that every opened element is closed."""

    void = frozenset({"meta", "img", "br", "col", "line", "rect", "circle"})

    def __init__(self):
        super().__init__()
        self.open, self.sources, self.pictures = [], [], []

    def handle_starttag(self, tag, attrs):
        known = dict(attrs)
        self.sources += [value for key, value in attrs if key in ("src", "href")]
        if tag in ("img", "svg"):
            self.pictures.append(known.get("alt") or known.get("aria-label"))
        if tag not in self.void:
            self.open.append(tag)

    def handle_endtag(self, tag):
        if tag not in self.void:
            assert self.open.pop() == tag


@pytest.fixture
def page(score, statement, domain):
    """page(...): a report with a picture; keywords replace what it is made of."""
    with figure_style():
        drawn = figure(2, 1)
        drawn.subplots()
    scores = [
        score(parts={"<b>age</b> x sex": 0.2, "age x income": 0.05}, part_real_baselines={"<b>age</b> x sex": 0.04}),
        *(score(f"extra_{i}") for i in range(6)),
        Score.absent("utility", "higher", "the domain has no label column"),
    ]

    def make(**changes):
        parts = {
            "scores": scores,
            "statement": statement,
            "figures": {'Histograms of "age"': render(drawn, "png")},
            "facts": {"model": "maf", "rows": 5},
            "alone": {"dp-sgd": 0.9014},
            "settings": {"bins": 32, "families": ["marginals"]},
            "domain": domain,
            "remarks": ("Copying is not privacy.",),
        }
        return Page(**(parts | changes)).html()

    return make


def test_the_page_is_whole_and_self_contained(page):
    parser = Balanced()
    parser.feed(page())
    assert parser.open == []
    assert len(parser.sources) == 1
    assert parser.sources[0].startswith("data:image/png;base64,")
    assert "<script" not in page()
    assert not re.search(r"https?://|url\(|@import", page())


def test_every_picture_has_a_text_alternative(page):
    parser = Balanced()
    parser.feed(page())
    assert len(parser.pictures) == 8
    assert all(parser.pictures)
    assert 'Histograms of "age"' in parser.pictures


def test_it_says_that_it_is_private_and_what_the_scores_do_not_say(page):
    text = page()
    assert "Private: this page was made from real rows" in text
    places = [
        text.index(f"<h2>{title}") for title in ("Verdict", "Guarantee", "Scores", "Where it is worst", "Pictures")
    ]
    assert places == sorted(places)
    assert "They do not measure privacy" in text
    assert "Copying is not privacy." in text


def test_guarantee_scores_and_reasons_are_shown(page):
    text = page()
    for part in (
        "0.99 proven",
        "each with probability 0.02",
        "0.9014",
        "0.0500",
        "0.0400 to 0.0600",
        "0.0300",
        "0.0200 to 0.0400",
        "mean of pairs",
        "worse",
        "has no label",
        "3 more scores",
        "32 equal-width bins from 17 to 90",
        "2 categories: Female, Male",
    ):
        assert part in text
    assert "No guarantee" not in text
    assert '{"kind"' not in text
    assert "&#34;kind" not in text


@pytest.mark.parametrize("statement", [None, {"private": False, "guarantee": "not private: seeded noise"}])
def test_a_missing_promise_is_loud(page, statement):
    assert "No guarantee" in page(statement=statement)
    assert "In other words" not in page(statement=statement)


def test_names_are_escaped(page):
    assert "<b>age</b>" not in page()
    assert "&lt;b&gt;age&lt;/b&gt; x sex" in page()


def test_a_page_of_nothing_is_still_a_page():
    parser = Balanced()
    parser.feed(Page([]).html())
    assert parser.open == []


def test_text_can_be_read(page):
    """WCAG AA: contrast of at least 4.5 between every text colour and the page, white or dark."""
    style = page().split("<style>")[1].split("</style>")[0]
    [dark] = re.findall(r"@media screen and \(prefers-color-scheme: dark\) \{.*?\n  \}", style, re.DOTALL)
    [page_colour] = re.findall(r"body \{[^}]*background: (#\w{6})", dark)
    for part, background in ((style.replace(dark, ""), "#ffffff"), (dark, page_colour)):
        rules = re.findall(r"\{([^{}]*)\}", part)
        colours = {
            c for rule in rules if "background: #" not in rule for c in re.findall(r"(?:^|[ ;])color: (#\w{6})", rule)
        }
        assert colours
        for colour in colours:
            assert contrast(colour, background) >= 4.5, colour


def contrast(one, two):
    """Of two colours #rrggbb, by WCAG 2.1."""
    darker, lighter = sorted(luminance(colour) for colour in (one, two))
    return (lighter + 0.05) / (darker + 0.05)


def luminance(colour):
    parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def test_written_whole_or_not_at_all(tmp_path, score, statement):
    path = Page([score()], statement).write(tmp_path / "private" / "report.html")
    assert path.read_text(encoding="utf-8").startswith("<!doctype html>")
    assert [file.name for file in path.parent.iterdir()] == ["report.html"]
    with pytest.raises(AttributeError):
        Page([None]).write(tmp_path / "broken.html")  # pyright: ignore[reportArgumentType]
    assert not list(tmp_path.glob("*broken*"))
