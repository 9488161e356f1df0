"""What is evaluated: synthetic tables or images, and the real ones they are compared with, in one domain.

Either a finished run, whose private/config.yaml names its data, or any files. Tables are evaluated as they stand:
values outside the domain are not refused, they are read as near as can be and counted against the table. Images are
.npz files; their size and classes are those of the real ones.
"""

import hashlib
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from dpsynth.data.database import Database, DatabaseDomain
from dpsynth.data.database.files import DUCKDB_FILE
from dpsynth.data.image.domain import ImageDomain
from dpsynth.data.image.images import Images
from dpsynth.data.selection import Selection
from dpsynth.data.table import tabular_files
from dpsynth.data.table.csv_dialect import CsvDialect
from dpsynth.data.table.domain import Domain
from dpsynth.data.table.schema import parse_yaml
from dpsynth.data.table.table import Table
from dpsynth.errors import ConfigError, DataError, SchemaError
from dpsynth.metrics.table.validity import coerced
from dpsynth.models.contract.fitted import Fitted, find_release, load
from dpsynth.privacy.noise.random import fresh_key
from dpsynth.runs import kept_options
from dpsynth.runs.command_line import data_options
from dpsynth.runs.data_options import chosen_columns, opened
from dpsynth.runs.options import EvaluateOptions
from dpsynth.runs.run_folder import RunFolder
from dpsynth.runs.streamed_data import are_long, is_long, of_sample, sample_of_files, sampled


@dataclass(frozen=True)
class EvaluationInputs:
    """What is evaluated and what is known about it.

    raw        the synthetic tables as their files hold them, images or databases; one or several draws
    sampled    of which tables only random rows are compared, and of how many
    fitted     the model, None for tables made elsewhere; more draws come from it while `more_draws` is set
    out        the private folder for what is written
    names      what was compared, for people: run, model, data, ... or the names of the files
    digests    sha256 of the files that were read: equal digests and settings give equal scores
    """

    train: Table | Images | Database
    holdout: Table | Images | Database | None
    raw: tuple[pd.DataFrame, ...] | tuple[Images, ...] | tuple[Database, ...]
    domain: Domain | ImageDomain | DatabaseDomain
    out: Path
    names: Mapping[str, Any]
    digests: Mapping[str, str]
    sampled: Mapping[str, str] = field(default_factory=dict[str, str])
    fitted: Fitted | None = None
    more_draws: bool = False

    @property
    def statement(self) -> Mapping[str, Any] | None:
        """The privacy statement of the run; None for tables made elsewhere."""
        return self.fitted.statement if self.fitted else None

    @property
    def real(self) -> Table | Images | Database:
        """Real rows to draw pictures of: those the model has not seen, where there are any."""
        return self.train if self.holdout is None else self.holdout

    def tables(self, draws: int, seed: int) -> list[pd.DataFrame]:
        """At least one synthetic table: those of the files, and up to `draws` of the same size from the model."""
        assert isinstance(self.domain, Domain), "asked for tables only"
        tables = [coerced(frame, self.domain) for frame in self.raw if isinstance(frame, pd.DataFrame)]
        return tables + [rows.frame for rows in self._more(draws, len(tables[0]), seed)]

    def images(self, draws: int, rows: int | None, seed: int) -> list[Images]:
        """As `tables`, of images; further draws have at most `rows`."""
        found = [images for images in self.raw if isinstance(images, Images)]
        return found + self._more(draws, min(len(found[0]), rows or len(found[0])), seed)

    def databases(self, draws: int, seed: int) -> list[Database]:
        """As `tables`, of databases."""
        found = [database for database in self.raw if isinstance(database, Database)]
        return found + self._more(draws, len(found[0]), seed)

    def _more(self, draws: int, rows: int, seed: int) -> list[Any]:
        """Further draws from the model, until there are `draws` with those of the files."""
        if self.fitted is None or not self.more_draws:
            return []
        seeds = [np.random.SeedSequence([seed, k]) for k in range(len(self.raw), draws)]  # unlike any release's
        return [self.fitted.sample(rows, seed=int(each.generate_state(1)[0])) for each in seeds]


def inputs_of(options: EvaluateOptions) -> EvaluationInputs:
    """What the options name: a run, or files."""
    return inputs_of_run(options) if options.run else inputs_of_files(options)


