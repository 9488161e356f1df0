"""README.md of a release: what it is, how it was made, what is guaranteed, where it ends, how to cite it."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from typing import Any, cast

import jinja2

from dpsynth.data.columns import Category, Column, Identifier, NumericColumn
from dpsynth.data.table.domain import Domain
from dpsynth.privacy.accounting.attacks import advantage, power
from dpsynth.release.facts import Facts
from dpsynth.release.methods import method

_RELATIONS = {
    "add_remove": "one has all rows of the other and one more",
    "replace_one": "they have equally many rows and differ in one",
}
_LISTED = 8  # categories that are named
_CONTENTS = {
    "model.json": "the model: public settings and the domain",
    "model.safetensors": "the model: its numbers",
    "privacy.json": "the privacy statement: what was promised, proven and spent",
    "marginals.parquet": "the noisy counts that were measured, with sigma and 95 % intervals",
    "schema.yaml": "the public schema of the table",
    "datapackage.json": "Frictionless Data Package with the Table Schema",
    "croissant.json": "Croissant 1.1 metadata with the fields of responsible AI",
    "sdv_metadata.json": "metadata for SDV and SDMetrics",
    "deployment.json": "draft entry for the Differential Privacy Deployments Registry",
    "SHA256SUMS": "checksums of all files",
}


def citation(facts: Facts, version: str) -> str:
    """One line: who, when, what, where, by which program."""
    who = facts.steward or "Unnamed steward"
    year = f" ({facts.date[:4]})" if facts.date else ""
    where = f" {facts.url}." if facts.url else ""
    return f"{who}{year}: {facts.title}. Differentially private synthetic data.{where} Made with dpsynth {version}."


def model_card(
    domain: Any, statement: Mapping[str, Any], facts: Facts, files: Sequence[str], synthetic: str, version: str
) -> str:
    """The text of README.md. files: names of all files of the folder but this one."""
    environment = jinja2.Environment(undefined=jinja2.StrictUndefined, keep_trailing_newline=True, autoescape=False)
    filters: dict[str, Any] = cast(Any, environment).filters
    filters |= {"md": _plain, "range": _range, "figure": _figure, "noise": _noise}
    environment.loader = jinja2.PackageLoader("dpsynth", "release")
    table = isinstance(domain, Domain)
    numbers: dict[str, Any] = {"odds": "", "delta": "", "right": 1.0, "caught": 1.0}
    if statement["private"]:
        epsilon, delta = float(statement["proven"]["epsilon"]), float(statement["proven"]["delta"])
        numbers = {
            "odds": f"{math.exp(epsilon):.3g}",
            "delta": f"{delta:.3g}",
            "right": (1 + advantage(epsilon, delta)) / 2,
            "caught": float(power(0.01, epsilon, delta)),
        }
    kinds = "rows of a table" if table else "images"
    contents = [(synthetic, f"the synthetic {kinds}"), *((n, _CONTENTS[n]) for n in _CONTENTS if n in files)]
    return environment.get_template("README.md.j2").render(
        facts=facts,
        statement=statement,
        domain=domain,
        columns=domain.written if table else (),
        what="tabular data" if table else "images",
        unit="rows" if table else "images",
        version=version,
        method=method(statement.get("method")),
        contents=contents,
        marginals="marginals.parquet" in files,
        clamped=statement.get("bounds at the end of the public bins"),
        neighbours=_RELATIONS[statement["neighbours"]],
        cite=" ".join(citation(facts, version).split()),
        folder="release",
        **numbers,
    )


def _plain(value: Any) -> str:
    """A text on one line, with the signs that Markdown and HTML take for their own made harmless."""
    text = " ".join(str(value).split())
    text = text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return re.sub(r"([\\`*_\[\]|#~])", r"\\\1", text)


def _figure(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, int | float) else str(value)


def _noise(detail: Mapping[str, Any]) -> str:
    return ", ".join(f"{key.replace('_', ' ')} {_figure(value)}" for key, value in detail.items())


def _range(column: Column) -> str:
    """The legal values of a column in a few words."""
    if isinstance(column, Identifier):
        return "made up, not learned"
    if isinstance(column, Category):
        more = len(column.values) - _LISTED
        return ", ".join(column.values[:_LISTED]) + (f" and {more} more" if more > 0 else "")
    assert isinstance(column, NumericColumn)
    masses = f"; also {', '.join(map(str, column.point_masses))}" if column.point_masses else ""
    return f"{column.low} to {column.high}{masses}"
