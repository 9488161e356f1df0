"""From a private frame to a synthetic one in one call, or by a thin scikit-learn estimator.

    synthetic = dpsynth.synthesize(people, epsilon=1, schema="people.yaml")      # a frame of the same kind
    model = dpsynth.TableSynthesizer(epsilon=1, schema="people.yaml").fit(people)
    model.sample(1_000, where={"age": [20, 30]})

The schema is what the guarantee takes for public. It is never read from the data in silence: without one the call is
refused, and `dpsynth.draft_schema(frame)` writes a draft in which every line is to be checked by a person.
`schema="private"` takes the names and declared types of the columns for public, and nothing else: bounds and categories
are estimated privately, at a tenth of the budget. That is safe without a person's check, where names and types are
public, and costs accuracy.

Every call spends its own epsilon: several calls on the same people add up. `account="FILE"` keeps the sum, and refuses
the call that would exceed it.
"""

# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false

from __future__ import annotations

import inspect
import warnings
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import dpsynth.models
from dpsynth.data.table.domain import Domain
from dpsynth.data.table.draft import draft_frame
from dpsynth.data.table.frames import declared_types, like, to_pandas
from dpsynth.data.table.table import Table
from dpsynth.errors import ConfigError, SchemaError
from dpsynth.integrations.sdv import domain_of, is_metadata
from dpsynth.models.contract.fitted_table import FittedTable
from dpsynth.models.contract.registry import shipped
from dpsynth.models.contract.synthesizer import Synthesizer
from dpsynth.privacy.accounted_run import AccountedRun
from dpsynth.privacy.accounting.account import Account
from dpsynth.privacy.accounting.budget import Budget
from dpsynth.privacy.noise.random import RandomGenerators, fresh_key

PRIVATE = "private"


def draft_schema(frame: Any) -> str:
    """A draft of schema.yaml for a frame, with every guess marked.

    It is read from the data, so it is NOT public until a person has checked it line by line.
    """
    return draft_frame(to_pandas(frame))


def synthesize(frame: Any, epsilon: float = 1.0, schema: Any = None, *, n: int | None = None, **settings: Any) -> Any:
    """A synthetic frame of the kind of `frame` (pandas, polars, pyarrow or duckdb; pyarrow for others).

    Args:
        frame: Private rows: a pandas DataFrame, or anything with `__arrow_c_stream__`.
        epsilon: The budget of this call.
        schema: As of `TableSynthesizer`.
        n: Number of synthetic rows; by default the declared or noisily counted number.
        settings: Further arguments of `TableSynthesizer`: delta, model, person, account, seed, ...

    Raises:
        SchemaError: There is no schema, or it does not fit.
        ConfigError, BudgetError, DataError: As on the command line, in one sentence each.
    """
    model = TableSynthesizer(epsilon, schema=schema, **settings).fit(frame)
    found = like(cast(Any, model.sample(n).to_arrow()), frame)
    if hasattr(found, "attrs"):  # pandas
        found.attrs["privacy"] = model.statement_
    return found


