"""private/config.yaml: the options a run was started with, plain values only.

The file is read again by whoever resumes or evaluates the run, who need not be the one who started it.  So it is
read as data: no interpolation, which could copy a secret of the environment into an option, no alias, no tag, and no
more nesting or text than options have.  The classes it names are checked by `dpsynth.models.contract.registry`.
"""

from collections.abc import Mapping
from typing import Any

import yaml

from dpsynth.data.table.tabular_files import write_text
from dpsynth.errors import ArtifactError, ConfigError, DpsynthError
from dpsynth.runs.command_line import named_file
from dpsynth.runs.options import TrainOptions, typed
from dpsynth.runs.run_folder import RunFolder

LARGEST = 1_048_576  # bytes
DEEPEST = 32  # levels of nesting
GROUPS = ("model", "data")  # of which the names that were chosen are kept


def write(run: RunFolder, options: Mapping[str, Any], chosen: Mapping[str, str]) -> None:
    """Keep the resolved options and the names chosen from the groups of configs/, whole or not at all."""
    # Other letters than ASCII are escaped: left as they are, PyYAML reads some of them as line breaks.
    text = yaml.safe_dump({**options, "chosen": dict(chosen)}, sort_keys=False, allow_unicode=False)
    write_text(run.config, text)


def refuse_interpolation(value: Any, where: str = "", error: type[DpsynthError] = ConfigError) -> None:
    """Refuse a text with `${` anywhere in the options: it could be kept, but not be read again.

    where: what holds `value`, for the message, whose class is `error`.
    """
    if isinstance(value, str) and "${" in value:
        raise error(f"{where}: '{value:.100}' contains ${{, which is not allowed in the options of a run")
    items = value.items() if isinstance(value, Mapping) else enumerate(value) if isinstance(value, list) else ()
    for key, each in items:
        refuse_interpolation(each, f"{where}.{key}".lstrip("."), error)


def read(run: RunFolder) -> dict[str, Any]:
    """The options of `run`, with the key `chosen`.  Raises `ArtifactError` when they are missing or damaged."""
    path = run.config
    try:
        if path.stat().st_size > LARGEST:
            raise ArtifactError(f"{path}: larger than any options; it was not written by train.py")
        content = _plain(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ArtifactError(
            f"{path}: missing, so the real data are not known; "
            "use real=... synthetic=... schema=... to evaluate a release by itself"
        ) from None
    except (yaml.YAMLError, ValueError) as error:
        reason = " ".join(str(error).split())
        raise ArtifactError(f"{path}: not readable ({reason:.200}); damaged, or not written by train.py") from None
    chosen = content.get("chosen") if isinstance(content, dict) else None
    if not isinstance(chosen, dict) or not all(isinstance(chosen.get(group), str) for group in GROUPS):
        raise ArtifactError(f"{path}: lacks the names of model and data; damaged, or not written by train.py")
    refuse_interpolation(content, str(path), ArtifactError)
    if key := named_file(content):
        raise ArtifactError(f"{path}: {key} names a file by @, which train.py never keeps; damaged, or made by others")
    try:
        typed(TrainOptions, {key: value for key, value in content.items() if key != "chosen"})
    except ConfigError as error:
        raise ArtifactError(f"{path}: {error}; damaged, or not written by train.py") from None
    return content


def _plain(text: str) -> Any:
    """YAML of plain values.  Raises `ValueError` for aliases, tags, deep nesting and keys that are not text."""
    depth = 0
    for event in yaml.parse(text, Loader=yaml.SafeLoader):
        if isinstance(event, yaml.AliasEvent):
            raise ValueError(f"line {event.start_mark.line + 1}: an alias")
        if getattr(event, "tag", None) is not None:
            raise ValueError(f"line {event.start_mark.line + 1}: the tag {event.tag:.50}")
        depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        if depth > DEEPEST:
            raise ValueError(f"line {event.start_mark.line + 1}: nested more than {DEEPEST} levels deep")
    content = yaml.load(text, Loader=yaml.SafeLoader)
    _text_keys(content)
    return content


def _text_keys(content: Any) -> None:
    if isinstance(content, dict):
        for key in content:
            if not isinstance(key, str):
                raise ValueError(f"the key {key!r:.50} is not text")
    for each in content.values() if isinstance(content, dict) else content if isinstance(content, list) else ():
        _text_keys(each)
