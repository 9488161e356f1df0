"""The account of a data set: what all runs on the same people have cost together, and what they may still cost.

    dpsynth account people.account name="register of 2026" epsilon=3 delta=1e-6     opens it
    python train.py ... privacy.account=people.account                              charges it
    dpsynth account people.account                                                  prints it

The file is JSON, one entry a line. The first names the data set, in the words of its steward, and declares the
lifetime budget; every other one holds the charges of one run as events. Nothing in it is computed from the data.
Entries are only ever appended, under a lock of the system, and written through to the disk before the run may draw
noise. Every line holds the SHA-256 of the one before, so a line that is edited, removed or moved is noticed, except at
the end: compare the last hash with one that was noted elsewhere.

Guarantee. Let the runs be chosen in any way, each with parameters that may depend on all earlier releases, every run
having fixed its own before its first release. `gaussian_cover.cover` gives mu_i^2 and s_i such that run i can be
simulated from N(mu_i, 1) or N(0, 1), except with probability s_i. An entry is refused if it took the sum of mu_i^2
above M or the sum of s_i above S, both fixed when the account was opened. Then all runs together are (epsilon, d + S)-
differentially private for every epsilon, d being the delta of M^(1/2)-Gaussian DP at that epsilon:

    For an event E, P[E] <= P[E, no failure] + S. On outcomes without failure, P and Q have the densities of their
    Gaussian parts, both multiplied by the same product of 1 - s_i <= 1 along the path. So P[E, no failure] - e^epsilon
    Q[E, no failure] is at most the integral of the positive part of P' - e^epsilon Q', where P' and Q' are the
    processes without failures. Those are M^(1/2)-Gaussian DP, since sums of mu_i^2 that stay within M by such a rule
    are, however they were chosen (Smith and Thakurta 2022, arXiv 2210.17520).

M and S divide the declared delta once and for all: S is the fraction `slack` of it, and M the largest for which the
rest covers epsilon. A rule that let one be traded for the other later would not be proven.
"""

# pyright: reportMissingTypeStubs=false, reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false

from __future__ import annotations

import datetime as dt
import hashlib
import json
import math
import os
import stat
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from scipy.optimize import brentq

from dpsynth.errors import ArtifactError, BudgetError, ConfigError
from dpsynth.privacy.accounting.accounting import Charge
from dpsynth.privacy.accounting.budget import Budget
from dpsynth.privacy.accounting.events import describe, restore
from dpsynth.privacy.accounting.gaussian_cover import cover
from dpsynth.privacy.accounting.privacy_loss import gaussian_profile

try:
    import fcntl
except ImportError:  # not a POSIX system
    fcntl = None

FORMAT = 1
SLACK = 0.25  # of delta, for what is not Gaussian
SHARE = 8  # a run that is not all Gaussian takes this part of the slack that is left
LARGEST = 2**28  # bytes of a file
_ROUNDING = 1e-9  # relative: sums of costs in float64 may pass the total by far less
_START = "0" * 64  # stands for the hash before the first line


class NamedCharge(Charge, Protocol):
    """A charge of a plan."""

    @property
    def name(self) -> str: ...


@dataclass(frozen=True)
class RecordedCharge:
    """A charge as it stands in an account."""

    name: str
    event: Any
    delta: float


@dataclass(frozen=True)
class Entry:
    """One run.

    Attributes:
        key: A digest of the secret key of its noise, by which a resumed run is known; it tells nothing of the key.
        time: When it was charged, UTC.
        run: What it was, in words.
        charges: Everything it may release.
        slack: The probability of failure granted to what is not Gaussian.
        cost: (mu^2, delta) of all charges together.
    """

    key: str
    time: str
    run: str
    charges: tuple[RecordedCharge, ...]
    slack: float
    cost: tuple[float, float]


