"""dpsynth/privacy/accounting/account.py: what is charged stays, changes are noticed, nothing exceeds the budget."""

import json
import math
import multiprocessing
import os

import numpy as np
import pytest
from dp_accounting import GaussianDpEvent, PoissonSampledDpEvent, SelfComposedDpEvent
from hypothesis import given, settings
from hypothesis import strategies as st

from dpsynth.errors import ArtifactError, BudgetError, ConfigError
from dpsynth.privacy.accounting import account as module
from dpsynth.privacy.accounting.account import Account, RecordedCharge
from dpsynth.privacy.accounting.accounting import prove
from dpsynth.privacy.accounting.budget import Budget
from dpsynth.privacy.accounting.calibration import calibrate
from dpsynth.privacy.accounting.privacy_loss import gaussian_profile

BUDGET = Budget(2.0, 1e-5)
RUN = Budget(0.5, 1e-6)


def gaussian(mu, delta=0.0):
    return [RecordedCharge("sums", GaussianDpEvent(1 / mu), delta)]


def sgd(noise=2.0):
    return [RecordedCharge("sgd", SelfComposedDpEvent(PoissonSampledDpEvent(0.01, GaussianDpEvent(noise)), 100), 0.0)]


@pytest.fixture
def account(tmp_path):
    return Account.create(tmp_path / "people.account", "people of 2026", BUDGET)


def test_an_account_starts_with_its_declared_budget(account):
    statement = account.statement()
    assert (statement.name, statement.budget, statement.entries) == ("people of 2026", BUDGET, ())
    squared, slack = statement.total
    assert slack == BUDGET.delta / 4
    assert gaussian_profile(squared**-0.5, np.array([2.0]))[0] + slack == pytest.approx(BUDGET.delta, rel=1e-6)
    assert gaussian_profile(squared**-0.5, np.array([2.0]))[0] + slack <= BUDGET.delta
    assert account.path.stat().st_mode & 0o777 == 0o600


def test_gaussian_runs_compose_as_one_run_does(account):
    """Runs of 0.1, 0.2 and 0.3-GDP cost what one plan of all three costs, to the last digits."""
    for number, mu in enumerate((0.1, 0.2, 0.3)):
        account.charge(gaussian(mu), RUN, f"key {number}", "a run")
        together = [charge for each in (0.1, 0.2, 0.3)[: number + 1] for charge in gaussian(each)]
        proven = prove(together, Budget(1, BUDGET.delta)).epsilon
        assert account.statement().epsilon_together(number + 1) == pytest.approx(proven, rel=1e-8)


def test_sampled_runs_are_charged_a_little_more_than_their_proof(account):
    for number in range(3):
        account.charge(sgd(), RUN, f"key {number}", "a run")
    proven = prove(sgd() * 3, BUDGET).epsilon
    assert proven <= account.statement().epsilon_together(3) <= 1.25 * proven


@settings(max_examples=30, deadline=None)
@given(st.lists(st.tuples(st.floats(0.05, 1.5), st.floats(0, 2e-6)), max_size=12))
def test_no_sequence_of_runs_passes_the_budget(tmp_path_factory, runs):
    account = Account.create(tmp_path_factory.mktemp("account") / "a", "people", BUDGET)
    accepted = []
    for number, (mu, delta) in enumerate(runs):
        before = account.path.read_bytes()
        try:
            account.charge(gaussian(mu, delta), RUN, f"key {number}", "a run")
            accepted.append((mu, delta))
            assert account.path.read_bytes().startswith(before)
        except BudgetError:
            assert account.path.read_bytes() == before
    squared, delta = sum(mu**2 for mu, _ in accepted), sum(delta for _, delta in accepted)
    if squared:
        assert gaussian_profile(squared**-0.5, np.array([2.0]))[0] + delta <= BUDGET.delta * (1 + 1e-6)


def test_epsilon_left_is_what_one_more_run_may_have(account):
    account.charge(gaussian(0.3), RUN, "first", "a run")
    epsilon = account.statement().epsilon_left(1e-6)
    for factor, fits in ((0.999, True), (1.01, False)):
        noise = calibrate(lambda z: gaussian(1 / z), Budget(epsilon * factor, 1e-6))
        if fits:
            account.check(gaussian(1 / noise), RUN)
        else:
            with pytest.raises(BudgetError, match=f"about {epsilon:.3g} at most"):
                account.check(gaussian(1 / noise), RUN)


