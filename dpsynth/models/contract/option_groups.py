"""Named groups of options within a recipe, and the ranges that options must keep to.

A recipe with many options shows its most important ones at the top and the others in groups, each a frozen dataclass
that extends `OptionGroup`:

    @dataclass(frozen=True)
    class StudentOptions(OptionGroup):
        steps: int = 40

        def __post_init__(self) -> None:
            at_least(self, 1, "steps")

In a configuration a group is a mapping without a `_target_`; `registry.build` makes it from the type of the recipe's
field. A group says what is wrong with an option by the option's own name, `steps=0: must be at least 1`; whoever builds
the recipe puts the path of the group before it, as in `model.student.steps=0`.
"""

from collections.abc import Mapping
from dataclasses import dataclass, is_dataclass, replace
from inspect import isabstract
from typing import Any, NoReturn, TypeVar, cast, get_args, get_type_hints

from dpsynth.errors import ConfigError

Recipe = TypeVar("Recipe")


@dataclass(frozen=True)
class OptionGroup:
    """Options that belong together; every field is public configuration."""


def groups_of(recipe: type) -> dict[str, type]:
    """The fields of a recipe, or of a group, that hold a group of options or a recipe of their own, with its class."""
    try:
        hints = get_type_hints(recipe)
    except (NameError, TypeError):  # annotations that cannot be told at run time
        return {}
    found: dict[str, type] = {}
    for name, hint in hints.items():
        for kind in (hint, *get_args(hint)):
            if isinstance(kind, type) and is_dataclass(kind) and not isabstract(kind):
                found[name] = kind
    return found


def changed(recipe: Recipe, changes: Mapping[str, Any], where: str = "") -> Recipe:
    """`recipe` with some options changed; a mapping changes only the options of a group that it names.

    Raises:
        ConfigError: An option does not exist, or its value is refused; the message begins with its path.
    """
    groups = groups_of(type(recipe))
    merged: dict[str, Any] = {}
    for name, value in changes.items():
        group = getattr(recipe, name, None)
        if name in groups and isinstance(value, Mapping):
            value = changed(
                groups[name]() if group is None else group, cast("Mapping[str, Any]", value), f"{where}{name}."
            )
        merged[name] = value
    try:
        return replace(recipe, **merged)  # type: ignore[type-var]
    except TypeError as error:
        raise ConfigError(f"{where.rstrip('.') or type(recipe).__name__}: {error}") from None
    except ConfigError as error:
        if where and isinstance(recipe, OptionGroup):
            raise ConfigError(f"{where}{error}") from None
        raise


# -------------------- Ranges ----------------------------------------------------------------


def at_least(options: Any, least: float, *names: str, where: str = "") -> None:
    """Raise `ConfigError` for the first of these options below `least`; None, where its type allows it, is no value.

    where: path of the options, put before the name, such as `model.`.
    """
    for name in names:
        value = getattr(options, name)
        if value is not None and not value >= least:
            refuse(options, name, "must not be negative" if least == 0 else f"must be at least {least}", where)


def above_zero(options: Any, *names: str, where: str = "") -> None:
    """The same for options that must be above 0."""
    for name in names:
        value = getattr(options, name)
        if value is not None and not value > 0:
            refuse(options, name, "must be above 0", where)


def between(options: Any, low: float, high: float, *names: str, where: str = "", ends: str = "[]") -> None:
    """The same for options that must lie in an interval. ends: `[` or `]` for an end that belongs to it, else a
    parenthesis, as in mathematics."""
    for name in names:
        value = getattr(options, name)
        if value is None:
            continue
        above = value >= low if ends[0] == "[" else value > low
        below = value <= high if ends[1] == "]" else value < high
        if not (above and below):
            words = (f"at least {low:g}" if ends[0] == "[" else f"above {low:g}",
                     f"at most {high:g}" if ends[1] == "]" else f"below {high:g}")  # fmt: skip
            refuse(options, name, f"must be {words[0]} and {words[1]}", where)


def one_of(options: Any, choices: tuple[Any, ...], name: str, where: str = "") -> None:
    """The same for an option that must be one of `choices`."""
    if getattr(options, name) not in choices:
        refuse(options, name, f"choose {', '.join(map(str, choices[:-1]))} or {choices[-1]}", where)


def refuse(options: Any, name: str, reason: str, where: str = "") -> NoReturn:
    """Raise the `ConfigError` of an option, with its value."""
    raise ConfigError(f"{where}{name}={getattr(options, name)}: {reason}")
