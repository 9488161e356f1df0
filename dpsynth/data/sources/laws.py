"""Rows drawn from a toy law with known truth (dpsynth/data/toy.py)."""

from __future__ import annotations

from dpsynth.data.sources.source import Source
from dpsynth.data.toy import LAWS
from dpsynth.errors import ConfigError


def toy(law: str = "mixed", rows: int = 10_000, holdout: float | None = 0.2, seed: int = 0) -> Source:
    """`rows` rows to train on and a further share of as many to judge with, drawn independently."""
    if law not in LAWS:
        raise ConfigError(f"data.law={law!r} is not one of {', '.join(LAWS)}")
    if isinstance(rows, bool) or not isinstance(rows, int) or rows < 1:
        raise ConfigError(f"data.rows must be a positive whole number, got {rows!r}")
    chosen = LAWS[law]()
    held = chosen.sample(max(1, round(rows * holdout)), [seed, 1]) if holdout else None
    return Source(chosen.sample(rows, [seed, 0]), held, f"toy law '{law}', {rows:,} rows drawn with seed {seed}")
