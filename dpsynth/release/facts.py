"""The public facts of a release that no program can know: title, steward, licence, purpose. A person states them."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, replace
from typing import Any, Self

from dpsynth.errors import ConfigError

_LONGEST = 10_000
_UNPRINTABLE = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029]")


@dataclass(frozen=True)
class Facts:
    """All of it is public and comes from the steward, never from the data. None: not stated.

    Attributes:
        title: Name of the release.
        description: What the table is about, in a few sentences.
        source: The private data it was made from, in words that may be published.
        intended_use: What it is meant for, and what not.
        steward: Who answers for the private data and this release.
        contact: Address of the steward for questions.
        license: SPDX name or URL.
        url: Where the release is published.
        date: Day of the release, ISO 8601.
    """

    title: str = "Differentially private synthetic data"
    description: str | None = None
    source: str | None = None
    intended_use: str | None = None
    steward: str | None = None
    contact: str | None = None
    license: str | None = None
    url: str | None = None
    date: str | None = None

    def __post_init__(self) -> None:
        for each in fields(self):
            value = getattr(self, each.name)
            if value is None and each.name != "title":
                continue
            if not isinstance(value, str) or not value.strip() or len(value) > _LONGEST or _UNPRINTABLE.search(value):
                raise ConfigError(f"{each.name}={value!r:.60}: must be a text of printable signs")
        if self.date is not None:
            try:
                dt.date.fromisoformat(self.date)
            except ValueError:
                raise ConfigError(f"date={self.date}: write YYYY-MM-DD") from None
        if self.url is not None and not re.match(r"https?://", self.url):
            raise ConfigError(f"url={self.url}: must begin with https://")

    def with_(self, changes: Mapping[str, Any]) -> Self:
        """These facts with those of `changes` that are not None."""
        return replace(self, **{key: value for key, value in changes.items() if value is not None})

    def to_dict(self) -> dict[str, str]:
        """What is stated."""
        return {key: value for key, value in asdict(self).items() if value is not None}

    @classmethod
    def from_dict(cls, content: Any) -> Self:
        """The inverse of `to_dict`; keys that are not known are left out."""
        known = {each.name for each in fields(cls)}
        return cls(**{key: value for key, value in dict(content or {}).items() if key in known})

    @property
    def license_url(self) -> str | None:
        """The licence as a URL; SPDX names lead to their page."""
        if self.license is None or re.match(r"https?://", self.license):
            return self.license
        if re.fullmatch(r"[A-Za-z0-9.+-]+", self.license):
            return f"https://spdx.org/licenses/{self.license}.html"
        return None
