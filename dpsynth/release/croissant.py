"""croissant.json: the release as Croissant 1.1 metadata (MLCommons) with the fields of responsible AI (RAI 1.0)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from dpsynth.data.columns import Column, Date, Datetime, Identifier, Integer, Number
from dpsynth.data.columns.category import Boolean
from dpsynth.data.columns.datetime_column import EPOCHS
from dpsynth.data.table.domain import Domain
from dpsynth.release.facts import Facts
from dpsynth.release.methods import method
from dpsynth.release.table_schema import MEDIA_TYPES

CORE, RAI = "http://mlcommons.org/croissant/1.1", "http://mlcommons.org/croissant/RAI/1.0"
CONTEXT: dict[str, Any] = {
    "@language": "en",
    "@vocab": "https://schema.org/",
    "arrayShape": "cr:arrayShape",
    "citeAs": "cr:citeAs",
    "column": "cr:column",
    "conformsTo": "dct:conformsTo",
    "containedIn": "cr:containedIn",
    "cr": "http://mlcommons.org/croissant/",
    "rai": "http://mlcommons.org/croissant/RAI/",
    "data": {"@id": "cr:data", "@type": "@json"},
    "dataType": {"@id": "cr:dataType", "@type": "@vocab"},
    "dct": "http://purl.org/dc/terms/",
    "description": {"@container": "@language"},
    "equivalentProperty": "cr:equivalentProperty",
    "examples": {"@id": "cr:examples", "@type": "@json"},
    "extract": "cr:extract",
    "field": "cr:field",
    "fileProperty": "cr:fileProperty",
    "fileObject": "cr:fileObject",
    "fileSet": "cr:fileSet",
    "format": "cr:format",
    "includes": "cr:includes",
    "isArray": "cr:isArray",
    "isLiveDataset": "cr:isLiveDataset",
    "jsonPath": "cr:jsonPath",
    "key": "cr:key",
    "md5": "cr:md5",
    "name": {"@container": "@language"},
    "parentField": "cr:parentField",
    "path": "cr:path",
    "recordSet": "cr:recordSet",
    "references": "cr:references",
    "regex": "cr:regex",
    "repeated": "cr:repeated",
    "replace": "cr:replace",
    "samplingRate": "cr:samplingRate",
    "sc": "https://schema.org/",
    "separator": "cr:separator",
    "source": "cr:source",
    "subField": "cr:subField",
    "transform": "cr:transform",
}


def croissant(
    domain: Any,
    statement: Mapping[str, Any],
    facts: Facts,
    files: Mapping[str, tuple[int, str]],
    synthetic: str,
    cite: str,
) -> dict[str, Any]:
    """The JSON-LD of a release. files: bytes and SHA-256 by name; synthetic: the file of rows or images."""
    suffix = "." + synthetic.rpartition(".")[2]
    found: dict[str, Any] = {
        "@context": CONTEXT,
        "@type": "sc:Dataset",
        "conformsTo": [CORE, RAI],
        "name": facts.title,
        "description": facts.description or f"Synthetic data. {statement['guarantee']}.",
        "citeAs": cite,
        "version": "1.0.0",
        "isLiveDataset": False,
        "keywords": ["synthetic data", "differential privacy"],
    }
    if facts.date:
        found["datePublished"] = facts.date
    if facts.license:
        found["license"] = facts.license_url or facts.license
    if facts.url:
        found["url"] = facts.url
    if facts.steward:
        found["creator"] = {"@type": "sc:Organization", "name": facts.steward}
    found["distribution"] = [
        {
            "@type": "cr:FileObject",
            "@id": name,
            "name": name,
            "contentUrl": name,
            "contentSize": f"{files[name][0]} B",
            "encodingFormat": MEDIA_TYPES.get("." + name.rpartition(".")[2], "application/octet-stream"),
            "sha256": files[name][1],
        }
        for name in (synthetic, *sorted(set(files) - {synthetic}))
    ]
    if isinstance(domain, Domain) and suffix in (".csv", ".parquet"):
        found["recordSet"] = [
            {
                "@type": "cr:RecordSet",
                "@id": "rows",
                "name": "rows",
                "description": "One row for each synthetic record.",
                "field": [_field(number, column, synthetic) for number, column in enumerate(domain.written)],
            }
        ]
    return found | _responsible(domain, statement, facts)


def _field(number: int, column: Column, synthetic: str) -> dict[str, Any]:
    # Names may hold any sign; the number makes an @id that is an IRI.
    return {
        "@type": "cr:Field",
        "@id": f"rows/{number}",
        "name": column.name,
        "description": f"{column.kind}{', the label' if column.label else ''}",
        "dataType": _type(column),
        "source": {"fileObject": {"@id": synthetic}, "extract": {"column": column.name}},
    }


def _type(column: Column) -> str:
    if isinstance(column, Boolean):
        return "sc:Boolean"
    if isinstance(column, Integer) or getattr(column, "format", None) in EPOCHS:
        return "sc:Integer"
    if isinstance(column, Number):
        return "sc:Float"
    if isinstance(column, Date):
        return "sc:Date"
    return "sc:DateTime" if isinstance(column, Datetime) and not isinstance(column, Identifier) else "sc:Text"


def _responsible(domain: Any, statement: Mapping[str, Any], facts: Facts) -> dict[str, str]:
    """The fields of responsible AI, from public facts alone."""
    unit = str(statement["unit"])
    words = method(statement.get("method")).words
    if statement["private"]:
        sensitive = (
            f"Every row is synthetic and describes no person. {statement['guarantee']}. Values of the private data can "
            "appear by chance; the guarantee bounds what they tell about anyone."
        )
    else:
        sensitive = f"NOT PRIVATE: {statement['guarantee']}. Treat every file as private data."
    named = [column.name for column in domain.written] if isinstance(domain, Domain) else []
    found = {
        "rai:dataCollection": facts.source or "Synthetic data, drawn from a model of private data; source not stated.",
        "rai:dataCollectionType": "Software Collection",
        "rai:dataPreprocessingProtocol": (
            "Private values outside the declared bounds and categories were moved to the nearest declared value or "
            "made missing; identifiers were not learned."
        ),
        "rai:dataManipulationProtocol": f"The method {statement.get('method') or ''} {words}.".replace("  ", " "),
        "rai:dataBiases": (
            "Biases of the private data are reproduced. Noise weighs more on small groups: their shares and "
            "dependences are less accurate than those of large ones."
        ),
        "rai:dataLimitations": (
            "Analyses of synthetic rows as if they were real ones understate uncertainty. Dependences that the method "
            f"did not measure may be missing. The unit of protection is {unit}."
        ),
        "rai:dataUseCases": facts.intended_use or "Not stated by the steward.",
        "rai:personalSensitiveInformation": sensitive,
        "rai:dataReleaseMaintenancePlan": (
            "A further release from the same private data adds to the privacy loss stated here."
        ),
    }
    if named:
        found["rai:dataSocialImpact"] = f"Columns: {', '.join(named)}. Decisions on individuals must not rest on them."
    return found
