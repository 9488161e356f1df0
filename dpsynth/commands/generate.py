"""generate.py: more synthetic rows from a finished run.  Post-processing: it costs no privacy budget."""

from itertools import count
from pathlib import Path

from omegaconf import DictConfig

from dpsynth.commands.command_line import mapping
from dpsynth.commands.launch import launch
from dpsynth.commands.options import GenerateOptions, typed
from dpsynth.data import datalens_files, pe_files
from dpsynth.data.image_domain import ImageDomain
from dpsynth.data.images import Images
from dpsynth.data.table import Table
from dpsynth.errors import ConfigError
from dpsynth.models.artifact import find_release, load

FILES = {Table: (".csv", ".parquet"), Images: (".npz", ".png", "")}  # by suffix; "" is a folder of single images
FORMS = (*datalens_files.FORMS, pe_files.FORM)


def main() -> None:
    launch("generate", generate)


def generate(config: DictConfig) -> None:
    options = typed(GenerateOptions, config)
    release = find_release(options.run)
    fitted = load(release)
    kind = Images if isinstance(fitted.domain, ImageDomain) else Table
    if options.format is not None:
        check_format(options.format, options.out, kind)
    out = free_file(release, kind.suffix) if options.out is None else Path(options.out)
    if out.suffix not in FILES[kind]:
        files = " or ".join(f"FILE{suffix}" if suffix else "FOLDER" for suffix in FILES[kind])
        raise ConfigError(f"out={out}: write {files}")
    if out.exists() and not options.overwrite:
        raise ConfigError(f"out={out}: exists already; choose another name, or say overwrite=true")

    rows = fitted.sample(options.n, seed=options.seed, where=mapping(options.where, "where"))
    if options.format is None or isinstance(rows, Table):
        rows.write(out)
    elif options.format == pe_files.FORM:
        pe_files.write(rows, out)
    else:
        datalens_files.write(rows, out, options.format, fitted.statement.get("target", {}).get("epsilon"))
    print(f"{len(rows)} synthetic {kind.unit}: {out}")


def check_format(form: str, out: str | None, kind: type[Table] | type[Images]) -> None:
    """`ConfigError` for a format that is not known, not of images, or without a place to write into."""
    if form not in FORMS:
        raise ConfigError(f"format={form}: choose {' or '.join(FORMS)}, or leave it out")
    if kind is Table:
        raise ConfigError(f"format={form}: is for images; leave it out for a table")
    if form == pe_files.FORM:
        if out is None or Path(out).suffix != ".npz":
            raise ConfigError(f"format={form}: writes one file; name it with out=FILE.npz")
    elif out is None or Path(out).suffix:
        raise ConfigError(f"format={form}: writes several files; name a folder with out=FOLDER")


def free_file(release: Path, suffix: str) -> Path:
    """The first of synthetic-2.csv, synthetic-3.csv, ... that is not there yet."""
    return next(path for number in count(2) if not (path := release / f"synthetic-{number}{suffix}").exists())


if __name__ == "__main__":
    main()
