"""generate.py: more synthetic rows from a finished run.  Post-processing: it costs no privacy budget."""

from itertools import count
from pathlib import Path

from omegaconf import DictConfig

from dpsynth.commands.launch import launch
from dpsynth.commands.options import GenerateOptions, typed
from dpsynth.errors import ConfigError
from dpsynth.models.artifact import find_release, load


def main() -> None:
    launch("generate", generate)


def generate(config: DictConfig) -> None:
    options = typed(GenerateOptions, config)
    release = find_release(options.run)
    out = free_file(release) if options.out is None else Path(options.out)
    if out.suffix not in (".csv", ".parquet"):
        raise ConfigError(f"out={out}: write FILE.csv or FILE.parquet")
    if out.exists() and not options.overwrite:
        raise ConfigError(f"out={out}: exists already; choose another name, or say overwrite=true")

    fitted = load(release)
    table = fitted.sample(options.n, seed=options.seed, where=options.where)
    table.write(out)
    print(f"{len(table)} synthetic rows: {out}")


def free_file(release: Path) -> Path:
    """The first of synthetic-2.csv, synthetic-3.csv, ... that is not there yet."""
    return next(path for number in count(2) if not (path := release / f"synthetic-{number}.csv").exists())


if __name__ == "__main__":
    main()
