"""The programs of docs/inference.md run as they stand, with fewer rows and steps."""

import re
from pathlib import Path

import pytest

PAGE = (Path(__file__).parents[2] / "docs" / "inference.md").read_text()
PROGRAMS = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
SMALL = {
    "ROWS, STEPS = 10_000, 1000": "ROWS, STEPS = 2000, 150",
    "ROWS, STEPS = 5_000, 1000": "ROWS, STEPS = 2000, 700",
    "draws=50": "draws=12",
    "fitted.sets(50": "fitted.sets(12",
    "epsilon=1,": "epsilon=8,",
    "epsilon=2,": "epsilon=50,",
}


@pytest.mark.parametrize("program", PROGRAMS, ids=["intervals", "logistic regression", "mixture"])
def test_a_program_of_the_page_does_what_it_says(program, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for before, after in SMALL.items():
        program = program.replace(before, after)
    names: dict = {}
    exec(compile(program, "docs/inference.md", "exec"), names)
    if "combined" in names:
        low, high = names["combined"].interval(0.999)
        assert low < 0.15 < high
    elif "truth" in names:
        assert (names["posterior"].mean["slope"] - names["truth"]).abs().max() < 0.35
        assert names["slopes"].shape == (1000, 4)
    else:
        found, middles = names["posterior"].mean["middle"], names["middles"].double()
        assert (found[:, None] - middles).norm(dim=2).min(1).values.max() < 0.5
        assert (tmp_path / "mixture.safetensors").exists()


def test_every_small_number_is_on_the_page():
    assert all(before in PAGE for before in SMALL)
