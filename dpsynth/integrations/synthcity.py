"""A plugin of synthcity, by which its benchmarks and metrics take a method of dpsynth like one of their own.

    from synthcity.plugins import Plugins
    generators = Plugins()
    generators.add("dpsynth", plugin_class(dpsynth.TableSynthesizer))
    model = generators.get("dpsynth", epsilon=1.0, schema="people.yaml", model="aim").fit(loader)
    model.generate(count=1_000)

Guarantee. That of the estimator, for everything that the plugin holds after `fit`, its pickle included. The class that
plugins of synthcity derive from would break it: its `fit` reads the observed values and ranges of the private rows and
keeps them, and its `generate` passes only rows within them. Here it is shown synthetic rows instead, so that its
schema, its encoders and its number of rows follow from what was released, and rows are generated without its filter.

    refused                   why
    no `schema`               the kinds, bounds and categories of columns would be read from private rows
    `cond`                    a condition on private rows that synthcity keeps; `constraints` are met by synthetic rows
    `compress_dataset=True`   writes features computed from private rows into its workspace

Every `fit` spends the whole epsilon anew: a benchmark with `repeats=3`, or a search for hyperparameters, spends it as
often, and so `hyperparameter_space` is empty.
"""

# pyright: reportMissingTypeStubs=false, reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false

from __future__ import annotations

import importlib
import importlib.util
from typing import Any, Protocol

import numpy as np
import pandas as pd

from dpsynth.errors import ConfigError

REFERENCE_ROWS = 1_000  # synthetic rows that synthcity sees as its reference
NAME = "dpsynth"


class Sampled(Protocol):
    """Rows that an estimator drew."""

    def to_pandas(self) -> pd.DataFrame: ...


class Estimator(Protocol):
    """What a plugin is made of, such as `dpsynth.TableSynthesizer`."""

    def fit(self, frame: Any) -> Any: ...

    def sample(self, n: int | None = None, seed: int | None = None) -> Sampled: ...


def plugin_class(estimator: type) -> type:
    """The class of a plugin, for `Plugins().add("dpsynth", ...)`.

    Its arguments are those of the estimator (epsilon, delta, schema, model, person, ...) and those of all plugins
    (random_state, workspace, ...).

    Args:
        estimator: `dpsynth.TableSynthesizer`, or another with its `fit` and `sample`.

    Raises:
        ConfigError: synthcity is not installed.
    """
    if importlib.util.find_spec("synthcity") is None:
        raise ConfigError("synthcity is not installed; run pip install synthcity")
    plugins: Any = importlib.import_module("synthcity.plugins.core.plugin")
    loaders: Any = importlib.import_module("synthcity.plugins.core.dataloader")
    core = ("sampling_patience", "strict", "device", "workspace", "sampling_strategy")

    class DpsynthPlugin(plugins.Plugin):
        """Differentially private rows by a method of dpsynth."""

        def __init__(self, random_state: int = 0, compress_dataset: bool = False, **options: Any) -> None:
            if compress_dataset:
                raise ConfigError("compress_dataset=True would keep features of private rows in the workspace")
            own = {name: options.pop(name) for name in core if name in options}
            super().__init__(random_state=random_state, **own)
            self.estimator: Estimator = estimator(seed=random_state, **options)

        @staticmethod
        def name() -> str:
            return NAME

        @staticmethod
        def type() -> str:
            return "privacy"

        @staticmethod
        def hyperparameter_space(**kwargs: Any) -> list[Any]:
            return []

        def fit(self, X: Any, *args: Any, cond: Any = None, **kwargs: Any) -> Any:
            """Learn from private rows: a frame, or a loader of synthcity for one table."""
            if cond is not None:
                raise ConfigError("cond= would be kept with the plugin; give constraints= to generate")
            loader = loaders.GenericDataLoader(X) if isinstance(X, pd.DataFrame) else X
            if not loader.is_tabular():
                raise ConfigError("dpsynth's plugin learns single tables, not images or time series")
            self.estimator.fit(loader.dataframe())
            rows = self.estimator.sample(REFERENCE_ROWS, self.random_state).to_pandas()
            self.reference = loader.decorate(rows)  # the same roles of columns, synthetic rows
            self.rows = len(self.estimator.sample(None, self.random_state).to_pandas())
            return super().fit(self.reference)

        def _fit(self, X: Any, *args: Any, **kwargs: Any) -> Any:
            return self  # X are synthetic rows

        def generate(
            self, count: int | None = None, constraints: Any = None, random_state: int | None = None, **kwargs: Any
        ) -> Any:
            """Synthetic rows, as a loader.

            Args:
                count: By default the released number of training rows.
                constraints: Of synthcity; rows that do not meet them are drawn again.
                random_state: By default that of the plugin.
            """
            if kwargs.get("cond") is not None:
                raise ConfigError("cond= is not supported: say constraints=")
            if not self.fitted:
                raise ConfigError("not fitted yet: call fit(loader) first")
            wanted = self.rows if count is None else count
            seed, found, held = self.random_state if random_state is None else random_state, list[pd.DataFrame](), 0
            for attempt in range(self.sampling_patience if constraints is not None else 1):
                frame = self.estimator.sample(wanted, _seed(seed, attempt)).to_pandas()
                found.append(frame if constraints is None else constraints.match(frame))
                held += len(found[-1])
                if held >= wanted:
                    break
            if held < wanted and self.strict:
                raise ConfigError(
                    f"constraints: only {held:,} of {wanted:,} rows met them in {self.sampling_patience} draws; ask "
                    "for fewer rows or raise sampling_patience"
                )
            return self.reference.decorate(pd.concat(found, ignore_index=True).head(wanted))

        def _generate(self, count: int, syn_schema: Any, **kwargs: Any) -> Any:
            return self.generate(count)

    return DpsynthPlugin


def _seed(random_state: int, attempt: int) -> int:
    """Seeds of several draws that differ between random states, too."""
    return int(np.random.SeedSequence([random_state, attempt]).generate_state(1)[0])
