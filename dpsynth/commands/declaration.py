"""What the data options declare before any data are opened: public domain and number of rows."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from dpsynth.data.domain import Domain
from dpsynth.data.sources import SOURCES
from dpsynth.data.sources.digits import DOMAIN as DIGITS
from dpsynth.data.sources.source import declared
from dpsynth.data.toy import LAWS
from dpsynth.errors import ConfigError


def declared_domain(data: Mapping[str, Any]) -> Domain:
    """The domain that `sources.load(**data)` will have, from the schema alone.

    `data.n_train` is a public limit, so it lowers the declared number of rows.  Raises `ConfigError` for an
    unknown source or toy law, and `SchemaError` as `Domain.from_yaml`.
    """
    name = str(data.get("name"))
    if name not in SOURCES:
        raise ConfigError(f"data.name={name}: not one of {', '.join(SOURCES)}")
    if name == "toy":
        law = data.get("law", "mixed")
        if law not in LAWS:
            raise ConfigError(f"data.law={law}: not one of {', '.join(LAWS)}")
        return replace(LAWS[law]().domain, rows=data.get("rows"))
    if name in ("csv", "parquet") and data.get("schema") is None:
        raise ConfigError(
            "data.schema is not set: name a schema file; draft one with: dpsynth schema FILE.csv"
        )
    domain = DIGITS if name == "digits" else declared(data.get("schema"), name)
    limit = data.get("n_train")
    if isinstance(limit, int) and limit > 0:
        domain = replace(domain, rows=min(limit, domain.rows or limit))
    return domain
