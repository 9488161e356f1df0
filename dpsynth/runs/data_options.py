"""What the options say about the data: first its public domain, without opening anything; later the rows."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from dpsynth.data import sources
from dpsynth.data.database import Database, DatabaseDomain
from dpsynth.data.database import toy as toy_databases
from dpsynth.data.image.domain import ImageDomain
from dpsynth.data.image.images import Images
from dpsynth.data.selection import Selection, check_rows, limit_probability
from dpsynth.data.sources.databases import declared_database
from dpsynth.data.sources.source import Source, declared, most_rows
from dpsynth.data.sources.toy import DISTRIBUTIONS
from dpsynth.data.table.domain import Domain
from dpsynth.data.table.intake import ColumnIntake
from dpsynth.data.table.table import Table
from dpsynth.errors import ConfigError
from dpsynth.marginals.counting.encoded_files import EncodedFiles
from dpsynth.runs.command_line import texts

ENCODED = "encoded"  # data=encoded: what dpsynth encode has written


def declared_domain(
    data: Mapping[str, Any], columns: Sequence[str] | None = None, neighbours: str = "add_remove"
) -> Domain | ImageDomain | DatabaseDomain:
    """The domain that `opened` will have, from the schema alone.

    `data.n_train` is a public limit, so it lowers the declared number of rows.  Raises `ConfigError` for an
    unknown source or toy distribution, a limit or persons that the relation `neighbours` does not allow, and
    `SchemaError` as `Domain.from_yaml`.
    """
    name = str(data.get("name"))
    if name == ENCODED:
        if columns is not None:
            raise ConfigError("columns: cannot be chosen from encoded files; encode a schema with these columns only")
        return encoded_files(data).domain
    if name not in sources.SOURCES:
        raise ConfigError(f"data.name={name}: not one of {', '.join(sources.SOURCES)}")
    if name == "toy":
        distribution = data.get("distribution", "mixed")
        if distribution not in DISTRIBUTIONS:
            raise ConfigError(f"data.distribution={distribution}: not one of {', '.join(DISTRIBUTIONS)}")
        domain = replace(DISTRIBUTIONS[distribution]().domain, rows=data.get("rows"))
    elif name == "database":
        domain = declared_database(data.get("schema"))
    elif name == "database_toy":
        distribution = data.get("distribution", "clinic")
        if distribution not in toy_databases.DISTRIBUTIONS:
            raise ConfigError(f"data.distribution={distribution}: not one of {', '.join(toy_databases.DISTRIBUTIONS)}")
        domain = toy_databases.DISTRIBUTIONS[distribution]().domain.with_rows(data.get("rows", 10_000))
    elif name in sources.IMAGES:
        domain = sources.image_domain(**data)
    elif data.get("schema") is None and name in ("csv", "parquet"):
        raise ConfigError("data.schema is not set: name a schema file; draft one with: dpsynth schema FILE.csv")
    else:
        domain = declared(data.get("schema"), name)
    limit = data.get("n_train")
    if limit is not None:
        check_rows(limit)
        if neighbours == "add_remove":
            limit_probability(limit, domain.rows)
        rows = min(limit, domain.rows or limit)
        domain = domain.with_rows(rows) if isinstance(domain, DatabaseDomain) else replace(domain, rows=rows)
    if columns is None:
        return domain
    if not isinstance(domain, Domain):
        what = "images, which have none" if isinstance(domain, ImageDomain) else "several tables, with none"
        raise ConfigError(f"columns: data={name} are {what} to choose from")
    return domain.select(columns)


def chosen_columns(value: Sequence[Any] | str | None, data: Mapping[str, Any]) -> list[str] | None:
    """The columns that the option `columns` names: a list, all but some with `-[a, b]`, or None for all.

    data: the options of the data, whose schema has the names.
    """
    if not isinstance(value, str) or not value.lstrip().startswith("-"):
        return texts(value, "columns")
    left_out = texts(value.lstrip()[1:], "columns") or []
    domain = declared_domain(data)
    if not isinstance(domain, Domain):
        what = "images, which have none" if isinstance(domain, ImageDomain) else "several tables, with none"
        raise ConfigError(f"columns: data={data.get('name')} are {what} to choose from")
    names = domain.in_file
    for name in left_out:
        if name not in names:
            raise ConfigError(f"columns={value}: no column '{name}' in the schema; it has {', '.join(names)}")
    if not set(domain.names) - set(left_out):
        raise ConfigError(f"columns={value}: leaves no column to learn")
    return [name for name in names if name not in left_out]


def rows_of_person(data: Mapping[str, Any], neighbours: str = "add_remove") -> int | None:
    """The bound on the rows of a person that the options ask for; None when rows are protected, not persons.

    Raises `ConfigError` for persons under replace_one, or without a bound.
    """
    if data.get("person") is None:
        if data.get("max_rows_per_person") is not None:
            raise ConfigError("data.max_rows_per_person needs data.person, the column that says whose row it is")
        return None
    if neighbours == "replace_one":
        raise ConfigError(
            "data.person needs privacy.neighbours=add_remove: once each person's rows are bounded, the number of "
            "rows is not public, which replace_one takes for granted"
        )
    return most_rows(str(data["person"]), data.get("max_rows_per_person"))


def rows_to_fit(
    data: Mapping[str, Any],
    columns: Sequence[str] | None,
    domain: Domain | ImageDomain | DatabaseDomain,
    selection: Selection,
    log: Callable[[str], object] | None = None,
) -> Table | EncodedFiles | Images | Database:
    """The training rows in `domain`: in memory, or encoded files, of which no row is opened here.

    selection: the secret rule of the run by which its training rows are chosen.
    log: called with a line on the files that were used, once they have been opened.
    """
    if data.get("name") == ENCODED:
        return encoded_files(data)
    source = opened(data, columns, selection)
    if log is not None:
        log(f"Data, read from {source.provenance}")
    rows: Any = source.train  # of the kind that `domain` describes
    return rows if rows.domain == domain else rows.redeclare(domain)


def intake_of(rows: Table | EncodedFiles | Images | Database) -> dict[str, Any]:
    """What reading did to the training rows: counts for every column, private; for `private/intake.json`."""
    if isinstance(rows, Database):
        return {
            "persons": len(rows),
            "rows that were left out": rows.left_out,
            "tables": {name: intake_of(table) for name, table in rows.tables.items()},
        }
    if not isinstance(rows, Table):
        return {}
    return {
        "columns": [column.to_dict() for column in rows.intake.values()],
        "rows without a person, left out": rows.nameless,
        "types": list(rows.changed_types),
        "rows": len(rows),
        "rows that break a constraint": {
            str(rule): int((~rule.satisfied(rows.frame)).sum())
            for rule in rows.domain.constraints
            if not any(rows.domain[name].undeclared for name in rule.names)
        },
    }


def stated_of(report: Mapping[str, Any]) -> list[str]:
    """The lines on values that were changed, for the terminal of the data's own steward."""
    lines = [f"table '{name}', {line}" for name, own in report.get("tables", {}).items() for line in stated_of(own)]
    for name, counts in report.get("rows that were left out", {}).items():
        said = ", ".join(f"{count:,} {what}" for what, count in counts.items())
        lines.append(f"table '{name}': of {said}; both are left out")
    lines += [line for column in report.get("columns", ()) if (line := ColumnIntake(**column).line())]
    lines += report.get("types", ())
    for rule, count in report.get("rows that break a constraint", {}).items():
        if count:
            lines.append(f"constraint '{rule}': {count:,} of {report['rows']:,} rows break it; synthetic rows keep it")
    return lines


def encoded_files(data: Mapping[str, Any]) -> EncodedFiles:
    """The files that data=encoded names; reads their metadata only."""
    for key in data:
        if key not in ("name", "path"):
            raise ConfigError(f"data=encoded has no option '{key}'; its only option is path")
    if not data.get("path"):
        raise ConfigError("data.path is not set: name what dpsynth encode has written")
    return EncodedFiles.open(data["path"])


def opened(data: Mapping[str, Any], columns: Sequence[str] | None = None, selection: Selection | None = None) -> Source:
    """The rows: those of the source, or only the `columns` of them. selection: as in `sources.load`."""
    if data.get("name") == ENCODED:
        raise ConfigError(
            "data=encoded holds codes, not rows to compare with: "
            "evaluate the run with real=... synthetic=RUN/release/synthetic.csv schema=..."
        )
    source = sources.load(selection=selection, **data)
    if columns is None or not isinstance(source.domain, Domain):
        return source
    train, holdout = (rows and rows.select(columns) for rows in (source.train, source.holdout))
    assert train is not None, "every source has rows to train on"
    return Source(train, holdout, source.provenance)
