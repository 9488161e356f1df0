import csv
import importlib.util
import io

import pytest
from rich.console import Console

from dpsynth.errors import ConfigError
from dpsynth.training.progress import Bar, CsvLog, Lines, Public, Quiet, Together, listen

FIGURES = {"loss": 1.23456789012345, "noise_to_signal": Public(0.5)}
VALUES = {"loss": 1.23456789012345, "noise_to_signal": 0.5}


def follow(listener, first=0, steps=4):
    listener.start("training", first, steps)
    for step in range(first + 1, steps + 1):
        listener.update(step, FIGURES)
    listener.stop()


def test_lines_are_plain_and_end_with_the_last_step():
    out = io.StringIO()
    follow(Lines(out, seconds=0))
    lines = out.getvalue().splitlines()
    assert len(lines) == 4
    assert lines[-1] == "training: step 4/4, 0 s left, noise-to-signal 0.5"
    assert "\x1b" not in out.getvalue()


def test_a_figure_is_private_unless_its_author_says_otherwise():
    for private, wanted in ((False, ""), (True, ", anything 3")):
        out = io.StringIO()
        lines = Lines(out, seconds=0, private=private)
        lines.start("training", 0, 1)
        lines.update(1, {"anything": 3.0})
        assert out.getvalue() == f"training: step 1/1, 0 s left{wanted}\n"
        console = Console(file=io.StringIO(), force_terminal=True, width=120)
        bar = Bar(console, private)
        bar.start("training", 0, 1)
        bar.update(1, {"anything": 3.0})
        bar.stop()
        assert ("anything" in console.file.getvalue()) is private


def test_what_is_computed_from_a_public_figure_is_private_again():
    with pytest.raises(TypeError):
        Public(0.5) * 2


def test_lines_are_not_one_per_update():
    out = io.StringIO()
    follow(Lines(out, seconds=100), steps=50)
    assert len(out.getvalue().splitlines()) == 1


def test_the_bar_shows_remaining_time_and_figures():
    console = Console(file=io.StringIO(), force_terminal=True, width=120)
    follow(Bar(console))
    shown = console.file.getvalue()
    assert "4/4" in shown
    assert "noise-to-signal 0.5" in shown
    assert "loss" not in shown


def logged(path):
    with path.open() as file:
        rows = csv.DictReader(file)
        return [(row["training"], int(row["step"]), row["figure"], float(row["value"])) for row in rows]


def test_the_log_holds_every_figure_exactly_and_goes_on_where_a_run_is_resumed(tmp_path):
    path = tmp_path / "train_log.csv"
    follow(CsvLog(path), 0, 4)
    follow(CsvLog(path), 2, 5)
    assert logged(path) == [("training", step, *figure) for step in range(1, 6) for figure in VALUES.items()]


def test_a_second_training_of_the_run_is_added_to_the_log(tmp_path):
    log = CsvLog(tmp_path / "train_log.csv")
    follow(log, 0, 2)
    log.start("fit", 0, 1)
    log.update(1, {"misfit": 0.25})
    log.stop()
    assert logged(log.path)[-2:] == [("training", 2, "noise_to_signal", 0.5), ("fit", 1, "misfit", 0.25)]


def test_listeners_are_chosen_by_name(tmp_path):
    kinds = {"bar": Bar, "lines": Lines, "quiet": Quiet, "auto": Lines}  # pytest's stderr is no terminal
    for name, kind in kinds.items():
        together = listen(name, tmp_path)
        assert isinstance(together, Together)
        assert [type(each) for each in together.listeners] == [kind, CsvLog]
    with pytest.raises(ConfigError, match="auto, bar, lines, quiet"):
        listen("loud")


def test_quiet_without_a_folder_writes_nothing(capsys):
    follow(listen("quiet"))
    assert capsys.readouterr() == ("", "")


def test_tensorboard_is_asked_for_by_name_and_said_to_be_missing(tmp_path, monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(ConfigError, match="pip install tensorboard"):
        listen("quiet", tmp_path, tensorboard=True)
    with pytest.raises(ConfigError, match="folder of a run"):
        listen("quiet", None, tensorboard=True)


def test_tensorboard_events_go_into_the_private_folder(tmp_path):
    pytest.importorskip("tensorboard")
    follow(listen("quiet", tmp_path, tensorboard=True))
    assert any((tmp_path / "tensorboard").iterdir())
