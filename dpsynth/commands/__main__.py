"""The `dpsynth` command: schema, encode, account, audit and datalens-flags, and the three scripts under one name."""

import sys
from importlib import import_module

from dpsynth.commands.entry import COMMANDS, speak_any_locale, start

USAGE = """usage: dpsynth COMMAND ...

  schema FILE                draft a schema.yaml from a CSV or Parquet file
  encode FILES OUT schema=   a table of any size as one file of codes
  account FILE               what all runs on one data set have cost together, and what is left
  datalens-flags --FLAG ...  the options of the DataLens program as overrides of train
  train model=... data=...   train a synthesizer and release a synthetic table
  generate run=...           more synthetic rows from a finished run
  evaluate run=...           score synthetic rows against real ones
  audit model=... data=...   attack a method, and print what the attack proves beside what is claimed; --all for all

train, generate and evaluate are also the commands dpsynth-train, ... and the scripts train.py, ...
Add --help to a command to see its options."""


def main() -> None:
    speak_any_locale()
    command, arguments = (sys.argv[1], sys.argv[2:]) if len(sys.argv) > 1 else ("--help", [])
    if command in ("-h", "--help"):
        print(USAGE)
    elif command in ("schema", "encode", "account", "datalens-flags"):
        from dpsynth.commands.launch import MISTAKES, ending, report_mistake

        try:
            with ending():
                name = command.replace("-", "_")
                package = "reproductions" if command == "datalens-flags" else "commands"
            getattr(import_module(f"dpsynth.{package}.{name}"), name)(arguments)
        except MISTAKES as error:
            report_mistake(error, command)
            sys.exit(2)
    elif command in COMMANDS:
        sys.argv = [f"dpsynth {command}", *arguments]
        start(command, sys.argv[0])
    else:
        print(
            f"error: no command {command!r}; there are schema, encode, account, datalens-flags, train, generate, "
            "evaluate and audit",
            file=sys.stderr,
        )
        sys.exit(2)


if __name__ == "__main__":
    main()
