"""The table that metrics are tested on."""

from ..evaluated_tables import domain, draw

__all__ = ["domain", "draw"]
