"""Draws the committed examples in figs/ from finished runs of maf, and prints what each picture shows.

    python train.py model=maf data=adult privacy.epsilon=1 run=outputs/adult-1
    python train.py model=maf data=pums privacy.epsilon=10 run=outputs/pums-10
    python train.py model=maf data=power data.n_train=100000 privacy.epsilon=1 run=outputs/power-1
    python train.py model=maf data=digits data.form=table privacy.epsilon=10 run=outputs/digits-10
    python benchmarks/figures.py outputs/adult-1 outputs/pums-10 outputs/power-1 outputs/digits-10

    python train.py -m model=maf data=adult privacy.epsilon=0.3,3,10
    python benchmarks/figures.py --tradeoff outputs/adult-1 outputs/maf-adult*

    python train.py model=aim data=adult privacy.epsilon=1
    python benchmarks/figures.py --overview age,occupation,hours-per-week,income outputs/aim-adult

For each run: histograms, dependence maps, the flow's base coordinates of all holdout rows, images where rows are
images, and the overview of scores where evaluate.py has left them. --tradeoff scores the runs and draws them over
epsilon. --overview draws the picture of the README: some columns, and the dependence of all. All these data are public,
which is why pictures of real rows may be shown.
"""

import argparse
import json
from io import BytesIO
from pathlib import Path

import pandas as pd
from matplotlib.figure import Figure
from PIL import Image

from dpsynth.data import Domain
from dpsynth.data.selection import Selection
from dpsynth.figures import dependence, diagnostics, histograms, image_comparison, save, score_overview, tradeoff
from dpsynth.figures.histograms import pages
from dpsynth.figures.style import render
from dpsynth.metrics.framework.comparison import Comparison, Counts
from dpsynth.metrics.framework.metric import Score
from dpsynth.metrics.framework.sample import Sample
from dpsynth.metrics.image.sample import image_sample
from dpsynth.metrics.table.association import Association
from dpsynth.metrics.table.marginals import Marginals
from dpsynth.metrics.table.utility import Utility
from dpsynth.models.contract.fitted import load
from dpsynth.models.maf.fitted import FittedFlow
from dpsynth.runs import kept_options
from dpsynth.runs.command_line import data_options, texts
from dpsynth.runs.data_options import opened
from dpsynth.runs.run_folder import RunFolder

DPI, FINE = 110, 150
SHOWN = ("tv_1way", "tv_2way", "tv_3way", "cramer_gap", "logistic_auc", "boosting_auc")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("runs", nargs="+", type=Path)
    parser.add_argument("--tradeoff", action="store_true", help="one picture of all runs over epsilon")
    parser.add_argument("--overview", type=lambda text: text.split(","), metavar="COLUMNS", help="one picture of a run")
    parser.add_argument("--out", type=Path, default=Path("figs"))
    wanted = parser.parse_args()
    if wanted.tradeoff:
        table = pd.DataFrame([record for run in wanted.runs for record in scored(run)])
        print(table.pivot_table("value", "epsilon", "score").round(4).to_string())
        write(wanted.out, table["data"].iloc[0], "tradeoff", tradeoff(table), "Scores of several runs over epsilon.")
    elif wanted.overview:
        for run in wanted.runs:
            overview(run, wanted.overview, wanted.out)
    else:
        for run in wanted.runs:
            draw(run, wanted.out)


