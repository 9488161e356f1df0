"""`--help` of a command: a description, then its options in their groups, each with its default and its comment.

What is shown is composed like a run, so `train.py model=datalens --help` shows the options of that model, and options
that are given show their given values. Nothing of the library is imported, so it is there at once.
"""

import shutil
import sys
import textwrap
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import yaml

from dpsynth.commands.config_files import Comments, config_folder
from dpsynth.runs.command_line import quoted

FLAGS = ("-h", "--help")
WIDEST = 120  # columns of text
NAMES = 36  # columns of the names of options


def wants_help(arguments: Sequence[str]) -> bool:
    """Whether the words of a command line ask for help."""
    return any(word in FLAGS for word in arguments)


def print_help(command: str, program: str, arguments: Sequence[str]) -> None:
    """Print the help of `command` (train, generate, evaluate, audit) as the other words of its line compose it.

    Exits with code 2 and one line where these words cannot be composed.
    """
    from hydra import compose, initialize_config_dir
    from hydra.errors import HydraException
    from omegaconf import OmegaConf
    from omegaconf.errors import OmegaConfBaseException

    own, words = _own_folder(arguments)
    try:
        with initialize_config_dir(str(config_folder()), version_base="1.3", job_name=command):
            path = [f"hydra.searchpath=[file://{own.resolve()}]"] if own else []
            config = compose(command, [*path, *quoted(words)], return_hydra_config=True)
    except (HydraException, OmegaConfBaseException) as error:
        from dpsynth.commands.launch import report_mistake

        report_mistake(error, command)
        sys.exit(2)
    header = str(config.hydra.help.header)
    choices = {group: config.hydra.runtime.choices[group] for group in _groups(command)}
    options: Any = OmegaConf.to_container(config)
    del options["hydra"]
    folders = [*([own] if own else []), config_folder()]
    with suppress(BrokenPipeError):  # the reader has seen enough
        print("\n".join(_page(command, program, header, options, choices, folders)), flush=True)


def _own_folder(arguments: Sequence[str]) -> tuple[Path | None, list[str]]:
    """The folder of --config-dir, and the words that are options."""
    own: Path | None = None
    words: list[str] = []
    rest = list(arguments)
    while rest:
        word = rest.pop(0)
        flag, sign, value = word.partition("=")
        if flag in ("--config-dir", "-cd"):
            own = Path(value if sign else rest.pop(0) if rest else ".")
        elif not word.startswith("-"):
            words.append(word)
    return own, words


def _groups(command: str) -> list[str]:
    """The groups of a command, in the order of its file."""
    content = yaml.safe_load((config_folder() / f"{command}.yaml").read_text(encoding="utf-8"))
    named = (group for each in content["defaults"] if isinstance(each, dict) for group in each)
    return [group for group in named if not group.startswith("override ")]


def _page(
    command: str,
    program: str,
    header: str,
    options: Mapping[str, Any],
    choices: Mapping[str, str | None],
    folders: Sequence[Path],
) -> Iterator[str]:
    """The lines of the page. choices: the file chosen of each group, None for none."""
    width = min(WIDEST, shutil.get_terminal_size((100, 24)).columns)
    front = Comments.read(config_folder() / f"{command}.yaml")
    comments = dict(front.of)
    descriptions: dict[str, str] = {}
    for group, choice in choices.items():
        for found in _read(group, choice, folders):
            whole = group not in options  # a file that sets options of other groups
            comments |= {key if whole else f"{group}.{key}": text for key, text in found.of.items()}
            descriptions.setdefault(group, " ".join(found.head))
    yield from textwrap.wrap(header, width)
    yield from ("", f"usage: {program} [GROUP=NAME] [OPTION=VALUE] ...", "")
    yield from front.head
    plain = {key: value for key, value in options.items() if key not in choices}
    yield from ("", "Options")
    yield from _lines(plain, comments, "", width)
    for group, choice in choices.items():
        names = sorted({path.stem for folder in folders for path in (folder / group).glob("*.yaml")})
        yield from ("", f"{group}={choice or 'null'}")
        if descriptions.get(group) or comments.get(group):
            text = descriptions.get(group) or comments[group]
            yield from textwrap.wrap(text, width, initial_indent="  ", subsequent_indent="  ")
        if len(names) > 1 or choice is None:
            yield from textwrap.wrap(
                f"choices: {', '.join(names)}", width, initial_indent="  ", subsequent_indent="    "
            )
        if isinstance(options.get(group), Mapping):
            yield from _lines(options[group], comments, f"{group}.", width)


def _read(group: str, choice: str | None, folders: Sequence[Path]) -> Iterator[Comments]:
    """The comments of the file of a group, and those of the files beside it that it builds on."""
    for folder in folders:
        path = folder / group / f"{choice}.yaml"
        if choice is not None and path.is_file():
            yield Comments.read(path)
            content = yaml.safe_load(path.read_text(encoding="utf-8")) or {}
            for each in content.get("defaults") or () if isinstance(content, dict) else ():
                if isinstance(each, str) and each != "_self_":
                    yield from _read(group, each, folders)
            return


def _lines(options: Mapping[str, Any], comments: Mapping[str, str], prefix: str, width: int) -> Iterator[str]:
    for key, value in options.items():
        path = f"{prefix}{key}"
        if key == "_target_":
            continue
        if isinstance(value, Mapping) and value:
            yield from ("", *_entry(f"  {path}", comments.get(path, ""), width))
            yield from _lines(value, comments, f"{path}.", width)
        else:
            yield from _entry(f"  {path}={_shown(value)}", comments.get(path, ""), width)


def _entry(name: str, comment: str, width: int) -> Iterator[str]:
    """An option and its comment, side by side where the name leaves room."""
    if not comment:
        yield name
        return
    below = len(name) > NAMES
    indent = " " * (NAMES + 2)
    lines = textwrap.wrap(comment, width, initial_indent=indent, subsequent_indent=indent)
    if below:
        yield name
    else:
        lines[0] = f"{name:<{NAMES + 2}}{lines[0].lstrip()}"
    yield from lines


def _shown(value: Any) -> str:
    """A value as it is written on the command line."""
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    if isinstance(value, list):
        return f"[{', '.join(_shown(each) for each in value)}]"
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{key}: {_shown(each)}" for key, each in value.items()) + "}"
    if value == "":
        return "''"
    return f"{value:g}" if isinstance(value, float) else str(value)
