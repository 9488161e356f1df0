"""Two neighbouring data sets as files, for an audit of the whole way from a file to a fitted model.

A table in a CSV or Parquet file, or a folder of images; without and with the first row, image, or person. The other
rows are many and various, so that a row that moves them (into or out of the holdout, into another reading of a column)
shows. Nobody's file is opened: what is written follows from the declared domain, or from one that is made up here.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from PIL import Image

from dpsynth.data.columns import Category, Column, NumericColumn
from dpsynth.data.database import DatabaseDomain
from dpsynth.data.image.domain import ImageDomain
from dpsynth.data.image.image_files import file_name
from dpsynth.data.image.images import Images
from dpsynth.data.selection import Selection
from dpsynth.data.table.domain import Domain
from dpsynth.data.table.table import Table
from dpsynth.data.table.tabular_files import write_text
from dpsynth.errors import ConfigError
from dpsynth.models.contract.synthesizer import BudgetFractions, Fitted, SynthesisPlan, Synthesizer
from dpsynth.privacy.accounting.budget import Budget
from dpsynth.privacy.audit import selection_key
from dpsynth.privacy.audit.worst_case import odd, picture
from dpsynth.privacy.noise.random import RandomGenerators
from dpsynth.runs.data_options import declared_domain, rows_to_fit

KINDS = ("csv", "parquet", "image_folder")
SCHEMA = """\
rows: {rows}
columns:
  kind: {{kind: category, categories: [a, b, c, d, e]}}
  size: {{kind: integer, bounds: [0, 9]}}
  joined: {{kind: date, bounds: [2000-01-01, 2019-12-31]}}
