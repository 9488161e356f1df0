"""dpsynth account, and train.py with privacy.account: all runs on a data set within one budget."""

import os
import signal
import sys
import time
from pathlib import Path

import pytest

import dpsynth
from dpsynth.commands.__main__ import main
from dpsynth.data.sources.toy import DISTRIBUTIONS
from dpsynth.errors import ConfigError
from dpsynth.privacy import Budget, RandomGenerators
from dpsynth.privacy.accounted_run import AccountedRun
from dpsynth.privacy.accounting.account import Account

FAST = ("model=independent", "model.counting.engine=numpy", "data=toy", "data.rows=300", "trainer.progress=quiet")
CHARGED = (*FAST, "privacy.epsilon=1", "privacy.delta=1e-6", "privacy.account=people.account")
# A fit that is charged and waits before anything of the method is released.
WAITING = """
import pathlib, time
from dpsynth.models.marginal.independent import Independent
fit = Independent._fit
def waiting(*words):
    pathlib.Path("training").touch()
    while not pathlib.Path("go").exists():
        time.sleep(0.02)
    return fit(*words)
Independent._fit = waiting
"""
# Notes that the data were opened.
NOTING = """
import pathlib
import dpsynth.commands.train as module
opened = module.rows_to_fit
def noting(*words):
    pathlib.Path("opened").touch()
    return opened(*words)
module.rows_to_fit = noting
"""


def until(condition, seconds=60):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.02)


@pytest.fixture
def account(tmp_path):
    """An account in the folder of the commands that takes two of the runs CHARGED, and no third."""
    (tmp_path / "work").mkdir(exist_ok=True)
    return Account.create(tmp_path / "work" / "people.account", "people of 2026", Budget(1.6, 1e-5))


def entries(account):
    return [entry.run for entry in account.statement().entries]


def test_runs_are_charged_until_the_next_would_exceed_the_budget(start, account):
    for name in ("one", "two"):
        assert start("train", *CHARGED, f"run={name}").end().code == 0
    assert entries(account) == ["Independent, one", "Independent, two"]
    before = account.path.read_bytes()
    outcome = start("train", *CHARGED, "run=three", before=NOTING).end()
    assert "this run needs mu^2" in outcome.mistake
    assert "people.account" in outcome.mistake
    assert not Path("three").exists()
    assert not Path("opened").exists(), "refused before the data are opened"
    assert account.path.read_bytes() == before
    planned = {each["name"] for each in dpsynth.load("one").statement["charges"]}
    assert {charge.name for charge in account.statement().entries[0].charges} == planned


def test_a_dry_run_and_a_refused_run_charge_nothing(start, account):
    before = account.path.read_bytes()
    assert start("train", *CHARGED, "privacy.dry_run=true").end().code == 0
    assert "secure" in start("train", *CHARGED, "privacy.noise=seeded").end().mistake
    assert "inf" in start("train", *CHARGED, "privacy.epsilon=inf").end().mistake
    assert "no such account" in start("train", *FAST, "privacy.account=other.account").end().mistake
    assert "charges no account" in start("audit", "model=independent", "privacy.account=people.account").end().mistake
    assert account.path.read_bytes() == before
    assert not Path("other.account").exists()


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_a_killed_run_stays_charged_and_its_resume_is_free(start, account, number):
    run = start("train", *CHARGED, "run=mine", before=WAITING)
    until(Path("training").exists)
    os.kill(run.process.pid, number)
    run.process.join()
    assert entries(account) == ["Independent, mine"]
    Path("go").touch()
    outcome = start("train", "run=mine", "resume=true").end()
    assert outcome.code == 0, outcome.err
    assert entries(account) == ["Independent, mine"]


def test_a_run_killed_before_it_was_charged_is_charged_when_it_resumes(start, account):
    hold = WAITING.replace("dpsynth.models.marginal.independent import Independent", "dpsynth.privacy.accounted_run "
                           "import AccountedRun as Independent").replace("_fit", "charge")  # fmt: skip
    run = start("train", *CHARGED, "run=mine", before=hold)
    until(Path("training").exists)
    run.process.kill()
    run.process.join()
    assert entries(account) == []
    assert start("train", "run=mine", "resume=true").end().code == 0
    assert entries(account) == ["Independent, mine"]