def test_the_same_run_is_charged_once(account):
    account.charge(gaussian(0.3), RUN, "key", "a run")
    account.charge(gaussian(0.3), RUN, "key", "a run")
    assert len(account.statement().entries) == 1
    with pytest.raises(ArtifactError, match="other charges"):
        account.charge(gaussian(0.4), RUN, "key", "a run")
    account.charge(gaussian(0.3), RUN, "another key", "a run")
    assert len(account.statement().entries) == 2


def test_a_run_that_was_charged_may_resume_when_nothing_is_left(account):
    squared = account.statement().total[0]
    account.charge(gaussian(math.sqrt(squared) * 0.999999), RUN, "key", "a run")
    account.check(gaussian(math.sqrt(squared) * 0.999999), RUN, "key")
    with pytest.raises(BudgetError, match=r"lower privacy\.epsilon"):
        account.check(gaussian(0.1), RUN, "fresh key")


@pytest.mark.parametrize(
    ("budget", "message"),
    [(Budget(1, 1e-6, "replace_one"), "counts by add_remove"), (Budget(1, 1e-6, "add_remove", 1), "protects one row")],
)
def test_runs_of_another_unit_are_refused(account, budget, message):
    with pytest.raises(ConfigError, match=message):
        account.charge(gaussian(0.1), budget, "key", "a run")


def test_an_account_of_persons_takes_runs_with_fewer_rows_each(tmp_path):
    account = Account.create(tmp_path / "a", "people", Budget(2.0, 1e-5, "add_remove", 3))
    assert account.statement().total[0] < Account.create(tmp_path / "b", "rows", BUDGET).statement().total[0] / 8
    account.charge(gaussian(0.05), Budget(1, 1e-6, "add_remove", 2), "key", "a run")
    for rows in (None, 4):
        with pytest.raises(ConfigError, match="protects one person"):
            account.charge(gaussian(0.05), Budget(1, 1e-6, "add_remove", rows), "another", "a run")
    # Three neighbours in a row: epsilon of a person is that of mu' = 3 mu at most (group privacy of Gaussian DP).
    person = account.statement().epsilon_together(1)
    assert person >= prove(gaussian(0.15), Budget(1, 1e-5)).epsilon


def test_deltas_have_an_end_of_their_own(account):
    account.charge(gaussian(0.01, 2e-6), RUN, "key", "a run")
    with pytest.raises(BudgetError, match=r"delta of 1e-06 .* 5e-07 left"):
        account.charge(gaussian(0.01, 1e-6), RUN, "another", "a run")
    account.charge(gaussian(0.01), RUN, "another", "a run")


def test_without_slack_only_gaussian_runs_are_taken(tmp_path):
    account = Account.create(tmp_path / "a", "people", BUDGET, slack=0)
    account.charge(gaussian(0.1), RUN, "key", "a run")
    with pytest.raises(BudgetError, match="slack"):
        account.charge(sgd(), RUN, "another", "a run")


def test_a_noiseless_run_is_refused(account):
    with pytest.raises(BudgetError, match="inf"):
        account.charge([RecordedCharge("bare", GaussianDpEvent(0.0), 0.0)], RUN, "key", "a run")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"name": " "}, "name"),
        ({"name": "two\nlines"}, "name"),
        ({"slack": 1.0}, "slack"),
        ({"budget": Budget(math.inf, 1e-5)}, "finite"),
    ],
)
def test_accounts_that_count_nothing_are_not_opened(tmp_path, change, message):
    with pytest.raises((ConfigError, BudgetError), match=message):
        Account.create(tmp_path / "a", **{"name": "people", "budget": BUDGET, **change})
    assert not (tmp_path / "a").exists()


def test_an_account_is_never_replaced(account):
    before = account.path.read_bytes()
    with pytest.raises(ConfigError, match="never replaced"):
        Account.create(account.path, "others", BUDGET)
    assert account.path.read_bytes() == before


# -------------------- The file --------------------------------------------------------------


@pytest.fixture
def charged(account):
    for number in range(3):
        account.charge(gaussian(0.1 + number / 10), RUN, f"key {number}", f"run {number}")
    return account


def test_a_missing_file_is_not_an_empty_account(tmp_path):
    with pytest.raises(ConfigError, match="no such account; open one with: dpsynth account"):
        Account(tmp_path / "none").charge(gaussian(0.1), RUN, "key", "a run")
    assert not (tmp_path / "none").exists()


