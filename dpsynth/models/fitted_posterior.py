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
    """A method adds `_posterior_draws` and `_draw_from` to what `FittedTable` asks for."""

    @abstractmethod
    def _posterior_draws(self, numbers: Sequence[int], generators: Generators) -> Any:
        """Posterior draws, one for each of `numbers`: fresh ones, or those of a list that is kept."""

    @abstractmethod
    def _draw_from(
        self, draws: Any, rows: Sequence[int], generators: Generators, where: Mapping[str, Any]
    ) -> pd.DataFrame:
        """rows[l] records from the l-th of `draws`, in order."""

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
        return [self._set(k, n, generators, given) for k in range(m)]

    def _set(self, k: int, n: int, generators: Generators, given: Mapping[str, Any]) -> Table:
        """n rows from posterior draw k, those that have to be drawn again for a constraint included."""
        points = self._posterior_draws([k], generators)

        def draw(count: int) -> pd.DataFrame:
            return self._draw_from(points, [count], generators, given)

        return Table(self._lawful(draw(n), generators, given, draw), self.domain)