"""
ODD_TEXTS = {"kind": "e", "size": "9", "joined": "2000-01-01 00:00:00.000000001"}  # of the made-up schema
LATE = "9999-12-31"  # of every third row: legal once it is clamped, beyond what nanoseconds hold
IMAGES = {"image_size": 8, "channels": 1, "classes": ["dark", "bright"]}
ROWS_OF_A_PERSON = 4


@dataclass(frozen=True)
class FileFit:
    """The program that `train` runs: files, source, holdout and limits, fit. data: the options of `data=`."""

    recipe: Synthesizer
    plan: SynthesisPlan
    domain: Domain | ImageDomain
    fractions: BudgetFractions

    def __call__(self, data: Mapping[str, Any], randomness: RandomGenerators) -> Fitted:
        budget = self.plan.budget
        rows = self.rows(data, Selection(selection_key(randomness), budget.neighbours))
        plan = self.plan if budget.neighbours == "add_remove" else self.recipe.plan_for(rows, budget, self.fractions)
        return self.recipe.fit(rows, plan, randomness)

    def rows(self, data: Mapping[str, Any], selection: Selection) -> Any:
        """The rows that are left to fit to, as `train` would read them."""
        return rows_to_fit(data, None, self.domain, selection)


@dataclass(frozen=True)
class NeighbourFiles:
    """The files that were written. options: of `data=`, for the data set (without, with) the record or person.

    record: a row in doubt, as a table or images of one. rows: of the larger file; the rows in doubt are its first.
    """

    domain: Domain | ImageDomain
    options: tuple[dict[str, Any], dict[str, Any]]
    record: Table | Images
    rows: int

    @classmethod
    def written(cls, data: Mapping[str, Any], rows: int, budget: Budget, folder: Path, seed: int = 0) -> NeighbourFiles:
        """Files in `folder` for these options, of `rows` rows or images besides those in doubt."""
        for key in ("path", "root"):
            if data.get(key) is not None:
                raise ConfigError(f"data.{key}: an audit writes files of its own and opens nobody's; leave it out")
        if isinstance(data.get("holdout"), str):
            raise ConfigError("data.holdout: an audit holds back a fraction of the rows, not a file")
        if data["name"] == "image_folder":
            return cls._pictures(data, rows, budget, folder, np.random.default_rng(seed))
        return cls._tables(data, rows, budget, folder, np.random.default_rng(seed))

    @classmethod
    def _tables(
        cls, data: Mapping[str, Any], rows: int, budget: Budget, folder: Path, draw: np.random.Generator
    ) -> NeighbourFiles:
        made_up = data.get("schema") is None
        schema = folder / "schema.yaml" if made_up else Path(str(data["schema"]))
        if made_up:
            write_text(schema, SCHEMA.format(rows=_public_rows(rows, budget)))
        options = {**data, "schema": str(schema)}
        domain = _rowed(declared_domain(options, None, budget.neighbours), rows, budget)
        assert isinstance(domain, Domain), "of a table"
        person, several = data.get("person"), 1
        others = pd.DataFrame({c.name: various(c, rows, draw) for c in domain})
        record = pd.DataFrame({c.name: pd.Series([odd(c)], dtype=object) for c in domain})
        if made_up:
            others.loc[::3, "joined"] = LATE
            record = pd.DataFrame({name: [text] for name, text in ODD_TEXTS.items()})
        if person is not None:
            several = ROWS_OF_A_PERSON
            if person not in domain:
                others[person] = [f"p{k // several}" for k in range(rows)]
                record[person] = "first"
        record = pd.concat([record] * several, ignore_index=True)
        start = others.iloc[:1] if budget.neighbours == "replace_one" else record.iloc[:0]
        files = [folder / f"{name}.{data['name']}" for name in ("without", "with")]
        for file, first in zip(files, (start, record), strict=True):
            frame = pd.concat([first, others], ignore_index=True)
            if file.suffix == ".csv":
                frame.to_csv(file, index=False, sep=str(data.get("delimiter") or ","))
            else:
                frame.astype(str).to_parquet(file, index=False)
        without, with_record = ({**options, "path": str(file)} for file in files)
        return cls(domain, (without, with_record), Table(record.loc[:0, list(domain.names)], domain), rows + several)

    @classmethod
    def _pictures(
        cls, data: Mapping[str, Any], rows: int, budget: Budget, folder: Path, draw: np.random.Generator
    ) -> NeighbourFiles:
        options = dict(data)
        if data.get("image_size") is None:
            options.update(IMAGES)
        if data.get("rows") is None:
            options["rows"] = _public_rows(rows, budget)
        if data.get("label") == "none":
            options["classes"] = None
        domain = _rowed(declared_domain(options, None, budget.neighbours), rows, budget)
        assert isinstance(domain, ImageDomain), "of images"
        classes = sorted(domain.classes) or [""]
        images = [(classes[int(draw.integers(len(classes)))], _noise(domain, draw)) for _ in range(rows)]
        firsts = [[], [(classes[0], picture(domain, True))]]
        if budget.neighbours == "replace_one":
            firsts[0] = [(classes[0], picture(domain, False))]
        roots = [folder / name for name in ("without", "with")]
        for root, first in zip(roots, firsts, strict=True):
            for class_name in classes:
                (root / class_name if data.get("label", "folder") == "folder" else root).mkdir(
                    parents=True, exist_ok=True
                )
            for number, (class_name, pixels) in enumerate([*first, *images], start=1 - len(first)):
                _save(root, str(data.get("label", "folder")), class_name, number, pixels)
        without, with_record = ({**options, "root": str(root)} for root in roots)
        code = [domain.classes.index(classes[0])] if domain.classes else None
        labels = None if code is None else np.array(code, dtype=np.int64)
        return cls(domain, (without, with_record), Images(picture(domain, True)[None], labels, domain), rows + 1)


def various(column: Column, rows: int, draw: np.random.Generator) -> pd.Series:
    """Legal values of a column at random, none of them the odd one."""
    if isinstance(column, Category):
        values = list(column.values or ("common", "usual"))
        some = values[:-1] if len(values) > 1 else values
        return pd.Series(np.array(some, dtype=object)[draw.integers(len(some), size=rows)])
    assert isinstance(column, NumericColumn), "there are no other kinds"
    if column.undeclared:
        return pd.Series(draw.integers(0, 100, rows))
    axis = column.snap(column.start + draw.random(rows) * (column.stop - column.start) / 2)
    return column.text(column.write(axis, np.zeros(rows, dtype=bool)))


def _rowed(domain: Domain | ImageDomain | DatabaseDomain, rows: int, budget: Budget) -> Domain | ImageDomain:
    """The domain with a public number of rows, unless it declares one."""
    if isinstance(domain, DatabaseDomain):
        raise ConfigError("tables and images are attacked here, databases are not")
    return domain if domain.rows is not None else replace(domain, rows=_public_rows(rows, budget))


def _public_rows(rows: int, budget: Budget) -> int:
    return rows + 1 if budget.neighbours == "replace_one" else rows


def _noise(domain: ImageDomain, draw: np.random.Generator) -> np.ndarray:
    return draw.integers(0, 256, domain.shape, dtype=np.uint8)


def _save(root: Path, label: str, class_name: str, number: int, pixels: np.ndarray) -> None:
    name = f"{number:05d}.png"
    if label == "folder":
        path = root / class_name / name
    else:
        path = root / (f"{file_name(class_name)}_{name}" if label == "prefix" else name)
    Image.fromarray(pixels[0] if pixels.shape[0] == 1 else pixels.transpose(1, 2, 0)).save(path)
