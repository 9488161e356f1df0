"""The `dpsynth` command: every command, and the three scripts, under one name."""

import difflib
import re
import sys
from importlib import import_module

from dpsynth.commands.entry import COMMANDS, start
from dpsynth.runs.command_line import speak_any_locale

USAGE = """usage: dpsynth COMMAND ...

  ui                         the way from a file to a release on a local web page
  schema FILE                draft a schema.yaml from a CSV or Parquet file
  plan schema.yaml           what each method will be worth at each epsilon, without opening any data
  choose-epsilon [EPSILON]   what an epsilon lets an attacker learn, as a table and a picture
  train model=... data=...   train a synthesizer and release a synthetic table
  generate run=...           more synthetic rows from a finished run
  evaluate run=...           score synthetic rows against real ones
  compare RUN RUN ...        several runs side by side, scored first if need be
  describe RUN --steward ... write title, steward, licence, use into the documents of a release
  sign RUN --key FILE        sign a release as its steward
  verify RUN                 check a release: checksums, signature, epsilon by other accountants
  fit-marginals FILE RUN     a synthetic table from noisy marginals measured elsewhere
  marginals RUN              the noisy counts a model was fitted to, with intervals
  audit model=... data=...   attack a method, and print what the attack proves beside what is claimed; --all for all
  account FILE               what all runs on one data set have cost together, and what is left
  encode FILES OUT schema=   a table of any size as one file of codes
  download NAME              a public data set, or how to get it by hand
  datalens-flags --FLAG ...  the options of the DataLens program as overrides of train

train, generate and evaluate are also the commands dpsynth-train, ... and the scripts train.py, ...
Add --help to a command to see its options."""

# Commands that read their own words, and the modules that hold them.
WORDS = {
    "ui": "commands.ui",
    "schema": "commands.schema",
    "plan": "commands.plan",
    "encode": "commands.encode",
    "account": "commands.account",
    "download": "commands.download",
    "datalens-flags": "reproductions.datalens_flags",
    "choose-epsilon": "commands.choose_epsilon",
    "describe": "commands.release_documents",
    "sign": "commands.release_documents",
    "verify": "commands.release_documents",
    "fit-marginals": "commands.fit_marginals",
    "marginals": "commands.release_documents",
}


def main() -> None:
    speak_any_locale()
    command, arguments = (sys.argv[1], sys.argv[2:]) if len(sys.argv) > 1 else ("--help", [])
    if command in ("-h", "--help"):
        print(USAGE)
    elif command in WORDS:
        from dpsynth.commands.launch import MISTAKES, ending, report_mistake

        try:
            with ending():
                getattr(import_module(f"dpsynth.{WORDS[command]}"), command.replace("-", "_"))(arguments)
        except MISTAKES as error:
            report_mistake(error, command)
            sys.exit(2)
    elif command == "compare":
        sys.argv = ["dpsynth compare", *compared(arguments)]
        start("evaluate", sys.argv[0])
    elif command in COMMANDS:
        sys.argv = [f"dpsynth {command}", *arguments]
        start(command, sys.argv[0])
    else:
        known = [*WORDS, *COMMANDS, "compare"]
        near = difflib.get_close_matches(command, known, 1)
        hint = f"did you mean {near[0]}?" if near else f"there are {', '.join(sorted(known))}"
        print(f"error: no command {command!r}; {hint}", file=sys.stderr)
        sys.exit(2)


def compared(arguments: list[str]) -> list[str]:
    """The words of `compare` as words of evaluate: those that are no options name runs."""
    runs = [word for word in arguments if "=" not in word and not word.startswith("-")]
    # In Hydra's grammar a backslash is itself, except before a quotation mark or the end.
    escaped = (re.sub(r'(\\+)(?="|$)', r"\1\1", run).replace('"', '\\"') for run in runs)
    quoted = ",".join(f'"{run}"' for run in escaped)
    return [*([f"runs=[{quoted}]"] if runs else []), *(word for word in arguments if word not in runs)]


if __name__ == "__main__":
    main()
