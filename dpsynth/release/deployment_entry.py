"""deployment.json: a draft entry for the Differential Privacy Deployments Registry.

The fields are those of the registry's template (opendp/deployments-registry-data; Nanayakkara, Ghazi, Vadhan 2025,
arXiv 2509.13509). JSON is YAML, which the registry takes. What only the steward knows is empty and its status is Draft.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from dpsynth.data.database import DatabaseDomain
from dpsynth.data.table.domain import Domain
from dpsynth.release.facts import Facts
from dpsynth.release.methods import method


def deployment_entry(domain: Any, statement: Mapping[str, Any], facts: Facts, software: str) -> dict[str, Any]:
    """The entry of a release; all of it follows from its public files."""
    proven, known = statement["proven"], method(statement.get("method"))
    approximate = not isinstance(proven["delta"], str) and proven["delta"] > 0
    rows = statement.get("rows_per_person")
    counted = "the number of rows was counted with noise" if statement["neighbours"] == "add_remove" else (
        "the number of rows, which is public under replace-one"
    )  # fmt: skip
    return {
        "url_slug": re.sub(r"[^a-z0-9]+", "_", facts.title.lower()).strip("_")[:60] or "release",
        "deployment": {
            "basic": {
                "name": facts.title,
                "data_curators": [{"data_curator_name": facts.steward or "", "data_curator_type": ""}],
                "description": facts.description or "",
                "intended_use": facts.intended_use or "",
                "data_product_type": "Synthetic data",
                "data_product_region": "",
                "data_product_sector": "",
                "publication_date": facts.date or "",
            },
            "dp_variant": {
                "variant_name": "Approximate DP" if approximate else "Pure DP",
                "data_domain": _domain_words(domain),
                "unprotected_quantities": (
                    "The schema: names, bounds and categories that it declares, and a declared number of rows; "
                    f"{counted if statement['neighbours'] == 'replace_one' else 'nothing else'}."
                ),
            },
            "privacy_loss": {
                "privacy_unit": "Person" if rows else "Row",
                "privacy_unit_details": f"{statement['unit']}; neighbours by {statement['neighbours']}. "
                f"Covers {statement.get('covers', 'all rows')}.",
                "number_of_privacy_units": 1,
                "privacy_parameters": {"epsilon": proven["epsilon"], "delta": proven["delta"]},
                "privacy_parameters_details": f"Proven by {proven['accountant']} from the releases listed under "
                "mechanisms. " + ("" if statement["private"] else f"NOT PRIVATE: {statement['guarantee']}."),
            },
            "deployment_model": {
                "model_name": "Central",
                "model_name_details": "",
                "trust_assumptions": "The steward holds the private data and runs the program; its machine is trusted.",
                "actors": facts.steward or "",
                "release_type": "One release",
                "release_type_details": "Further synthetic rows from the released model are post-processing.",
                "data_source_type": "Static",
                "data_source_type_details": "",
                "access_type": "Non-interactive",
                "access_type_details": "",
            },
            "implementation": {
                "preprocessing_and_hyperparameter_tuning": (
                    "Values outside the declared domain were moved to it. Tuning on the private data is not known to "
                    "the program, and not accounted for."
                ),
                "mechanisms": "; ".join(
                    f"{charge['name']}: {charge['event']['kind']}"
                    + "".join(f", {key} {_short(value)}" for key, value in charge.get("detail", {}).items())
                    for charge in statement["charges"]
                ),
                "composition": f"{proven['accountant']}, over all mechanisms together",
                "post_processing": f"The method {known.words} ({known.source}).",
                "justification": "",
                "utility": "",
                "additional_information": software,
            },
            "administrative": {
                "evidence_sources": {},
                "status": "Draft",
                "registry_authors": [facts.steward or ""],
                "tier": 3,
            },
        },
    }


def _domain_words(domain: Any) -> str:
    if isinstance(domain, Domain):
        kinds: dict[str, int] = {}
        for column in domain:
            kinds[column.kind] = kinds.get(column.kind, 0) + 1
        counted = ", ".join(f"{count} of kind {kind}" for kind, count in kinds.items())
        return f"Tables of {len(domain)} columns with public bounds and categories: {counted}."
    if isinstance(domain, DatabaseDomain):
        tables = ", ".join(f"{table.name} ({len(table.domain)} columns)" for table in domain)
        return f"Databases of persons, rows of {domain.root}, with public bounds and categories: {tables}."
    return f"Images of {domain.height} x {domain.width} pixels in {len(domain.classes)} classes."


def _short(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)
