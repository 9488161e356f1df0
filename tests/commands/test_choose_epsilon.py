import pytest

from dpsynth.commands.choose_epsilon import choose_epsilon
from dpsynth.errors import BudgetError, ConfigError


def test_the_table_says_what_an_epsilon_means(capsys):
    choose_epsilon(["1", "3"])
    out = " ".join(capsys.readouterr().out.split())
    assert "73.1 %" in out
    assert "0.268" in out
    assert "20.1" in out
    assert "whoever believes with 50 %" in out
    assert max(len(line) for line in out.splitlines()) < 2_000


def test_any_mechanism_is_limited_less(capsys):
    choose_epsilon(["1", "--any"])
    out = capsys.readouterr().out
    assert "46.2 %" in out
    assert "0.268" not in out


def test_the_picture_is_drawn_and_not_overwritten(tmp_path, capsys):
    out = tmp_path / "figures" / "epsilon.png"
    choose_epsilon(["0.5", "2", "--out", str(out)])
    assert out.read_bytes().startswith(b"\x89PNG")
    assert "drawn" in capsys.readouterr().out
    with pytest.raises(ConfigError, match="exists already"):
        choose_epsilon(["--out", str(out)])


@pytest.mark.parametrize(
    ("words", "error"),
    [
        (["0"], BudgetError),
        (["-1"], BudgetError),
        (["inf"], BudgetError),
        (["1", "--delta", "0"], BudgetError),
        (["1", "--delta", "1"], BudgetError),
        (["1", "--prior", "1"], ConfigError),
        (["1", "--out", "x.txt"], ConfigError),
    ],
    ids=str,
)
def test_impossible_values_are_refused(words, error):
    with pytest.raises((error, SystemExit)):
        choose_epsilon(words)
