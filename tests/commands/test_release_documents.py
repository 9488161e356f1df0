import sys

import pandas as pd
import pytest

from dpsynth.commands import __main__ as entry


@pytest.fixture
def dpsynth_command(monkeypatch, capfd):
    def run(*words):
        monkeypatch.setattr(sys, "argv", ["dpsynth", *map(str, words)])
        capfd.readouterr()
        code = 0
        try:
            entry.main()
        except SystemExit as end:
            code = int(end.code or 0)
        return code, *capfd.readouterr()

    return run


@pytest.fixture
def counted(command, tmp_path):
    """A finished run with measured marginals."""
    outcome = command("train", "model=independent", "data=toy", "data.rows=300", "run=mine", "trainer.progress=quiet")
    assert outcome.code == 0, outcome.err
    return tmp_path / "work" / "mine"


def test_a_release_is_described_signed_and_verified(dpsynth_command, counted, tmp_path):
    key = tmp_path / "k"
    assert dpsynth_command("describe", counted, "--steward", "Office", "--license", "CC0-1.0")[0] == 0
    assert dpsynth_command("sign", counted, "--new-key", key)[0] == 0
    code, out, _ = dpsynth_command("verify", counted, f"key={key}.pub")
    assert code == 0
    assert "steward: Office; made with dpsynth" in out
    assert "confirmed" in out
    code, out, _ = dpsynth_command("describe", f"run={counted}", "--title", "Another")
    assert "its signature is gone" in out
    code, out, err = dpsynth_command("verify", counted, "--key", f"{key}.pub")
    assert code == 2
    assert "signature:   FAILS. the release is not signed" in out
    assert err.startswith("error: ")
    assert "not confirmed (signature)" in err
    assert dpsynth_command("sign", counted, "--key", key)[0] == 0
    assert dpsynth_command("verify", counted, "--key", f"{key}.pub")[0] == 0


def test_a_key_does_not_go_into_the_release(dpsynth_command, counted):
    dpsynth_command("describe", counted, "--steward", "Office")
    code, _, err = dpsynth_command("sign", counted, "--new-key", counted / "release" / "k")
    assert code == 2
    assert "must not lie in the release" in err


def test_nobody_signs_without_a_name(dpsynth_command, counted, tmp_path):
    code, _, err = dpsynth_command("sign", counted, "--new-key", tmp_path / "k")
    assert code == 2
    assert "names no steward" in err
    assert not (tmp_path / "k").exists()


def test_marginals_are_printed_and_written(dpsynth_command, counted, tmp_path):
    code, out, _ = dpsynth_command("marginals", f"run={counted}", "rows=2")
    assert code == 0
    assert out.count("noisy count") == 6
    code, out, err = dpsynth_command("marginals", counted, "--columns", "nothing")
    assert code == 2
    assert "was not measured" in err
    out = tmp_path / "age.csv"
    assert dpsynth_command("marginals", counted, "--columns", "age", "--out", out)[0] == 0
    frame = pd.read_csv(out)
    assert list(frame.columns) == ["age", "count", "sigma", "low", "high"]
    assert (frame["low"] < frame["high"]).all()
    code, _, err = dpsynth_command("marginals", counted, "--out", tmp_path / "all.csv")
    assert code == 2
    assert "choose it by --columns" in err


def test_a_method_without_marginals_says_so(dpsynth_command, finished):
    code, _, err = dpsynth_command("marginals", finished)
    assert code == 2
    assert "measured no marginals" in err


@pytest.mark.parametrize("word", ["describe", "sign", "verify", "marginals"])
def test_a_folder_that_is_none_is_one_line(dpsynth_command, tmp_path, word):
    more = ["--new-key", tmp_path / "k"] if word == "sign" else []
    code, _, err = dpsynth_command(word, tmp_path / "nowhere", *more)
    assert code == 2
    assert len(err.strip().splitlines()) == 1