class TableSynthesizer:
    """An estimator with the conventions of scikit-learn: `get_params`, `set_params`, `clone`, `fit`, `sample`.

    Attributes:
        fitted_: The fitted model, after `fit`; public.
        statement_: Its privacy statement.
        schema_: The complete public schema.
    """

    def __init__(
        self,
        epsilon: float = 1.0,
        delta: float = 1e-5,
        *,
        schema: Any = None,
        model: str | Synthesizer = "aim",
        person: str | None = None,
        max_rows_per_person: int | None = None,
        neighbours: str = "add_remove",
        rows: int | None = None,
        account: str | Path | None = None,
        seed: int = 0,
    ) -> None:
        """Nothing is checked before `fit`.

        Args:
            epsilon, delta: The budget of one fit.
            schema: The public schema: a `Domain`, the path of a schema.yaml, a mapping with its keys, SDV metadata (as
                a mapping or object), or "private"; see above.
            model: A method by name, such as "mst", or a recipe.
            person: The column that says whose row it is; it is set aside. Then persons are protected, and
                `max_rows_per_person` must be given.
            max_rows_per_person: Rows that are kept of each person.
            neighbours: "add_remove" or "replace_one".
            rows: A public rough number of rows, where the schema declares none.
            account: The file of the account of the data set (`dpsynth account`), to which each fit is charged; a fit
                that would exceed it is refused.
            seed: Of model and sampling, never of the privacy noise.
        """
        self.epsilon = epsilon
        self.delta = delta
        self.schema = schema
        self.model = model
        self.person = person
        self.max_rows_per_person = max_rows_per_person
        self.neighbours = neighbours
        self.rows = rows
        self.account = account
        self.seed = seed

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """The arguments of the constructor by name."""
        return {
            name: getattr(self, name) for name in inspect.signature(type(self).__init__).parameters if name != "self"
        }

    def set_params(self, **params: Any) -> TableSynthesizer:
        """Change arguments. Raises `ConfigError` for a name that is none."""
        known = self.get_params()
        for name, value in params.items():
            if name not in known:
                raise ConfigError(f"no parameter '{name}'; there are {', '.join(known)}")
            setattr(self, name, value)
        return self

    def __repr__(self) -> str:
        defaults = inspect.signature(type(self).__init__).parameters
        said = [
            f"{key}={value!r:.60}" for key, value in self.get_params().items() if value is not defaults[key].default
        ]
        return f"{type(self).__name__}({', '.join(said)})"

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "fitted_")

    def fit(self, frame: Any, y: None = None) -> TableSynthesizer:
        """Learn from a private frame, once for one budget. y: for pipelines; must be None."""
        if y is not None:
            raise ConfigError("y: the label is a column of the table, marked 'label: true' in the schema")
        if self.person is not None and self.max_rows_per_person is None:
            raise ConfigError(
                "person= needs max_rows_per_person=: how many rows of each person are kept; 1 gives the least noise, "
                "more keeps more of what persons with several rows say"
            )
        if self.person is None and self.max_rows_per_person is not None:
            raise ConfigError("max_rows_per_person= needs person=, the column that says whose row it is")
        budget = Budget(self.epsilon, self.delta, self.neighbours, self.max_rows_per_person)  # type: ignore[arg-type]
        recipe, domain = recipe_of(self.model), schema_of(self.schema, frame, self.person)
        if self.rows is not None:
            domain = replace(domain, rows=self.rows)
        if advice := budget.warn_delta(domain.rows):
            warnings.warn(advice, UserWarning, stacklevel=2)
        if not budget.private:
            warnings.warn("epsilon is infinite: the result is not private", UserWarning, stacklevel=2)
        table = Table(to_pandas(frame), domain, person=self.person)
        if self.person is not None and self.max_rows_per_person is not None:
            table = table.bound_contributions(self.person, self.max_rows_per_person, fresh_key())
        plan = recipe.plan_for(table, budget)
        fitted = recipe.fit(table, plan, RandomGenerators(self.seed), account=self._run())
        assert isinstance(fitted, FittedTable), "learned from a table"
        self.fitted_, self.statement_, self.schema_ = fitted, fitted.statement, fitted.domain
        return self

    def _run(self) -> AccountedRun | None:
        """The entry in the account, named after the method."""
        if self.account is None:
            return None
        return AccountedRun(Account(Path(self.account)), f"{type(recipe_of(self.model)).__name__}, in Python")

    def sample(self, n: int | None = None, seed: int | None = None, where: Mapping[str, Any] | None = None, *,
               given: Any = None) -> Table:  # fmt: skip
        """Synthetic rows, as of `FittedTable.sample`; free of further privacy loss."""
        if not hasattr(self, "fitted_"):
            raise ConfigError("not fitted yet: call fit(frame) first")
        return self.fitted_.sample(n, self.seed if seed is None else seed, where, given=given)


def recipe_of(model: str | Synthesizer) -> Synthesizer:
    """The recipe that a name stands for, with its defaults; a recipe as it is."""
    if isinstance(model, Synthesizer):
        return model
    for name in dpsynth.models.__all__:
        if name.lower() == str(model).lower() and name not in ("Fitted", "Synthesizer", "PixelMAF"):
            return getattr(dpsynth.models, name)()
    raise ConfigError(f"model={model!r}: choose one of {', '.join(shipped(Table))}, or give a recipe of dpsynth.models")


def schema_of(schema: Any, frame: Any, person: str | None = None) -> Domain:
    """The domain that `schema` stands for. Raises `SchemaError` when it is None."""
    if schema is None:
        raise SchemaError(
            "schema=None: the guarantee needs to know what is public, and nothing is read from the data in silence. "
            "Write dpsynth.draft_schema(frame) into a file, check every line of it, and give its path; or say "
            'schema="private" to take only names and types of the columns for public and estimate the rest privately'
        )
    if isinstance(schema, Domain):
        return schema
    if isinstance(schema, str) and schema == PRIVATE:
        found = declared_types(frame)
        return found.select([name for name in found.names if name != person]) if person else found
    if isinstance(schema, (str, Path)):
        return Domain.from_yaml(schema)
    if is_metadata(schema):
        return domain_of(schema)
    if isinstance(schema, Mapping):
        return Domain.from_dict(cast("Mapping[str, Any]", schema))
    raise SchemaError(f"schema: a {type(schema).__name__} is none; give a path, a mapping, a Domain or SDV metadata")