def inputs_of_run(options: EvaluateOptions) -> EvaluationInputs:
    """A finished run against the data its private/config.yaml names."""
    for name in ("real", "holdout", "schema"):
        if getattr(options, name) is not None:
            raise ConfigError(f"{name}: a run brings its own; give either run= or real= and synthetic=")
    assert options.run is not None, "called for a run"
    release = find_release(options.run)
    run = RunFolder(release.parent)
    kept = kept_options.read(run)
    fitted = load(release)
    files = _files(options.synthetic or synthetic_of(release), fitted.domain)
    selection = Selection(run.kept_key(), kept["privacy"].get("neighbours", "add_remove"))
    data = data_options(kept["data"])
    columns = chosen_columns(kept.get("columns"), data)
    said, dialect = dict[str, str](), options.dialect() if options.synthetic else CsvDialect()
    source: Any = sampled(data, columns, selection, said) if is_long(data) else opened(data, columns, selection)
    raw = _read(files, fitted.domain, dialect, said)
    out = Path(options.out) if options.out else run.private
    return EvaluationInputs(
        train=source.train.redeclare(fitted.domain),
        holdout=None if source.holdout is None else source.holdout.redeclare(fitted.domain),
        raw=raw,
        domain=fitted.domain,
        out=_usable(out),
        names={
            "run": str(run.path),
            **facts_of(kept, fitted.statement),
            "real data": source.provenance,
            **said,
        },
        digests=digests_of(release, files),
        sampled=said,
        fitted=fitted,
        more_draws=options.synthetic is None,
    )


def inputs_of_files(options: EvaluateOptions) -> EvaluationInputs:
    """Synthetic tables or images made anywhere against real ones."""
    if options.real is not None and _declares_database(options.schema):
        return _inputs_of_databases(options)
    pictured = str(options.real).endswith(Images.suffix)
    for name in ("real", "synthetic") if pictured else ("real", "synthetic", "schema"):
        if getattr(options, name) is None:
            raise ConfigError(
                f"{name}= is missing; give run=FOLDER, real=A.csv synthetic=C.csv schema=S.yaml, or of images "
                "real=A.npz synthetic=C.npz"
            )
    assert options.real is not None, "checked above"
    assert options.synthetic is not None, "checked above"
    said = dict[str, str]()
    train, holdout = _real_images(options) if pictured else _real_tables(options, said)
    files = tabular_files.find(options.synthetic)
    raw = _read(files, train.domain, options.dialect(), said)
    return EvaluationInputs(
        train=train,
        holdout=holdout,
        raw=raw,
        domain=train.domain,
        out=_usable(Path(options.out or "evaluation")),
        names={"real": options.real, "holdout": options.holdout, "synthetic": options.synthetic, **said},
        digests={str(file): digest(file) for file in files},
        sampled=said,
    )


def _declares_database(schema: str | None) -> bool:
    """Whether a schema file speaks of several tables."""
    path = Path(schema or "").expanduser()
    if not path.is_file():
        return False
    with suppress(SchemaError, UnicodeDecodeError):  # told where the schema is read
        return "tables" in parse_yaml(path.read_text(encoding="utf-8-sig"), path.name)
    return False


def _inputs_of_databases(options: EvaluateOptions) -> EvaluationInputs:
    """Databases made anywhere: folders, SQLite or DuckDB files."""
    if options.synthetic is None:
        raise ConfigError("synthetic= is missing; name the folder or file of the synthetic database")
    domain = DatabaseDomain.from_yaml(str(options.schema))
    found = [
        None if not path else _database(Path(path), domain, options.dialect())
        for path in (options.real, options.holdout)
    ]
    train, holdout = found
    assert train is not None, "called for a real database"
    files = _files(options.synthetic, domain)
    return EvaluationInputs(
        train=train,
        holdout=holdout,
        raw=tuple(_database(file, domain, options.dialect()) for file in files),
        domain=domain,
        out=_usable(Path(options.out or "evaluation")),
        names={"real": options.real, "holdout": options.holdout, "synthetic": options.synthetic},
        digests={str(file): digest(file) for file in files},
    )


def _files(path: str | Path | list[str], domain: Domain | ImageDomain | DatabaseDomain) -> list[Path]:
    """The files that are evaluated, of a database its folder or file."""
    if not isinstance(domain, DatabaseDomain):
        return tabular_files.find(path)
    return [Path(each).expanduser() for each in (path if isinstance(path, list) else [path])]


def _database(path: Path, domain: DatabaseDomain, dialect: CsvDialect) -> Database:
    """A database as it stands; which rows are left out beyond a limit is drawn anew."""
    inside = path / DUCKDB_FILE
    return Database.read(inside if inside.is_file() else path, domain, fresh_key(), **dialect.options)


