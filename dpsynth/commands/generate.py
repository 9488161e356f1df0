"""generate.py: more synthetic rows from a finished run.  Post-processing: it costs no privacy budget."""

import os
import tempfile
from contextlib import suppress
from itertools import count
from pathlib import Path

from omegaconf import DictConfig

from dpsynth.commands.launch import launch
from dpsynth.data.database import Database, files
from dpsynth.data.image.images import Images
from dpsynth.data.table.table import Table
from dpsynth.errors import ConfigError
from dpsynth.models.contract.fitted import find_release, load
from dpsynth.models.contract.synthesizer import kind_of
from dpsynth.reproductions import datalens_files, pe_files
from dpsynth.runs.command_line import mapping
from dpsynth.runs.options import GenerateOptions, typed
from dpsynth.runs.run_folder import run_being_read

# By suffix; "" is a folder of single images, or of a file for each table.
FILES = {Table: (".csv", ".parquet"), Images: (".npz", ".png", ""), Database: ("",)}
FORMS = (*datalens_files.FORMS, pe_files.FORM)
KINDS = {"table": Table, "image": Images, "database": Database}


def main() -> None:
    launch("generate", generate)


def generate(config: DictConfig) -> None:
    options = typed(GenerateOptions, config)
    with run_being_read(options.run):
        release = find_release(options.run)
        fitted = load(release)
        kind = KINDS[kind_of(fitted.domain)]
        if options.format is not None:
            check_format(options.format, options.out, kind)
        out = None if options.out is None else Path(options.out)
        if out is not None and out.suffix not in FILES[kind]:
            files = " or ".join(f"FILE{suffix}" if suffix else "FOLDER" for suffix in FILES[kind])
            raise ConfigError(f"out={out}: write {files}")
        if out is not None and out.exists() and not options.overwrite:
            raise ConfigError(f"out={out}: exists already; choose another name, or say overwrite=true")

        as_csv = options.format in (None, "csv") if kind is Database else out is not None and out.suffix == ".csv"
        if options.out_escape and not as_csv:
            raise ConfigError("out_escape=true: writes a CSV file for spreadsheets; name it with out=FILE.csv")

        rows = fitted.sample(options.n, seed=options.seed, where=mapping(options.where, "where"))
        if isinstance(rows, Database):
            out = write_database(rows, release, out, options.format or "csv", options.out_escape)
        elif out is None:
            out = added(rows, release)
        elif isinstance(rows, Table):
            rows.write(out, options.out_escape)
        elif options.format is None:
            rows.write(out)
        elif options.format == pe_files.FORM:
            pe_files.write(rows, out)
        else:
            datalens_files.write(rows, out, options.format, fitted.statement.get("target", {}).get("epsilon"))
    print(f"{len(rows)} synthetic {kind.unit}: {out}")


def check_format(form: str, out: str | None, kind: type[Table] | type[Images] | type[Database]) -> None:
    """`ConfigError` for a format that is not known, not of this kind, or without a place to write into."""
    if kind is Database:
        files.check_form(form)
        return
    if form not in FORMS:
        raise ConfigError(f"format={form}: choose {' or '.join(FORMS)}, or leave it out")
    if kind is Table:
        raise ConfigError(f"format={form}: is for images; leave it out for a table")
    if form == pe_files.FORM:
        if out is None or Path(out).suffix != ".npz":
            raise ConfigError(f"format={form}: writes one file; name it with out=FILE.npz")
    elif out is None or Path(out).suffix:
        raise ConfigError(f"format={form}: writes several files; name a folder with out=FOLDER")


def write_database(rows: Database, release: Path, out: Path | None, form: str, escape: bool) -> Path:
    """Write a database into `out`, which it replaces, or as the first of synthetic-2, ... of the release.

    The folder appears whole. `ConfigError` for a folder that is no database and would be replaced.
    """
    beside = release.parent if out is None and (release.parent / "private").is_dir() else (out or release / "x").parent
    if out is not None and out.exists() and not (out / files.SCHEMA_FILE).is_file():
        raise ConfigError(f"out={out}: is not the folder of a database, so it is not overwritten; choose another name")
    beside.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".generate-", dir=beside) as folder:
        whole = rows.write(Path(folder) / "synthetic", form, escape)
        if out is not None:
            if out.exists():
                os.replace(out, Path(folder) / "replaced")
            os.replace(whole, out)
            return out
        for number in count(2):
            path = release / f"synthetic-{number}"
            with suppress(OSError):  # somebody else's folder of that name
                os.rename(whole, path)
                return path
    raise AssertionError("unreachable: there is always another number")


def added(rows: Table | Images, release: Path) -> Path:
    """Write `rows` into the release as the first of synthetic-2.csv, synthetic-3.csv, ... that is not there yet.

    It is written beside the release and appears whole under a name that no other process has taken.
    """
    beside = release.parent if (release.parent / "private").is_dir() else release
    with tempfile.TemporaryDirectory(prefix=".generate-", dir=beside) as folder:
        whole = rows.write(Path(folder) / f"synthetic{rows.suffix}")
        for number in count(2):
            path = release / f"synthetic-{number}{rows.suffix}"
            try:
                os.link(whole, path)  # unlike a rename, never replaces a file
            except FileExistsError:
                continue
            except OSError:  # a file system without links
                if path.exists():
                    continue
                os.replace(whole, path)
            return path
    raise AssertionError("unreachable: there is always another number")


if __name__ == "__main__":
    main()
