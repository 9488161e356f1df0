"""One run and the account of the data set that it is charged to."""

from __future__ import annotations

from dataclasses import dataclass

from dpsynth.errors import ConfigError
from dpsynth.privacy.accounting.account import Account
from dpsynth.privacy.ledger import Plan
from dpsynth.privacy.noise.random import RandomGenerators


@dataclass(frozen=True)
class AccountedRun:
    """A run that is charged to `account`, all its plan at once, and before it draws any noise.

    A run that is killed has been charged and stays so. Resumed with the key of its noise it makes the same releases
    again, and is not charged again; with a fresh key it is another run.

    Attributes:
        account: Of the data set.
        name: Of the run, in words for the account.
    """

    account: Account
    name: str = "a run"

    def check(self, plan: Plan, fingerprint: str | None = None) -> None:
        """Refuse a plan that would exceed the account, before any data are opened; nothing is charged.

        fingerprint: of the noise key of a run that is to be resumed.
        """
        self.account.check(plan.charges, plan.budget, fingerprint)

    def charge(self, plan: Plan, randomness: RandomGenerators) -> None:
        """Enter all of `plan`.

        Raises `BudgetError` when that would exceed the account, `ConfigError` for seeded noise.
        """
        if not randomness.privacy.secure:
            raise ConfigError("seeded noise is not private, so no account can be kept of it: leave the account out")
        self.account.charge(plan.charges, plan.budget, randomness.privacy.fingerprint, self.name)
