"""The options of the four commands as typed records: a key that nobody reads cannot be given.

Each record lists exactly the keys of its YAML file, so a misspelt or unknown key is an error that names it.
"""

import os
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import MISSING, dataclass, field, fields, is_dataclass
from types import UnionType
from typing import Any, TypeVar, get_args, get_origin, get_type_hints

from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import MissingMandatoryValue, OmegaConfBaseException

from dpsynth.data.table.csv_dialect import CsvDialect
from dpsynth.errors import ConfigError
from dpsynth.models.contract import registry
from dpsynth.models.contract.synthesizer import BudgetFractions, Synthesizer
from dpsynth.privacy.accounting.budget import Budget
from dpsynth.runs.command_line import texts
from dpsynth.training import TrainerSettings

Record = TypeVar("Record")
PATHS = {  # options that name files or folders, in whatever group
    "run", "runs", "out", "real", "holdout", "synthetic", "schema", "path", "root", "file", "source", "inception",
    "account",
}  # fmt: skip
ATTACKS = ("white_box", "release_only")
FEWEST_RUNS = 80  # of which the attacker of release_only learns from 32; no claim is near with fewer


@dataclass(frozen=True)
class PrivacyOptions:
    """configs/privacy: the guarantee, and how the budget is divided before the model gets the rest."""

    epsilon: float
    delta: float
    neighbours: str = "add_remove"
    noise: str = "secure"
    dry_run: bool = False
    account: str | None = None
    discovery_fraction: float = 0.1
    count_fraction: float = 0.01

    def budget(self, rows_per_person: int | None = None) -> Budget:
        if self.neighbours not in ("add_remove", "replace_one"):
            raise ConfigError(f"privacy.neighbours={self.neighbours}: choose add_remove or replace_one")
        return Budget(self.epsilon, self.delta, self.neighbours, rows_per_person)

    def fractions(self) -> BudgetFractions:
        return BudgetFractions(count=self.count_fraction, discovery=self.discovery_fraction)


@dataclass(frozen=True)
class TrainOptions:
    """configs/train.yaml"""

    model: dict[str, Any]
    data: dict[str, Any]
    privacy: PrivacyOptions
    trainer: TrainerSettings
    columns: list[str] | str | None = None
    seed: int = 0
    out_format: str = "csv"
    n: int | None = None
    run: str | None = None
    overwrite: bool = False
    resume: bool = False

    def __post_init__(self) -> None:
        for name in ("n", "seed"):
            value = getattr(self, name)
            if value is not None and value < 0:
                raise ConfigError(f"{name}={value}: must be a whole number, 0 or more")
        if self.out_format not in ("csv", "parquet", "duckdb"):
            raise ConfigError(f"out_format={self.out_format}: choose csv or parquet, or duckdb for a database")

    def recipe(self) -> Synthesizer:
        """The synthesizer that `model` describes."""
        return recipe_of(self.model)


def recipe_of(model: Mapping[str, Any]) -> Synthesizer:
    """The synthesizer that a file of configs/model describes."""
    if "_target_" not in model:
        raise ConfigError("model: its file in configs/model needs a _target_ that names the class of the method")
    return registry.build(model, Synthesizer, "model")


@dataclass(frozen=True)
class GenerateOptions:
    """configs/generate.yaml"""

    run: str
    n: int | None = None
    seed: int | None = None
    out: str | None = None
    format: str | None = None
    where: dict[str, Any] | str | None = None
    out_escape: bool = False
    overwrite: bool = False


@dataclass(frozen=True)
class EvaluateOptions:
    """configs/evaluate.yaml"""

    metrics: dict[str, Any] = field(default_factory=dict)
    run: str | None = None
    runs: list[str] | str | None = None
    real: str | None = None
    holdout: str | None = None
    synthetic: list[str] | str | None = None
    schema: str | None = None
    delimiter: str = ","
    encoding: str = "utf-8"
    quote: str = '"'
    header: bool = True
    comment: str | None = None
    skip_rows: int = 0
    ignore: list[str] | str = field(default_factory=list)
    figures: str = "all"
    out: str | None = None
    progress: str = "auto"

    def dialect(self) -> CsvDialect:
        """How the CSV files are written."""
        return CsvDialect(
            self.delimiter,
            self.encoding,
            self.quote,
            self.header,
            self.comment,
            self.skip_rows,
            tuple(texts(self.ignore, "ignore") or ()),
        )


