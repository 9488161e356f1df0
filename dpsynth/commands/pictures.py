"""Which pictures belong to an evaluation: for every model the same ones, for flows their base coordinates too."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from dpsynth.commands.candidate import Candidate
from dpsynth.data.tabular_files import write_whole
from dpsynth.figures import dependence, diagnostics, histograms, image_comparison, score_overview
from dpsynth.figures.style import render
from dpsynth.metrics.image_features import image_shape, images_of, labels_of
from dpsynth.metrics.sample import Sample
from dpsynth.metrics.score import Score

KINDS = ("all", "diagnostics", "none")
DPI = 120  # PNG, because a scatter plot as SVG would be many megabytes


@dataclass(frozen=True)
class Picture:
    """A figure, the name of its file, and a caption that says in words what is to be seen."""

    name: str
    caption: str
    figure: Figure

    @cached_property
    def png(self) -> bytes:
        """The picture as a PNG file, drawn once for the folder and the report."""
        return render(self.figure, "png", DPI)

    def write(self, folder: Path) -> Path:
        """Write NAME.png, whole or not at all."""
        return write_whole(folder / f"{self.name}.png", lambda aside: aside.write_bytes(self.png))


def pictures(candidate: Candidate, synthetic: pd.DataFrame, scores: Sequence[Score] = ()) -> Iterator[Picture]:
    """The pictures of one candidate, drawn one after the other; with scores there is an overview of them first.

    synthetic: the draw that is shown.
    """
    domain = candidate.domain
    real, judged = Sample(candidate.real.frame, domain), Sample(synthetic, domain)
    if scores:
        yield Picture("scores", OVERVIEW, score_overview(scores))
    yield Picture("histograms", HISTOGRAMS, histograms(real.frame, judged.frame, domain))
    if len(domain) > 1:
        yield Picture("dependence", DEPENDENCE, dependence(real, judged))
    if image_shape(domain) is not None:
        yield Picture("images", IMAGES, image_comparison(*_images(real), *_images(judged)))
    base = getattr(candidate.fitted, "base", None)
    if base is not None:
        found = diagnostics(base(candidate.real), domain.names)
        for number, (caption, figure) in enumerate(found.items(), start=1):
            yield Picture(f"flow-{number}", caption, figure)


def _images(sample: Sample) -> tuple[np.ndarray, np.ndarray]:
    """Images (n, h, w) and their classes (n,), all of one class when there is no label."""
    labels = labels_of(sample)
    return images_of(sample)[:, 0], np.zeros(len(sample), dtype=np.int64) if labels is None else labels


OVERVIEW = (
    "All scores at a glance: how far each has come from rows made without data to a fresh real sample, or how far off "
    "it is. Blue circles lie in the band of fresh real samples, vermilion diamonds do not. The numbers stand in the "
    "tables above."
)
HISTOGRAMS = "Each column by itself: shares of real rows (grey, filled) and of synthetic rows (blue outline)."
DEPENDENCE = "Dependence between every two columns: in real rows, in synthetic rows, and the difference."
IMAGES = "Images of each class: a row of real ones, and below it a row of synthetic ones."
