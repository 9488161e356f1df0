"""Scores of a synthetic frame against a real one, as a frame. They are computed from private rows, and are private."""

# pyright: reportMissingTypeStubs=false

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

import pandas as pd

from dpsynth.data.table.domain import Domain
from dpsynth.data.table.frames import to_pandas
from dpsynth.data.table.table import Table
from dpsynth.errors import ConfigError
from dpsynth.evaluation.suite import Settings
from dpsynth.evaluation.suite import evaluate as all_scores
from dpsynth.metrics.table.validity import coerced
from dpsynth.synthesis import schema_of

COLUMNS = ("value", "low", "high", "real", "real_low", "real_high", "better", "group", "meaning")


def evaluate(
    real: Any, synthetic: Any, schema: Any = None, *, holdout: Any = None, settings: Settings | None = None
) -> pd.DataFrame:
    """All scores, one row each, indexed by name. PRIVATE: they are not covered by any guarantee.

    Args:
        real: Real rows the model was fitted to: a `Table`, or a frame with a schema.
        synthetic: Synthetic rows: a `Table` or frame, or a list of several drawn from one model.
        schema: As of `synthesize`; not needed when `real` or `synthetic` is a `Table`.
        holdout: Real rows the model has not seen, if there are any.
        settings: What is computed; by default the quick suite.

    Returns:
        A frame with the columns value, low and high (interval of one more draw), real, real_low and real_high (what a
        fresh real sample scores), better, group and meaning; `reason` where a score does not apply.
    """
    draws: list[Any] = list(cast(Any, synthetic)) if isinstance(synthetic, (list, tuple)) else [synthetic]
    if not draws:
        raise ConfigError("synthetic: give at least one table")
    domain = _domain([real, *draws], schema)
    frames = [coerced(_frame(each), domain) for each in draws]
    train, unseen = _real(real, domain), None if holdout is None else _real(holdout, domain)
    scores = all_scores(train, unseen, frames, domain, settings or Settings())
    rows = [
        (s.value, s.low, s.high, s.real_baseline, s.real_baseline_low, s.real_baseline_high, s.better, s.group,
         s.meaning if s.value is not None else s.reason)
        for s in scores
    ]  # fmt: skip
    return pd.DataFrame(rows, columns=list(COLUMNS), index=pd.Index([s.name for s in scores], name="score"))


def _domain(tables: Sequence[Any], schema: Any) -> Domain:
    if schema is None:
        for each in tables:
            if isinstance(each, Table):
                return each.domain
    found = schema_of(schema, tables[0])
    if found.undeclared:
        raise ConfigError("schema: scores need declared bounds and categories; give the schema of the release")
    return found


def _frame(table: Any) -> pd.DataFrame:
    return table.frame if isinstance(table, Table) else to_pandas(table)


def _real(table: Any, domain: Domain) -> pd.DataFrame:
    if isinstance(table, Table) and table.domain == domain:
        return table.frame
    return Table.as_it_stands(_frame(table), domain).frame
