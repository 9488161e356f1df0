"""The small clinic of the tests of data."""

from tests.data.database.conftest import domain, frames

__all__ = ["domain", "frames"]
