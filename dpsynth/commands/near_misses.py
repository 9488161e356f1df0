"""What somebody may have meant by an option, a choice or a flag that does not exist.

An option is looked for by its last name in all groups (`epsilon` is privacy.epsilon), by its ends within a group
(`model.steps` is model.training.steps), and by its spelling.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from dpsynth.commands.config_files import config_folder

MOST = 4  # suggestions
CLOSE = 0.75  # similarity of two spellings, from 0 to 1
VALUED_FLAGS = ("--config-dir", "-cd", "--config-path", "-cp", "--config-name", "-cn", "--package", "-p", "--info",
                "-i", "--cfg", "-c", "--experimental-rerun")  # fmt: skip
FLAGS = ("--help", "-h", "--hydra-help", "--version", "--resolve", "--run", "-r", "--multirun", "-m",
         "--shell-completion", "-sc")  # fmt: skip


def meant(key: str, paths: Iterable[str]) -> list[str]:
    """The options among `paths` that `key` may stand for, most probable first; none when nothing is near.

    Args:
        key: A dotted name that is no option.
        paths: The dotted names of all options.
    """
    known = list(dict.fromkeys(paths))
    words, last = key.split("."), key.rpartition(".")[2]
    inside = [path for path in known if "." in key and path.startswith(f"{words[0]}.") and _last(path) == last]
    same = [path for path in known if _last(path) == last]
    spelt = difflib.get_close_matches(key, known, MOST, CLOSE)
    near = set(difflib.get_close_matches(last, {_last(path) for path in known}, 2, CLOSE))
    alike = [path for path in known if _last(path) in near and (len(words) == 1 or path.startswith(f"{words[0]}."))]
    for found in (inside, same, spelt, alike):
        if found:
            return found[:MOST]
    return []


def did_you_mean(found: Sequence[str], value: str | None = None) -> str:
    """`; did you mean a=1 or b=1?`, or nothing where nothing was found."""
    if not found:
        return ""
    shown = [each if value is None else f"{each}={value}" for each in found]
    return f"; did you mean {', '.join(shown[:-1])}{' or ' if len(shown) > 1 else ''}{shown[-1]}?"


def option_hint(command: str, key: str, words: Sequence[str]) -> str:
    """What to say after `unknown option KEY` of the command line `words`."""
    value = next((w.partition("=")[2] for w in words if w.lstrip("+~").partition("=")[0] == key and "=" in w), None)
    return did_you_mean(meant(key, paths_of(command, words)), value)


def choice_hint(choice: str, options: Sequence[str]) -> str:
    """What to say of a choice of a group that does not exist, such as model/mafs or data/people.csv."""
    group, _, name = choice.partition("/")
    if group == "data" and name.lower().endswith((".csv", ".tsv", ".txt", ".parquet")):
        source = "parquet" if name.lower().endswith(".parquet") else "csv"
        return f"; a file of your own: data={source} data.path={name} data.schema=SCHEMA.yaml"
    near = difflib.get_close_matches(name.lower(), options, 1, 0.5)
    hint = did_you_mean([f"{group}={each}" for each in near]) or "."
    return hint + (f" There are {', '.join(options)}" if options else "")


def flag_mistake(command: str, words: Sequence[str]) -> str | None:
    """What is wrong with the first word that begins like a flag and is none; None when all are known."""
    rest = list(words)
    while rest:
        word = rest.pop(0)
        name, sign, value = word.partition("=")
        if name in VALUED_FLAGS:
            if not sign and rest:
                rest.pop(0)
        elif name.startswith("-") and len(name) > 1 and name not in FLAGS:
            if not sign and rest and "=" not in rest[0] and not rest[0].startswith("--"):
                value = rest[0]
            key = name.lstrip("-").replace("-", "_")
            paths = paths_of(command, [each for each in words if "=" in each and not each.startswith("-")])
            exact = [path for path in paths if path == key]
            hint = did_you_mean(exact or meant(key, paths), value or "...")
            return f"{word}: options are written without dashes, as NAME=VALUE{hint}"
    return None


def paths_of(command: str, words: Sequence[str]) -> list[str]:
    """The dotted names of all options of a command, with the choices of groups that its `words` make."""
    import yaml

    folder = config_folder()
    content: Any = yaml.safe_load((folder / f"{command}.yaml").read_text(encoding="utf-8"))
    found = [key for key in content if key not in ("defaults", "hydra")]
    given = dict(word.lstrip("+").split("=", 1) for word in words if "=" in word)
    for each in content["defaults"]:
        for group, choice in each.items() if isinstance(each, dict) else ():
            if group.startswith("override "):
                continue
            found.append(group)
            chosen = str(given.get(group, choice))
            path = folder / group / f"{chosen}.yaml"
            if not path.is_file() or path.parent != folder / group:
                path = folder / group / f"{choice}.yaml"
            if group != "reproduction" and path.is_file():
                found += _flat(yaml.safe_load(path.read_text(encoding="utf-8")), f"{group}.")
    return found


def _flat(options: Mapping[str, Any], prefix: str) -> list[str]:
    found: list[str] = []
    for key, value in options.items():
        if key not in ("_target_", "defaults", "name"):
            found.append(f"{prefix}{key}")
            found += _flat(value, f"{prefix}{key}.") if isinstance(value, Mapping) else []
    return found


def _last(path: str) -> str:
    return path.rpartition(".")[2]
