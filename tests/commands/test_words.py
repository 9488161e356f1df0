"""The words of the `dpsynth` command: every command leads to a function, and misspelt ones to a hint."""

import sys
from importlib import import_module

import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser

from dpsynth.commands import __main__ as program
from dpsynth.commands.entry import COMMANDS
from dpsynth.runs.command_line import quoted


@pytest.mark.parametrize("command", program.WORDS)
def test_every_word_leads_to_a_function_and_stands_in_the_help(command):
    function = getattr(import_module(f"dpsynth.{program.WORDS[command]}"), command.replace("-", "_"))
    assert callable(function)
    assert f"\n  {command} " in program.USAGE


@pytest.mark.parametrize("command", [*COMMANDS, "compare"])
def test_other_commands_stand_in_the_help(command):
    assert f"\n  {command} " in program.USAGE


@pytest.mark.parametrize(
    ("command", "hint"), [("trian", "did you mean train?"), ("compar", "did you mean compare?"), ("xyzzy", "there are")]
)
def test_a_misspelt_command(monkeypatch, capsys, command, hint):
    monkeypatch.setattr(sys, "argv", ["dpsynth", command])
    with pytest.raises(SystemExit) as end:
        program.main()
    assert end.value.code == 2
    assert hint in capsys.readouterr().err


@pytest.mark.parametrize("runs", [["outputs/*"], ["a", "b c"], ['it"s', "back\\slash", "comma,"]])
def test_runs_to_compare_arrive_as_they_were_typed(runs):
    words = program.compared([*runs, "metrics=quick", "--help"])
    assert words[1:] == ["metrics=quick", "--help"]
    [override] = OverridesParser.create().parse_overrides(quoted(words[:1]))
    assert [str(getattr(each, "text", each)) for each in override.value()] == runs