@dataclass(frozen=True)
class Statement:
    """What an account holds.

    Attributes:
        name: The data set, in its steward's words.
        budget: Of all runs together.
        slack: The part of delta for what is not Gaussian.
        entries: The runs.
        last: The hash of the last line.
        torn: Bytes after the last whole line; an entry whose run was never allowed to begin.
    """

    name: str
    budget: Budget
    slack: float
    entries: tuple[Entry, ...]
    last: str
    torn: int = 0

    @property
    def total(self) -> tuple[float, float]:
        """(M, S): the most that mu^2 and delta may add up to, for one row."""
        row = self.budget.row_level
        return _largest_mu(row.epsilon, row.delta * (1 - self.slack)) ** 2, row.delta * self.slack

    @property
    def spent(self) -> tuple[float, float]:
        """(mu^2, delta) of all entries together."""
        return math.fsum(each.cost[0] for each in self.entries), math.fsum(each.cost[1] for each in self.entries)

    @property
    def left(self) -> tuple[float, float]:
        """(mu^2, delta) that are left."""
        return tuple(max(0.0, total - spent) for total, spent in zip(self.total, self.spent, strict=True))  # type: ignore[return-value]

    def epsilon_together(self, entries: int) -> float:
        """The epsilon proven for the first `entries` runs together, at the declared delta, for the declared unit."""
        row = self.budget.row_level
        squared = math.fsum(each.cost[0] for each in self.entries[:entries])
        failed = math.fsum(each.cost[1] for each in self.entries[:entries])
        return self.budget.person_level(_epsilon(math.sqrt(squared), row.delta - failed), row.delta)[0]

    def epsilon_left(self, delta: float) -> float:
        """The largest epsilon of one more run at `delta`, if all its noise is Gaussian and not sampled."""
        rows = self.budget.rows_per_person or 1
        row = Budget(self.budget.epsilon, min(delta, 0.5), self.budget.neighbours, rows).row_level
        return rows * _epsilon(math.sqrt(self.left[0]), row.delta)

    def of(self, key: str) -> Entry | None:
        """The entry of the run whose noise has the key `key`."""
        return next((each for each in self.entries if each.key == key), None)


