"""Where the scripts and the installed commands begin: help is shown at once, the rest is imported for a run."""

import sys
from importlib import import_module
from pathlib import Path

from dpsynth.commands.option_help import print_help, wants_help
from dpsynth.runs.command_line import speak_any_locale

COMMANDS = ("train", "generate", "evaluate", "audit")


def start(command: str, program: str | None = None) -> None:
    """Run one of `COMMANDS` on the words of the command line. program: how it was called, for its help."""
    speak_any_locale()
    if wants_help(sys.argv[1:]):
        print_help(command, program or Path(sys.argv[0]).name, sys.argv[1:])
    else:
        import_module(f"dpsynth.commands.{command}").main()


def train() -> None:
    start("train")


def generate() -> None:
    start("generate")


def evaluate() -> None:
    start("evaluate")