@pytest.mark.parametrize("row", [0, 1, 2, 3])
@pytest.mark.parametrize("how", ["edit", "rehash", "remove", "repeat", "swap"])
def test_changed_lines_are_noticed(charged, row, how):
    lines = charged.path.read_text().splitlines()
    if how == "edit":
        lines[row] = lines[row].replace('"time": "20', '"time": "21')
    elif how == "rehash" and row < 3:  # an edited line with a fresh hash of its own: the next one does not follow
        line = json.loads(lines[row]) | {"time": "2020"}
        line.pop("hash")
        lines[row] = json.dumps({**line, "hash": module._hash(line)})
    elif how == "remove" and row < 3:
        del lines[row]
    elif how == "repeat":
        lines.insert(row, lines[row])
    elif how == "swap" and row < 3:
        lines[row : row + 2] = lines[row + 1], lines[row]
    else:
        return  # the last line has no successor
    charged.path.write_text("\n".join(lines) + "\n")
    before = charged.path.read_bytes()
    for use in (charged.statement, lambda: charged.charge(gaussian(0.1), RUN, "new", "a run")):
        with pytest.raises(ArtifactError, match=r"line \d was edited|not the file"):
            use()
    assert charged.path.read_bytes() == before


def test_a_torn_last_line_is_no_charge_and_makes_room(charged):
    """A charge is written through before its run may draw, so the run of an unfinished line never drew."""
    whole = charged.path.read_bytes()
    start = whole.rstrip(b"\n").rfind(b"\n") + 1
    for cut in (start + 1, (start + len(whole)) // 2, len(whole) - 1):
        charged.path.write_bytes(whole[:cut])
        assert len(charged.statement().entries) == 2
        assert charged.statement().torn == cut - start
        charged.charge(gaussian(0.2), RUN, "new", "a run")
        assert charged.statement().torn == 0
        assert [entry.key for entry in charged.statement().entries] == ["key 0", "key 1", "new"]
    charged.path.write_bytes(whole[:start][: whole.find(b"\n") - 3])
    with pytest.raises(ArtifactError, match="never finished"):
        charged.statement()


def test_a_full_disk_leaves_no_part_of_a_line(charged, monkeypatch):
    before, write = charged.path.read_bytes(), os.write

    def full(number, data):
        if len(data) > 20:
            return write(number, data[:20])
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(module.os, "write", lambda number, data: full(number, data[:30]))
    with pytest.raises(OSError, match="No space left"):
        charged.charge(gaussian(0.2), RUN, "new", "a run")
    monkeypatch.undo()
    assert charged.path.read_bytes() == before


@pytest.mark.parametrize(
    "content", [b"", b"\n", b"{}\n", b"[1]\n", b"\xff\xfe\n", b'{"hash": "0"}\n', b"[" * 100_000 + b"\n"]
)
def test_other_files_are_refused_in_words(tmp_path, content):
    (tmp_path / "a").write_bytes(content)
    with pytest.raises(ArtifactError):
        Account(tmp_path / "a").statement()
    assert (tmp_path / "a").read_bytes() == content


def test_a_pipe_is_refused_at_once(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(ArtifactError, match="plain file"):
        Account(tmp_path / "pipe").charge(gaussian(0.1), RUN, "key", "a run")


def test_nothing_of_a_name_or_a_run_breaks_a_line(tmp_path):
    account = Account.create(tmp_path / "a", "Straße „9“", BUDGET)
    account.charge(gaussian(0.1), RUN, "key", 'a "run"\nof two lines\u2028')
    assert account.statement().entries[0].run == 'a "run"\nof two lines\u2028'
    assert account.statement().name == "Straße „9“"
    assert len(account.path.read_bytes().splitlines()) == 2


def charge_many(path, name, barrier, results):
    barrier.wait()
    done = 0
    for number in range(20):
        try:
            Account(path).charge(gaussian(0.12), RUN, f"{name} {number}", name)
            done += 1
        except BudgetError:
            pass
    results.put(done)


def test_processes_that_race_never_exceed_the_budget(account):
    """Four processes charge until nothing is left: as many as fit are entered, in one chain."""
    context = multiprocessing.get_context("fork")
    barrier, results = context.Barrier(4), context.Queue()
    workers = [context.Process(target=charge_many, args=(account.path, f"{n}", barrier, results)) for n in range(4)]
    for worker in workers:
        worker.start()
    done = sum(results.get(timeout=60) for _ in workers)
    for worker in workers:
        worker.join()
    statement = account.statement()
    assert done == len(statement.entries) == int(statement.total[0] / 0.12**2)