@dataclass(frozen=True)
class Account:
    """The file of an account. Opening one checks nothing; every method reads the file anew, under its lock."""

    path: Path

    @classmethod
    def create(cls, path: Path, name: str, budget: Budget, slack: float = SLACK) -> Account:
        """A new account, in a file that must not exist.

        Raises:
            ConfigError: The file exists, the name is empty, or `slack` is not in [0, 1).
            BudgetError: Epsilon is infinite: there is nothing to count.
        """
        if not name.strip() or len(name) > 1000 or not name.isprintable():
            raise ConfigError("name: must say which data set this is, in up to 1000 letters on one line")
        if not 0 <= slack < 1:
            raise ConfigError(f"slack={slack:g}: must be at least 0 and below 1")
        if not budget.private:
            raise BudgetError("epsilon=inf: an account counts a finite budget")
        _largest_mu(budget.row_level.epsilon, budget.row_level.delta * (1 - slack))
        first = {"format": FORMAT, "name": name, "budget": budget.to_dict(), "slack": slack, "time": _now()}
        try:
            number = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        except FileExistsError:
            raise ConfigError(f"{path}: exists already; an account is never replaced, choose another name") from None
        with os.fdopen(number, "r+b") as file:
            with _locked(file.fileno(), path, writing=True):
                _append(file.fileno(), 0, {**first, "previous": _START}, path)
            _sync_folder(path)
        return cls(path)

    def statement(self) -> Statement:
        """What the file holds. Raises `ConfigError` when there is none, `ArtifactError` when it was changed."""
        with self._opened(writing=False) as number:
            return _parsed(_content(number, self.path), self.path)

    def check(self, charges: Sequence[NamedCharge], budget: Budget, key: str | None = None) -> None:
        """Refuse a run that would exceed the account; nothing is charged.

        Args:
            charges: Everything that the run may release.
            budget: Of the run: its relation and its unit have to be those of the account.
            key: Of a run that is resumed: one that was charged already is not refused.

        Raises:
            BudgetError: As said.
        """
        self._entry(self.statement(), charges, budget, key or "", "")

    def charge(self, charges: Sequence[NamedCharge], budget: Budget, key: str, run: str) -> None:
        """Enter a run, before it draws any noise. The same run again (same key, hence same noise) is entered once.

        Args:
            charges, budget: As in `check`.
            key: `PrivacyGenerator.fingerprint` of the run.
            run: What it is, in words.

        Raises:
            BudgetError: It would exceed the account.
            ArtifactError: The file was changed, or holds the same run with other charges.
        """
        with self._opened(writing=True) as number:
            content = _content(number, self.path)
            statement = _parsed(content, self.path)
            entry = self._entry(statement, charges, budget, key, run)
            if entry is not None:
                line = {
                    "key": entry.key,
                    "time": entry.time,
                    "run": entry.run,
                    "charges": [
                        {"name": each.name, "event": describe(each.event), "delta": each.delta}
                        for each in entry.charges
                    ],
                    "slack": entry.slack,
                }
                _append(number, len(content) - statement.torn, {**line, "previous": statement.last}, self.path)

    def _entry(
        self, statement: Statement, charges: Sequence[NamedCharge], budget: Budget, key: str, run: str
    ) -> Entry | None:
        """The entry to append, or None when the run was entered before."""
        self._check_unit(statement.budget, budget)
        recorded = tuple(RecordedCharge(each.name, each.event, each.delta) for each in charges)
        before = statement.of(key)
        if before is not None:
            if before.charges != recorded:
                raise ArtifactError(f"{self.path}: holds this run with other charges; start a new run")
            return None
        (squared_left, delta_left), slack = statement.left, statement.left[1] / SHARE
        try:
            cost = cover(recorded, budget.neighbours, slack)
        except BudgetError as error:
            raise BudgetError(f"{self.path}: {error}; the account's slack may be used up") from None
        total = statement.total
        fits = (cost[0] <= squared_left + total[0] * _ROUNDING, cost[1] <= delta_left + total[1] * _ROUNDING)
        if not fits[1]:
            raise BudgetError(
                f"{self.path}: this run needs a delta of {cost[1]:.3g} for what is not Gaussian noise, and the account "
                f"of '{statement.name}' has {delta_left:.3g} left for that: lower privacy.delta, or declare categories"
            )
        if not fits[0]:
            most = statement.epsilon_left(budget.delta)
            raise BudgetError(
                f"{self.path}: this run needs mu^2 = {cost[0]:.4g}, and the account of '{statement.name}' has "
                f"{squared_left:.4g} left of {total[0]:.4g}: lower privacy.epsilon, to about {most:.3g} at "
                "most, or make no further run"
            )
        return Entry(key, _now(), run, recorded, slack, cost)

    def _check_unit(self, whole: Budget, run: Budget) -> None:
        if run.neighbours != whole.neighbours:
            raise ConfigError(
                f"{self.path}: counts by {whole.neighbours}, not {run.neighbours}; set "
                f"privacy.neighbours={whole.neighbours}"
            )
        most, rows = whole.rows_per_person, run.rows_per_person
        if (most is None) != (rows is None) or (most is not None and rows is not None and rows > most):
            raise ConfigError(
                f"{self.path}: protects {whole.unit}, and this run {run.unit}; set data.person and "
                "data.max_rows_per_person so"
            )

    @contextmanager
    def _opened(self, writing: bool) -> Generator[int]:
        """The number of the open and locked file."""
        how = (os.O_RDWR if writing else os.O_RDONLY) | os.O_NONBLOCK | os.O_CLOEXEC
        try:
            number = os.open(self.path, how)
        except FileNotFoundError:
            raise ConfigError(
                f"{self.path}: no such account; open one with: dpsynth account {self.path} name=... epsilon=... "
                "delta=..."
            ) from None
        try:
            found = os.fstat(number)
            if not stat.S_ISREG(found.st_mode) or found.st_size > LARGEST:
                raise ArtifactError(f"{self.path}: not a plain file of an account")
            with _locked(number, self.path, writing):
                yield number
        finally:
            os.close(number)


@contextmanager
def _locked(number: int, path: Path, writing: bool) -> Generator[None]:
    """Hold the lock of an open file, waiting for others; the system gives it back when the process ends."""
    if fcntl is None:
        raise ConfigError(f"{path}: this system has no file locks, without which an account cannot be kept")
    fcntl.flock(number, fcntl.LOCK_EX if writing else fcntl.LOCK_SH)
    try:
        yield
    finally:
        fcntl.flock(number, fcntl.LOCK_UN)


def _content(number: int, path: Path) -> bytes:
    with os.fdopen(os.dup(number), "rb") as file:
        file.seek(0)
        return file.read(LARGEST + 1)


