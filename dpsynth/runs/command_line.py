"""Names and paths on the command line: any text arrives as it was typed, whatever Hydra's grammar makes of its signs.

Options that name columns, categories, classes or files are handed to Hydra as quoted texts. Those that hold several
are then read as YAML in which every scalar stays the text that was typed (1.0, null and 00 are three names), or from a
file: where=@conditions.yaml.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import yaml
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.errors import HydraException

from dpsynth.errors import ConfigError

_SEVERAL = ("where", "columns", "ignore", "data.classes", "data.ignore")  # a mapping or a list, read here
_CSV = ("delimiter", "quote", "comment", "encoding")
_SINGLE = (
    *("run", "runs", "real", "synthetic", "holdout", "schema", "out", *_CSV),
    *(f"data.{key}" for key in ("path", "schema", "root", "person", "holdout", *_CSV)),
)
_DIALECT = re.compile(r"\bdata\.(delimiter|encoding|quote|header|comment|skip_rows|ignore|invalid|unreadable)=")
FIXED = "hydra.job.config.override_dirname.exclude_keys"  # options that all runs of a sweep share
_PLAIN = re.compile(r"[A-Za-z0-9_./-]*")  # what Hydra takes as it is


def quoted(words: Sequence[str]) -> list[str]:
    """The words of the command line, with the values of options that name things as texts in Hydra's quotes.

    Sweeps (-m) are left alone, since commas mean something else there.
    """
    if {"-m", "--multirun"} & set(words):
        return list(words)
    return [_quoted(word) for word in words]


def fixed(words: Sequence[str]) -> list[str]:
    """The options to which the words of a sweep give a single value, unlike privacy.epsilon=0.3,1,3."""
    parser, found = OverridesParser.create(), []
    for word in words:
        with suppress(HydraException):  # reported by Hydra itself
            parsed = parser.parse_overrides([word] if "=" in word else [])
            found += [str(each.key_or_group) for each in parsed if not each.is_sweep_override()]
    return found


def swept(overrides: Sequence[str], fixed: Sequence[str]) -> str:
    """The options by which one run of a sweep differs from the others, as the end of a folder's name.

    overrides: of this run, such as privacy.epsilon=0.3. fixed: options that all runs share. `model` and `data` are left
    out: they begin the name.
    """
    pairs = [word.lstrip("+~").partition("=")[::2] for word in overrides]
    pairs = [(key, value) for key, value in pairs if key not in (*fixed, "model", "data", "run")]
    lasts = [key.rpartition(".")[2] for key, _ in pairs]
    names = [
        last if lasts.count(last) == 1 else key.replace(".", "_") for (key, _), last in zip(pairs, lasts, strict=True)
    ]
    parts = (f"{name}-{value}" for name, (_, value) in zip(names, pairs, strict=True))
    return "".join(f"-{re.sub(r'[^A-Za-z0-9_.]+', '-', part).strip('-')}" for part in parts)


def _quoted(word: str) -> str:
    key, sign, value = word.partition("=")
    name = key.lstrip("+")
    if not sign or value in ("", "null") or (value[0] == value[-1] and value[0] in "'\"" and len(value) > 1):
        return word
    listed = value[0] == "[" and value[-1] == "]"  # several paths
    if name in _SEVERAL or (name in _SINGLE and not listed and not _PLAIN.fullmatch(value)):
        inner = re.sub(r"(\\*)'", lambda match: match[1] * 2 + r"\'", value)
        inner = re.sub(r"(\\+)$", lambda match: match[1] * 2, inner)
        return f"{key}='{inner}'"
    return word


def as_called(text: str, command: str) -> str:
    """A message on how files are written, with its options as the command calls them: train has data.delimiter=, the
    others delimiter=, and schema --delimiter.
    """
    if command == "schema":
        text = _DIALECT.sub(lambda option: f"--{option[1].replace('_', '-')} ", text)
        text = re.sub(r"--ignore '\[(.*?)\]'", r"--ignore '\1'", text)
        return text.replace("--header false", "--no-header").replace("--header true", "--header")
    return _DIALECT.sub(r"\1=", text) if command in ("evaluate", "encode") else text


def mapping(value: Mapping[str, Any] | str | None, key: str) -> dict[str, Any] | None:
    """The mapping that an option holds, as such, as YAML text or in a file named by @."""
    if value is None or isinstance(value, Mapping):
        return None if value is None else dict(value)
    found = _read(value, key)
    if not isinstance(found, dict):
        raise ConfigError(f"{key}={value}: must be a mapping, such as {key}='{{sex: Female}}', or @FILE.yaml")
    return found


def texts(value: Sequence[Any] | str | None, key: str) -> list[str] | None:
    """The list of names that an option holds, as such, as YAML text or in a file named by @."""
    if value is None:
        return None
    found = _read(value, key) if isinstance(value, str) else list(value)
    if isinstance(found, str):
        found = [found]
    if not isinstance(found, list) or any(isinstance(item, (dict, list)) for item in found):
        raise ConfigError(f"{key}={value}: must be a list of names, such as {key}='[\"a, b\", c]', or @FILE.yaml")
    return [str(item) for item in found]


def data_options(data: Mapping[str, Any]) -> dict[str, Any]:
    """The options of `data` with their lists of names read."""
    found = dict(data)
    for key in ("classes", "ignore"):
        if isinstance(found.get(key), str):
            found[key] = texts(found[key], f"data.{key}")
    if isinstance(found.get("path"), str) and found["path"].startswith("@"):
        found["path"] = texts(found["path"], "data.path")
    return found


def with_lists(options: Mapping[str, Any]) -> dict[str, Any]:
    """All options of a run with those read that may stand in a file named by @, so that the file is not needed again.

    The options are kept, and read again by whoever resumes the run: what is kept never names a file to be read so.
    """
    found, data = dict(options), options.get("data")
    if isinstance(data, Mapping):
        found["data"] = data_options(data)
    columns = found.get("columns")
    if isinstance(columns, str) and columns.lstrip().startswith("-"):  # all but these
        found["columns"] = "-" + json.dumps(texts(columns.lstrip()[1:], "columns"), ensure_ascii=False)
    elif isinstance(columns, str):
        found["columns"] = texts(columns, "columns")
    return found


def named_file(options: Mapping[str, Any]) -> str | None:
    """The first option that `with_lists` would read from a file named by @; None when there is none."""
    data = options.get("data")
    values = {"columns": options.get("columns")}
    if isinstance(data, Mapping):
        values |= {f"data.{key}": data.get(key) for key in ("classes", "ignore", "path")}
    return next(
        (key for key, value in values.items() if isinstance(value, str) and value.lstrip("- ").startswith("@")), None
    )


def _read(text: str, key: str) -> Any:
    if not text.startswith("@"):  # names are UTF-8, also where the locale took the command line for ASCII
        with suppress(UnicodeError):  # a name that was typed in Python
            text = text.encode("ascii", "surrogateescape").decode("utf-8")
    if text.startswith("@"):
        try:
            text = Path(text[1:]).expanduser().read_text(encoding="utf-8-sig")
        except (OSError, UnicodeDecodeError) as error:
            raise ConfigError(f"{key}={text}: cannot be read: {getattr(error, 'strerror', None) or error}") from None
    try:
        return yaml.load(text, Loader=yaml.BaseLoader)
    except yaml.YAMLError as error:
        problem = " ".join(str(getattr(error, "problem", None) or error).split())
        raise ConfigError(
            f"{key}={text}: not valid YAML ({problem}); put names with signs such as , : {{ [ # into double quotes"
        ) from None


def speak_any_locale() -> None:
    """Let the terminal escape the signs that its locale does not have, instead of ending the command."""
    for stream in (sys.stdout, sys.stderr):
        with suppress(AttributeError, OSError, ValueError):  # replaced by something else, or closed
            stream.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]
