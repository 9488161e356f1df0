"""Whether the value of an option is of the type that a recipe or a data source declares for it."""

import math
import types
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import is_dataclass
from typing import Any, Literal, Union, cast, get_args, get_origin, get_type_hints

from dpsynth.errors import ConfigError

LARGEST = 2**63  # whole numbers at and beyond it are no option of anything
_NAMES = {
    bool: "true or false", int: "a whole number", float: "a number", str: "text", type(None): "null",
    dict: "a mapping {key: value}", list: "a list [a, b]",
}  # fmt: skip


def check_types(target: Callable[..., Any], values: Mapping[str, Any], where: str) -> None:
    """Raise `ConfigError` for the first of `values` that does not fit the annotation of its parameter.

    target: a class or function with annotated parameters. Parameters without an annotation of plain YAML values are
    not evaluated, nor are keys that are no parameters.
    """
    annotated: Callable[..., Any] = target
    if isinstance(target, type) and not is_dataclass(target):
        annotated = cast(Any, target).__init__
    try:
        hints = get_type_hints(annotated)  # of a dataclass, those of its fields, each by the names of its own module
    except (NameError, TypeError):  # annotations that cannot be told at run time
        return
    for key, value in values.items():
        if key in hints and not _fits(hints[key], value):
            raise ConfigError(f"{where}.{key}={value!r:.60}: must be {_words(hints[key])}")


def _fits(hint: Any, value: Any) -> bool:
    """Whether `value` can be what `hint` says; True where that cannot be told."""
    origin = get_origin(hint) or hint
    if origin in (Union, types.UnionType):
        return any(_fits(each, value) for each in get_args(hint))
    if origin is Literal:
        return value in get_args(hint) if isinstance(value, str | int | bool | None) else False
    if is_dataclass(origin):  # a group of options, built before its recipe
        return isinstance(origin, type) and isinstance(value, origin)
    if isinstance(value, bool):
        return origin in (bool, Any, object)
    if isinstance(value, int) and abs(value) >= LARGEST:
        return False
    if origin is float:
        return isinstance(value, int | float)
    if origin in (int, bool, str):
        return isinstance(value, origin)
    if origin is type(None):
        return value is None
    if origin is Iterable and (value is None or isinstance(value, str)):  # one for several, or none
        return True
    if origin in (Sequence, Iterable, list, tuple):
        inside = get_args(hint)
        listed = isinstance(value, list | tuple)
        return listed and (not inside or all(_fits(inside[0], each) for each in cast(Iterable[Any], value)))
    if origin in (Mapping, dict):
        return isinstance(value, Mapping)
    if isinstance(value, Mapping | list) or (isinstance(value, float) and math.isnan(value)):
        return origin in (Any, object)
    return True


def _words(hint: Any) -> str:
    origin = get_origin(hint) or hint
    if origin in (Union, types.UnionType):
        return " or ".join(dict.fromkeys(_words(each) for each in get_args(hint)))
    if origin is Literal:
        return " or ".join(map(str, get_args(hint)))
    if origin in (Sequence, Iterable, tuple):
        return _NAMES[list]
    if origin is Mapping or is_dataclass(origin):
        return _NAMES[dict]
    return _NAMES.get(origin, getattr(origin, "__name__", str(origin)))
