import pytest

from dpsynth.evaluation import evaluation as score_progress
from dpsynth.evaluation.evaluation import following


def test_lines_come_now_and_then(capfd, monkeypatch):
    now = [0.0]
    monkeypatch.setattr(score_progress.time, "monotonic", lambda: now[0])
    with following("Evaluating", "lines") as report:
        for done in range(1, 41):
            now[0] += 1.0
            report(done, 40, "Marginals")
    lines = capfd.readouterr().err.splitlines()
    assert len(lines) == 4
    assert lines[0] == "Evaluating: 10 of 40 done in 10 s, Marginals"


@pytest.mark.parametrize("kind", ["bar", "quiet", "auto"])
def test_every_kind_can_be_stated(kind, capfd):
    with following("Evaluating", kind) as report:
        report(1, 2, "a")
        report(2, 2, "b")
    shown = capfd.readouterr()
    assert shown.out == ""
    assert (shown.err == "") == (kind != "bar")