@dataclass(frozen=True)
class AuditOptions:
    """configs/audit.yaml"""

    model: dict[str, Any]
    data: dict[str, Any]
    privacy: PrivacyOptions
    all: bool = False
    attacks: list[str] = field(default_factory=lambda: ["white_box", "release_only"])
    rows: int | None = None
    runs: int = 20_000
    minutes: float = 2.0
    confidence: float = 0.95
    processes: int = 2
    small: bool = True
    seed: int | None = None
    progress: str = "auto"
    out: str | None = None
    settings: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for attack in self.attacks:
            if attack not in ATTACKS:
                raise ConfigError(f"attacks={attack}: choose from {', '.join(ATTACKS)}")
        if not 0.5 <= self.confidence < 1:
            raise ConfigError(f"confidence={self.confidence}: must be at least 0.5 and below 1")
        for name in ("runs", "minutes", "processes"):
            if not getattr(self, name) > 0:
                raise ConfigError(f"{name}={getattr(self, name)}: must be above 0")
        if self.runs < FEWEST_RUNS:
            raise ConfigError(f"runs={self.runs}: must be at least {FEWEST_RUNS}")
        if self.rows is not None and self.rows < 1:
            raise ConfigError(f"rows={self.rows}: must be at least 1")


def resolved(config: DictConfig) -> dict[str, Any]:
    """`config` as plain values, interpolations resolved.  Raises `ConfigError` naming the key that is missing."""
    try:
        content: Any = OmegaConf.to_container(config, resolve=True, throw_on_missing=True)
    except OmegaConfBaseException as error:
        key = getattr(error, "full_key", None) or "an option"
        if isinstance(error, MissingMandatoryValue):
            raise ConfigError(f"{key} is missing: say {key}=...") from None
        raise ConfigError(f"{key}: {str(error).splitlines()[0]}") from None
    return _at_home(content)


def _at_home(options: dict[str, Any]) -> dict[str, Any]:
    """The options with a leading ~ of every path replaced by the home folder, wherever the path stands."""

    def expanded(value: Any) -> Any:
        if isinstance(value, list):
            return [expanded(each) for each in value]
        return os.path.expanduser(value) if isinstance(value, str) else value

    return {
        key: _at_home(value)
        if isinstance(value, dict) and key != "where"
        else expanded(value)
        if key in PATHS
        else value
        for key, value in options.items()
    }


def typed(kind: type[Record], config: DictConfig | Mapping[str, Any]) -> Record:
    """`config` as the record `kind`: every key known, every value of its type.

    Raises `ConfigError` naming the key.
    """
    return _record(kind, resolved(config) if isinstance(config, DictConfig) else config, "")


def _record(kind: Any, content: Any, where: str) -> Any:
    hints = get_type_hints(kind)
    if not isinstance(content, Mapping):
        raise ConfigError(f"{where.rstrip('.')}: needs the keys {', '.join(hints)}")
    known = [item.name for item in fields(kind)]
    for key in content:
        if key not in known:
            raise ConfigError(f"unknown option {where}{key}; there are {', '.join(where + each for each in known)}")
    needed = [item.name for item in fields(kind) if item.default is MISSING and item.default_factory is MISSING]
    for key in needed:
        if key not in content:
            raise ConfigError(f"{where}{key} is missing")
    return kind(**{key: _value(hints[key], value, where + key) for key, value in content.items()})


def _value(hint: Any, value: Any, key: str) -> Any:
    """`value` as the type `hint`: a record, a plain type of YAML, or None where that is allowed."""
    if is_dataclass(hint):
        return _record(hint, value, f"{key}.")
    allowed = [get_origin(each) or each for each in (get_args(hint) if get_origin(hint) is UnionType else (hint,))]
    if float in allowed and isinstance(value, int | str) and not isinstance(value, bool):
        with suppress(ValueError, OverflowError):
            value = float(value)
    if str in allowed and isinstance(value, int | float) and not isinstance(value, bool):
        value = str(value)  # a folder may be called 7
    if (isinstance(value, bool) and bool not in allowed) or not isinstance(value, tuple(allowed)):
        wanted = " or ".join("null" if each is type(None) else _WORDS[each] for each in allowed)
        raise ConfigError(f"{key}={value}: must be {wanted}")
    return value


_WORDS = {
    bool: "true or false",
    int: "a whole number",
    float: "a number",
    str: "text",
    dict: "a mapping {key: value}",
    list: "a list [a, b]",
}