def _append(number: int, end: int, line: Mapping[str, Any], path: Path) -> None:
    """Write a line at byte `end`, where a torn one may stand, and to the disk. A failure leaves no part of it."""
    text = json.dumps({**line, "hash": _hash(line)}, ensure_ascii=True, allow_nan=False) + "\n"
    try:
        os.ftruncate(number, end)
        os.lseek(number, end, os.SEEK_SET)
        rest = text.encode("ascii")
        while rest:
            rest = rest[os.write(number, rest) :]
        os.fsync(number)
    except OSError as error:
        with suppress(OSError):
            os.ftruncate(number, end)
        raise OSError(error.errno, error.strerror, str(path)) from None


def _sync_folder(path: Path) -> None:
    """Make sure that the name of a new file is on the disk, where the system can."""
    with suppress(OSError):
        number = os.open(path.resolve().parent, os.O_RDONLY)
        try:
            os.fsync(number)
        finally:
            os.close(number)


def _parsed(content: bytes, path: Path) -> Statement:
    """The statement of a file; `ArtifactError` names the first line that is wrong."""
    whole, _, torn = content.rpartition(b"\n")
    lines = whole.split(b"\n") if whole else []
    if not lines:
        raise ArtifactError(f"{path}: not the file of an account, or its first line was never finished")
    previous, found = _START, list[dict[str, Any]]()
    for row, text in enumerate(lines, start=1):
        try:
            line = json.loads(text)
            stated = line.pop("hash")
            right = line["previous"] == previous and _hash(line) == stated
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
            right = False
            line, stated = {}, ""
        if not right:
            raise ArtifactError(
                f"{path}: line {row} was edited, or does not follow the line before; nothing can be charged to this "
                "file: replace it with an intact copy"
            )
        previous = stated
        found.append(line)
    try:
        first, *rest = found
        if first["format"] != FORMAT:
            raise ArtifactError(f"{path}: format {first['format']!r:.40}, this dpsynth reads format {FORMAT}")
        budget = Budget.from_dict(first["budget"])
        entries = tuple(_entry_of(line, budget) for line in rest)
        return Statement(str(first["name"]), budget, float(first["slack"]), entries, previous, len(torn))
    except (KeyError, TypeError, ValueError, BudgetError) as error:
        raise ArtifactError(f"{path}: not the file of an account ({' '.join(str(error).split()):.200})") from None


def _entry_of(line: Mapping[str, Any], budget: Budget) -> Entry:
    charges = tuple(
        RecordedCharge(str(each["name"]), restore(each["event"]), float(each["delta"])) for each in line["charges"]
    )
    slack = float(line["slack"])
    cost = cover(charges, budget.neighbours, slack)
    return Entry(str(line["key"]), str(line["time"]), str(line["run"]), charges, slack, cost)


def _hash(line: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(line, sort_keys=True, separators=(",", ":")).encode("ascii")).hexdigest()


def _now() -> str:
    return dt.datetime.now(dt.UTC).isoformat(timespec="seconds")


def _largest_mu(epsilon: float, delta: float) -> float:
    """The largest mu, rounded down, for which mu-Gaussian DP is (epsilon, delta)-DP."""

    def excess(mu: float) -> float:
        return float(gaussian_profile(1 / mu, np.array([epsilon]))[0]) - delta

    high = 1.0
    while excess(high) <= 0:
        high *= 2
    low = high
    while excess(low) > 0:
        low /= 2
        if low < 1e-12:
            raise BudgetError(f"epsilon {epsilon:.3g} and delta {delta:.3g} leave nothing to spend")
    return low if low == high else float(brentq(excess, low, high, xtol=1e-14)) * (1 - 1e-11)  # type: ignore[arg-type]


def _epsilon(mu: float, delta: float) -> float:
    """The epsilon of mu-Gaussian DP at `delta`; 0 for none, infinite where delta is used up."""
    if mu <= 0:
        return 0.0
    if delta <= 0:
        return math.inf

    def excess(epsilon: float) -> float:
        return float(gaussian_profile(1 / mu, np.array([epsilon]))[0]) - delta

    top = 0.5 * mu**2 + mu * math.sqrt(2 * math.log(1 / delta)) + 1e-9
    return 0.0 if excess(0.0) <= 0 else float(brentq(excess, 0.0, top, xtol=1e-13)) * (1 + 1e-12)  # type: ignore[arg-type]
