"""A fitted table model that holds a posterior, and can show it: whole sets of rows from posterior draws.

`sample` makes one table that is as good as it can be. `sets` makes several, each from a posterior draw of its own,
which carry what is not known about the law from set to set: what Rubin's rules need (`dpsynth.inference.combine`).
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from dpsynth.data.table import Table
from dpsynth.errors import ConfigError
from dpsynth.models.fitted import Generators
from dpsynth.models.fitted_table import FittedTable


class FittedPosterior(FittedTable):
    """A method adds `_draw_from` to what `FittedTable` asks for."""

    @abstractmethod
    def _draw_from(
        self, rows: Sequence[int], generators: Generators, where: Mapping[str, Any], first: int = 0
    ) -> pd.DataFrame:
        """rows[l] records from the l-th of len(rows) posterior draws, in order. first: the number of the first draw,
        for posteriors that keep a list of draws."""

    def sets(
        self, m: int, n: int | None = None, seed: int | None = None, where: Mapping[str, Any] | None = None
    ) -> list[Table]:
        """m synthetic tables of n rows, each from a posterior draw of its own, for analyses that are combined.

        n, seed, where: as in `sample`. The privacy cost is that of the model, however many sets are drawn.
        """
        n = self.rows if n is None else n
        if isinstance(m, bool) or not isinstance(m, int) or m < 1:
            raise ConfigError(f"sets={m!r}: the number of sets must be a whole number, 1 or more")
        if n is None or isinstance(n, bool) or not isinstance(n, int) or n < 0:
            raise ConfigError(f"n={n!r}: the number of rows must be a whole number, 0 or more")
        generators, given = Generators.seeded(seed), self._legal(where or {})
        tables = []
        for k in range(m):
            frame = self._draw_from([n], generators, given, first=k)
            tables.append(Table(self._lawful(frame, generators, given), self.domain))
        return tables