def _real_tables(options: EvaluateOptions, said: dict[str, str]) -> tuple[Table, Table | None]:
    domain = Domain.from_yaml(str(options.schema))
    if domain.undeclared:
        names = ", ".join(column.name for column in domain.undeclared)
        raise ConfigError(f"schema={options.schema}: to compare tables, declare the bounds or categories of {names}")
    assert options.real is not None, "checked before"
    found = (
        _as_it_stands(each, domain, options.dialect(), said, name) if each else None
        for name, each in (("real", options.real), ("held-out", options.holdout))
    )
    train, holdout = found
    assert train is not None, "checked before"
    return train, holdout


def _as_it_stands(path: str, domain: Domain, dialect: CsvDialect, said: dict[str, str], name: str) -> Table:
    """A real table that is evaluated as its file is, whatever its values."""
    return Table.as_it_stands(_frame(path, domain, dialect, said, f"{name} rows"), domain)


def _frame(path: str | Path, domain: Domain, dialect: CsvDialect, said: dict[str, str], name: str) -> pd.DataFrame:
    """A table with exactly the columns of the domain, values as the file has them; of a long one, a sample.

    said: gets a line under `name` where rows were left out.
    """
    if are_long(path):
        sample = sample_of_files(path, dialect, domain)
        if sample.partial:
            said[name] = of_sample(sample)
        frame = sample.frame()
    else:
        frame = tabular_files.read(path, dialect, domain.in_file)
        tabular_files.match(frame, domain.names, None, dialect.delimiter, f"'{path}'", domain.set_aside)
    if not len(frame):
        raise DataError(f"'{path}': a header but no rows")
    return frame.loc[:, list(domain.names)]


def _real_images(options: EvaluateOptions) -> tuple[Images, Images | None]:
    if options.schema is not None:
        raise ConfigError("schema: images have none; their size and classes are those of the real ones")
    assert options.real is not None, "checked before"
    train = Images.read(options.real)
    return train, Images.read(options.holdout, train.domain) if options.holdout else None


def facts_of(kept: Mapping[str, Any], statement: Mapping[str, Any]) -> dict[str, Any]:
    """Model, data, budget and seed of a run, for headers and comparison tables."""
    target = statement.get("target", {})
    chosen = kept.get("chosen", {})
    return {
        "model": chosen.get("model", "unknown"),
        "data": chosen.get("data", "unknown"),
        "epsilon": target.get("epsilon"),
        "delta": target.get("delta"),
        "seed": kept.get("seed"),
    }


def synthetic_of(release: Path) -> Path:
    """The file of synthetic rows or images that the run wrote."""
    found = (release / f"synthetic{suffix}" for suffix in (Images.suffix, ".parquet", Database.suffix))
    return next((path for path in found if path.exists()), release / f"synthetic{Table.suffix}")


def digests_of(release: Path, files: list[Path] | None = None) -> dict[str, str]:
    """sha256 of the files of a run that its scores depend on; model.json holds those of the model's other files."""
    files = files or [synthetic_of(release)]
    return {path.name: digest(path) for path in (release / "model.json", *files)}


def digest(path: Path) -> str:
    """sha256 of a file, read in pieces, or of all files of a folder."""
    if path.is_dir():
        files = sorted(file for file in path.rglob("*") if file.is_file())
        inside = [f"{file.relative_to(path)} {digest(file)}" for file in files]
        return hashlib.sha256("\n".join(inside).encode()).hexdigest()
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _read(
    files: list[Path], domain: Domain | ImageDomain | DatabaseDomain, dialect: CsvDialect, said: dict[str, str]
) -> tuple[pd.DataFrame, ...] | tuple[Images, ...] | tuple[Database, ...]:
    """Every file as a table, images or a database of its own; `DataError` for one without any. said: as of `_frame`."""
    if isinstance(domain, DatabaseDomain):
        return tuple(_database(file, domain, dialect) for file in files)
    if isinstance(domain, Domain):
        return tuple(_frame(file, domain, dialect, said, f"synthetic rows of {file.name}") for file in files)
    found = tuple(Images.read(file, domain) for file in files)
    for file, images in zip(files, found, strict=True):
        if not len(images):
            raise DataError(f"'{file}': holds no images")
    return found


def _usable(out: Path) -> Path:
    """The folder to write into, checked before any work is done."""
    if out.exists() and not out.is_dir():
        raise ConfigError(f"out={out}: is a file; name a folder")
    return out
