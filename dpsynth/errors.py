"""Errors meant for people: each names what was wrong, where, and what to do.

The commands print the message of any `DpsynthError` on one line and exit with code 2; nothing else is caught.
"""


class DpsynthError(Exception):
    """A mistake that its user can correct; the message says what, where and how."""


class SchemaError(DpsynthError):
    """A schema file or `Domain` that contradicts itself or leaves out a public fact."""


class DataError(DpsynthError):
    """A table or image set that cannot be read, or does not fit its declared domain."""


class BudgetError(DpsynthError):
    """A privacy budget that cannot be met, or an attempt to spend more than was planned."""


class ConfigError(DpsynthError):
    """An option that is unknown, contradictory, or not possible for the chosen model or data."""


class ArtifactError(DpsynthError):
    """A saved run that is missing, unfinished, damaged, or of another format version."""