def draw(run: Path, out: Path) -> None:
    """All pictures of one run."""
    data, train, holdout, fitted = pieces(run)
    real, synthetic = (
        Sample(holdout.frame, fitted.domain),
        Sample(fitted.sample(len(train), seed=1).frame, train.domain),
    )
    for page in range(1, pages(fitted.domain) + 1):
        grid = histograms(real.frame, synthetic.frame, fitted.domain, page=page)
        name = "histograms" if page == 1 else f"histograms-{page}"
        write(out, data, name, grid, "Each column by itself, real rows against synthetic ones.")
    maps = dependence(real, synthetic)
    caption = "Dependence of every two columns: real rows, synthetic rows, the difference."
    write(out, data, "dependence", maps, caption, FINE if len(fitted.domain) > 40 else DPI)
    if isinstance(fitted, FittedFlow):
        found = diagnostics(fitted.base(holdout), fitted.domain.names)
        for name, (caption, picture) in zip(("marginals", "quantiles", "pairs"), found.items(), strict=False):
            write(out, data, f"flow_{name}", picture, caption)
    shown, made = image_sample(real), image_sample(synthetic)
    if shown is not None and made is not None:
        pairs = image_comparison(shown.units, shown.labels, made.units, made.labels)
        write(out, data, "images", pairs, "Images of each class: real ones, and synthetic ones below them.")
    scores = run / "private" / "scores.json"
    if scores.exists():
        records = json.loads(scores.read_text())["scores"]
        page = score_overview([Score.from_dict(record) for record in records])
        write(out, data, "scores", page, "All scores, between rows made without data and a real sample.")


def overview(run: Path, columns: list[str], out: Path) -> None:
    """The histograms of a few columns above the dependence of all."""
    data, train, holdout, fitted = pieces(run)
    made = fitted.sample(len(train), seed=1).frame
    some = Domain(tuple(fitted.domain[name] for name in columns))
    grid = histograms(holdout.frame[columns], made[columns], some, across=len(columns))
    maps = dependence(Sample(holdout.frame, fitted.domain), Sample(made, train.domain))
    parts = [Image.open(BytesIO(render(picture, "png", DPI))).convert("RGB") for picture in (grid, maps)]
    width = max(part.width for part in parts)
    parts = [part.resize((width, part.height * width // part.width), Image.Resampling.LANCZOS) for part in parts]
    page = Image.new("RGB", (width, sum(part.height for part in parts)), "white")
    page.paste(parts[0], (0, 0))
    page.paste(parts[1], (0, parts[0].height))
    file = out / f"{data}_overview.png"
    page.save(file)
    print(f"{file} ({file.stat().st_size // 1000} kB)", flush=True)


def scored(run: Path) -> list[dict]:
    """One record for each shown score of the run."""
    data, train, holdout, fitted = pieces(run)
    drawn = fitted.sample(len(train), seed=1).frame
    compared = Comparison.of(train.frame, holdout.frame, [drawn], fitted.domain)
    families = [Marginals({1: None, 2: None, 3: 200}), Association(), Utility(("logistic", "boosting"))]
    scores = compared.scores(families, Counts(), lambda *_: None)
    facts = {"run": run.name, "model": "maf", "data": data, "epsilon": fitted.statement["target"]["epsilon"], "seed": 0}
    numbers = ("better", "value", "real_baseline", "real_baseline_low", "real_baseline_high")
    return [
        {**facts, "score": score.name, **{key: getattr(score, key) for key in numbers}, **score.baselines}
        for score in scores
        if score.name in SHOWN
    ]


def pieces(run: Path):
    """(name of the data, training rows, holdout rows, fitted model) of a finished run."""
    kept = kept_options.read(RunFolder(run))
    fitted = load(run)
    selection = Selection(RunFolder(run).kept_key(), kept["privacy"]["neighbours"])
    source = opened(data_options(kept["data"]), texts(kept["columns"], "columns"), selection)
    assert source.holdout is not None, "pictures compare with rows the model has not seen"
    return kept["data"]["name"], source.train.redeclare(fitted.domain), source.holdout.redeclare(fitted.domain), fitted


def write(out: Path, data: str, name: str, picture: Figure, caption: str, dpi: int = DPI) -> None:
    (file,) = save(picture, out / f"{data}_{name}", ("png",), dpi)
    print(f"{file} ({file.stat().st_size // 1000} kB): {caption}", flush=True)


if __name__ == "__main__":
    main()
