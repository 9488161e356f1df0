"""Differentially private synthetic tables in PyTorch, under one audited ledger.

    import dpsynth
    table = dpsynth.Table.read("people.csv", schema="people.yaml")
    fitted = dpsynth.models.MAF().fit(table, dpsynth.Budget(epsilon=1, delta=1e-6))
    fitted.sample(10_000).to_csv("synthetic.csv")

or, from a frame to a frame, `dpsynth.synthesize(people, epsilon=1, schema="people.yaml")`.

The public names: `synthesize`, `TableSynthesizer`, `draft_schema` and `evaluate` (frames in, frames out), `Table` and
`Domain` (data and what is public about them), `Budget` and `RandomGenerators` (the guarantee and the random
generators), `fresh_key` (the secret key by which rows are selected), `models` (the methods), `load` (a saved model),
`noise_multiplier_for` (the noise of DP-SGD for a budget), `DpsynthError`, `__version__`.
"""

from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Any

from dpsynth.errors import DpsynthError

if TYPE_CHECKING:
    from dpsynth import models
    from dpsynth.data.table.domain import Domain
    from dpsynth.data.table.table import Table
    from dpsynth.models.contract.fitted import load
    from dpsynth.privacy.accounting.budget import Budget
    from dpsynth.privacy.accounting.calibration import noise_multiplier_for
    from dpsynth.privacy.noise.random import RandomGenerators, fresh_key
    from dpsynth.score_frame import evaluate
    from dpsynth.synthesis import TableSynthesizer, draft_schema, synthesize

try:
    __version__ = version("dpsynth-torch")
except PackageNotFoundError:  # a source tree on the path, never installed
    __version__ = "0"

__all__ = [
    "Budget",
    "Domain",
    "DpsynthError",
    "RandomGenerators",
    "Table",
    "TableSynthesizer",
    "__version__",
    "draft_schema",
    "evaluate",
    "fresh_key",
    "load",
    "models",
    "noise_multiplier_for",
    "synthesize",
]

# Where each name lives. It is imported when it is first used, so that `import dpsynth` and `--help` take no time.
_PLACES = {
    "Budget": "dpsynth.privacy.accounting.budget",
    "Domain": "dpsynth.data.table.domain",
    "RandomGenerators": "dpsynth.privacy.noise.random",
    "Table": "dpsynth.data.table.table",
    "TableSynthesizer": "dpsynth.synthesis",
    "draft_schema": "dpsynth.synthesis",
    "evaluate": "dpsynth.score_frame",
    "fresh_key": "dpsynth.privacy.noise.random",
    "load": "dpsynth.models.contract.fitted",
    "noise_multiplier_for": "dpsynth.privacy.accounting.calibration",
    "synthesize": "dpsynth.synthesis",
}


def __getattr__(name: str) -> Any:
    if name == "models":
        return import_module("dpsynth.models")
    if name not in _PLACES:
        raise AttributeError(f"module 'dpsynth' has no attribute {name!r}")
    globals()[name] = found = getattr(import_module(_PLACES[name]), name)
    return found


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
