"""The report as a browser sees it, offline. Needs Chromium."""

import re
import shutil
import subprocess

import numpy as np
import pytest

from dpsynth.evaluation.suite import Settings, evaluate
from dpsynth.figures import histograms
from dpsynth.figures.style import render
from dpsynth.report.page import Page

NAMES = ("chromium", "chromium-browser", "google-chrome")
CHROMIUM = next((path for name in NAMES if (path := shutil.which(name))), None)
FLAGS = (
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
    *("--disable-background-networking", "--proxy-server=127.0.0.1:9", "--enable-logging=stderr", "--v=0"),
)

pytestmark = [pytest.mark.slow, pytest.mark.skipif(CHROMIUM is None, reason="no chromium is installed")]


@pytest.fixture(scope="module")
def report(domain, people, tmp_path_factory):
    """A report with scores of every group that marginals alone give, and a picture."""
    order = np.random.default_rng(0).permutation(len(people))
    train, holdout = people.frame.iloc[order[:200]], people.frame.iloc[order[200:]]
    settings = Settings(families=("marginals", "validity", "columns"), replicates=3, triples=5)
    scores = evaluate(train, holdout, [train, holdout], domain, settings)
    picture = {"Each column by itself": render(histograms(holdout, train, domain), "png")}
    path = tmp_path_factory.mktemp("page") / "report.html"
    return Page(scores, figures=picture, settings={"bins": 32}, domain=domain).write(path)


def browse(report, profile, *flags):
    command = [CHROMIUM, *FLAGS, f"--user-data-dir={profile}", *flags, report.as_uri()]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)


def test_no_error_no_request_and_a_text_for_every_picture(report, tmp_path):
    outcome = browse(report, tmp_path, "--dump-dom")
    assert "CONSOLE" not in outcome.stderr, outcome.stderr
    page = outcome.stdout
    assert "</html>" in page
    assert not re.findall(r"""(?:src|href)=["'](?!data:)""", page)
    images = re.findall(r"<img [^>]*>", page)
    drawings = re.findall(r"<svg [^>]*>", page)
    assert len(images) == 1
    assert len(drawings) > 3
    assert all(re.search(r'alt="[^"]+"', image) for image in images)
    assert all(re.search(r'role="img"', one) and re.search(r'aria-label="[^"]+"', one) for one in drawings)


def test_it_can_be_drawn_and_printed(report, tmp_path):
    picture, paper = tmp_path / "page.png", tmp_path / "page.pdf"
    browse(report, tmp_path / "one", "--window-size=1200,3000", f"--screenshot={picture}")
    browse(report, tmp_path / "two", f"--print-to-pdf={paper}")
    assert picture.stat().st_size > 50_000
    assert paper.read_bytes().startswith(b"%PDF")
