"""Which pictures belong to an evaluation: for every model the same ones, for flows their base coordinates too."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import pandas as pd
from matplotlib.figure import Figure

from dpsynth.data.database.database import Database
from dpsynth.data.image.images import Images
from dpsynth.data.table.domain import Domain
from dpsynth.data.table.table import Table
from dpsynth.data.table.tabular_files import write_whole
from dpsynth.evaluation.inputs import EvaluationInputs
from dpsynth.figures import dependence, diagnostics, histograms, image_comparison, score_overview
from dpsynth.figures.histograms import pages
from dpsynth.figures.style import render
from dpsynth.metrics.framework.metric import Score
from dpsynth.metrics.framework.sample import Sample
from dpsynth.metrics.image.sample import ImageSample, image_sample
from dpsynth.models.contract.fitted import Fitted

KINDS = ("all", "diagnostics", "none")
LOOKED_AT = 2000  # images among which a few of each class are found
MOST_PAGES = 10  # of histograms
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
        return write_whole(folder / f"{self.name}.png", lambda temporary: temporary.write_bytes(self.png))


def pictures(
    inputs: EvaluationInputs, shown: pd.DataFrame | Images | Database, scores: Sequence[Score] = ()
) -> Iterator[Picture]:
    """The pictures of one candidate, drawn one after the other; with scores there is an overview of them first.

    shown: the draw that is to be seen.
    """
    title = _title(inputs, len(shown))
    if scores:
        yield Picture("scores", OVERVIEW, score_overview(scores, title))
    if isinstance(shown, Images):
        assert isinstance(inputs.real, Images), "of one kind with what is evaluated"
        yield Picture("images", IMAGES, _beside(ImageSample.of(inputs.real), ImageSample.of(shown)))
    elif isinstance(shown, Database):
        assert isinstance(inputs.real, Database), "of one kind with what is evaluated"
        for name in inputs.real.domain.tables:
            real, made = inputs.real[name], shown[name]
            if len(real) and len(made):
                for picture in _of_tables(real, made.frame, real.domain, None, f"{title}, {name}"):
                    yield Picture(f"{name}-{picture.name}", f"{name}: {picture.caption}", picture.figure)
    elif isinstance(inputs.real, Table) and isinstance(inputs.domain, Domain):
        yield from _of_tables(inputs.real, shown, inputs.domain, inputs.fitted, title)


def _title(inputs: EvaluationInputs, rows: int) -> str:
    """What is compared: method, data, epsilon and the number of synthetic rows, as far as they are known."""
    names = [str(inputs.names[key]) for key in ("model", "data") if inputs.names.get(key)]
    if inputs.names.get("epsilon") is not None:
        names.append(f"epsilon {inputs.names['epsilon']}")
    return ", ".join([*names, f"{rows:,} synthetic {inputs.real.unit}"])


def _of_tables(
    real_rows: Table, shown: pd.DataFrame, domain: Domain, fitted: Fitted | None, title: str
) -> Iterator[Picture]:
    real, evaluated = Sample(real_rows.frame, domain), Sample(shown, domain)
    for page in range(1, min(pages(domain), MOST_PAGES) + 1):
        name = "histograms" if page == 1 else f"histograms-{page}"
        figure = histograms(real.frame, evaluated.frame, domain, title=title, page=page)
        yield Picture(name, HISTOGRAMS + _page_of(page, pages(domain)), figure)
    if len(domain) > 1:
        yield Picture("dependence", DEPENDENCE, dependence(real, evaluated, title))
    pictured, made = image_sample(real), image_sample(evaluated)
    if pictured is not None and made is not None:
        yield Picture("images", IMAGES, _beside(pictured, made))
    base = getattr(fitted, "base", None)
    if base is not None:
        found = diagnostics(base(real_rows), domain.names)
        for number, (caption, figure) in enumerate(found.items(), start=1):
            yield Picture(f"flow-{number}", caption, figure)


def _page_of(page: int, of: int) -> str:
    """For captions: which page, and that the last ones of very wide tables are left out."""
    if of == 1:
        return ""
    last = f"; {of - MOST_PAGES} more are not drawn" if page == MOST_PAGES < of else ""
    return f" Page {page} of {of}{last}."


def _beside(real: ImageSample, evaluated: ImageSample) -> Figure:
    """Real images above synthetic ones, by the names of the classes; all together when there are none."""
    real, evaluated = real.head(LOOKED_AT), evaluated.head(LOOKED_AT)
    names = dict(enumerate(real.domain.classes))
    return image_comparison(real.pixels, real.labels, evaluated.pixels, evaluated.labels, names=names)


OVERVIEW = (
    "All scores at a glance: how far each has come from rows made without data to a fresh real sample, or how far off "
    "it is. Blue circles lie in the band of fresh real samples, vermilion diamonds do not. The numbers stand in the "
    "tables above."
)
HISTOGRAMS = "Each column by itself: fractions of real rows (grey, filled) and of synthetic rows (blue outline)."
DEPENDENCE = "Dependence between every two columns: in real rows, in synthetic rows, and the difference."
IMAGES = "Images of each class: a row of real ones, and below it a row of synthetic ones."