def test_a_run_whose_noise_key_is_lost_is_another_run(start, account):
    run = start("train", *CHARGED, "run=mine", before=WAITING)
    until(Path("training").exists)
    run.process.kill()
    run.process.join()
    Path("go").touch()
    Path("mine/private/checkpoint/generators.state").unlink()
    assert start("train", "run=mine", "resume=true").end().code == 0
    assert len(entries(account)) == 2


def test_of_runs_that_race_for_the_rest_one_is_made(start, account):
    assert start("train", *CHARGED, "run=first").end().code == 0
    outcomes = [each.end() for each in [start("train", *CHARGED, f"run=racer-{n}") for n in range(3)]]
    assert sorted(outcome.code for outcome in outcomes) == [0, 2, 2], outcomes
    assert len(entries(account)) == 2
    assert len(list(Path().glob("racer-*"))) == 1, "who lost leaves nothing"
    for outcome in outcomes:
        assert outcome.code == 0 or "this run needs mu^2" in outcome.mistake


def test_a_damaged_account_takes_no_runs(start, account):
    assert start("train", *CHARGED, "run=one").end().code == 0
    text = account.path.read_text()
    account.path.write_text(text.replace("Independent, one", "Independent, two"))
    assert "line 2 was edited" in start("train", *CHARGED, "run=two").end().mistake
    assert not Path("two").exists()


def test_a_fit_in_python_is_charged(account):
    table = DISTRIBUTIONS["mixed"]().sample(50, seed=0)
    recipe = dpsynth.models.Independent().replace(counting={"engine": "numpy"})
    recipe.fit(table, Budget(0.5, 1e-6), account=AccountedRun(account, "a notebook"))
    assert entries(account) == ["a notebook"]
    with pytest.raises(ConfigError, match="seeded"):
        recipe.fit(table, Budget(0.5, 1e-6), RandomGenerators(0, "seeded"), account=AccountedRun(account))


# -------------------- The command -----------------------------------------------------------


@pytest.fixture
def dpsynth_command(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)

    def run(*words):
        monkeypatch.setattr(sys, "argv", ["dpsynth", *words])
        try:
            main()
            code = 0
        except SystemExit as end:
            code = int(end.code or 0)
        return code, *capsys.readouterr()

    return run


def test_the_command_opens_and_prints(dpsynth_command):
    code, out, err = dpsynth_command("account", "a", "name=people, 2026 [all]", "epsilon=2", "delta=1e-5")
    assert (code, err) == (0, "")
    assert "Account of 'people, 2026 [all]': epsilon 2 at delta 1e-05" in out
    account = Account(Path("a"))
    run = dpsynth.models.Independent().plan(DISTRIBUTIONS["mixed"]().domain, Budget(1, 1e-6))
    AccountedRun(account, "first [run]").charge(run, RandomGenerators())
    code, out, err = dpsynth_command("account", "a")
    assert (code, err) == (0, "")
    assert "1 first [run]" in out
    assert "left" in out
    assert account.statement().last in out
    Path("a").write_bytes(Path("a").read_bytes() + b'{"torn')
    assert "never finished" in dpsynth_command("account", "a")[1]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("none",), "no such account"),
        (("a", "epsilon=1"), "name is missing"),
        (("a", "name=x", "epsilon=one", "delta=1e-5"), "must be a number"),
        (("a", "name=x", "epsilon=1", "delta=2"), "delta must lie"),
        (("a", "name=x", "epsilon=nan", "delta=1e-5"), "epsilon must be above 0"),
        (("a", "name=x", "epsilon=1", "delta=1e-5", "slack=2"), "slack"),
        (("a", "name=x", "epsilon=1", "delta=1e-5", "rows_per_person=0.5"), "whole number"),
        (("a", "name=x", "epsilon=1", "delta=1e-5", "neighbours=all"), "add_remove or replace_one"),
        (("a", "named=x"), "unknown option named=x"),
        (("a/b", "name=x", "epsilon=1", "delta=1e-5"), "No such file"),
    ],
)
def test_mistakes_are_one_line(dpsynth_command, words, message):
    code, _, err = dpsynth_command("account", *words)
    assert code == 2
    assert err.count("\n") == 1
    assert message in err
    assert not Path("a").exists()
