"""Which classes a configuration or a model file may name, and how an object is built from its configuration.

A `_target_` in a config, in the kept options of a run or in a model.json is text from a file, and building what it
names runs code. So only classes of this package are built, and those of installed packages that ask for it: a
distribution registers its package under the entry point group `dpsynth.models`,

    [project.entry-points."dpsynth.models"]
    my_package = "my_package"

and then `_target_: my_package.my_method.MyMethod` works like the methods shipped here: it trains, and what it fitted
can be loaded wherever that distribution is installed. Names are checked, at every depth, before anything is imported.
A name must lead to a class that the named package itself defines: a function, or a class of another package that it
merely imported, is refused.
"""

import importlib
import inspect
from collections.abc import Iterator, Mapping
from importlib.metadata import entry_points
from typing import Any, TypeGuard, TypeVar, cast

from dpsynth.errors import ConfigError, DpsynthError
from dpsynth.models.contract.option_groups import OptionGroup, groups_of
from dpsynth.models.contract.option_types import check_types

GROUP = "dpsynth.models"
OWN = ("dpsynth.models",)  # the parts of this package whose classes may be named
DEPTH = 32  # levels of nesting of a configuration

Kind = TypeVar("Kind")


def registered() -> tuple[str, ...]:
    """The top-level packages that installed distributions registered under `GROUP`, sorted; imports none of them."""
    names = (entry.value.partition(":")[0].partition(".")[0].strip() for entry in entry_points(group=GROUP))
    return tuple(sorted({name for name in names if name.isidentifier()}))


def shipped(data: type | str) -> list[str]:
    """What `model=` calls the methods of this package that learn from `data`, such as `Table`, or make data of that
    modality, such as "table"; sorted."""
    methods = importlib.import_module("dpsynth.models")
    kinds = [getattr(methods, name) for name in methods.__all__]
    fact = "modalities" if isinstance(data, str) else "learns_from"
    found = [kind for kind in kinds if data in getattr(kind, fact, ()) and not inspect.isabstract(kind)]
    return sorted({"maf" if kind.__name__ == "PixelMAF" else kind.__name__.lower() for kind in found})


def refuse_unknown(config: Any, where: str) -> None:
    """Refuse a configuration that names a class from elsewhere, at any depth, by name alone.

    where: file or option that holds it, for the message. Raises `ConfigError`.
    """
    for target in _targets(config, where, 0):
        _package_of(target, where)


def class_of(target: Any, kind: type[Kind], where: str) -> type[Kind]:
    """The class called `target`, a concrete subclass of `kind`. Raises `ConfigError` otherwise."""
    package = _package_of(target, where)
    module, _, name = target.rpartition(".")
    try:
        found = getattr(importlib.import_module(module), name, None)
    except ImportError as error:
        raise ConfigError(f"{where}: {target} cannot be imported ({error})") from None
    if not isinstance(found, type) or not _inside(found.__module__, (package,)):
        raise ConfigError(f"{where}: {target} is not a class that {package} defines")
    if not issubclass(found, kind):
        raise ConfigError(f"{where}: {target} is not a {kind.__name__}")
    if inspect.isabstract(found):
        raise ConfigError(f"{where}: {target} is abstract; name a class that can be built")
    return found


def build(config: Mapping[str, Any], kind: type[Kind], where: str) -> Kind:
    """The object that `config` describes: the class `_target_` called with the other keys, nested ones built first.

    Raises `ConfigError` when a class is unknown, when it is not a `kind`, or when a key is not one of its fields.
    """
    refuse_unknown(config, where)
    return _built(config, kind, where)


def _built(config: Mapping[str, Any], kind: type[Kind], where: str) -> Kind:
    return _constructed(class_of(config.get("_target_"), kind, where), config, where)


def _constructed(built: type[Kind], config: Mapping[str, Any], where: str) -> Kind:
    """An object of the class `built`; its groups of options are made from the types of its fields."""
    groups = groups_of(built)
    fields = {
        key: _group(groups[key], value, f"{where}.{key}") if key in groups else _value(value, f"{where}.{key}")
        for key, value in config.items()
        if key != "_target_"
    }
    try:
        inspect.signature(built).bind(**fields)
    except TypeError as error:
        known = ", ".join(inspect.signature(built).parameters)
        raise ConfigError(f"{where}: {error}; there are {known or 'none'}") from None
    check_types(built, fields, where)
    try:
        return built(**fields)
    except ConfigError as error:
        if issubclass(built, OptionGroup):  # which does not know where it stands
            raise ConfigError(f"{where}.{error}") from None
        raise
    except (TypeError, ValueError, ArithmeticError) as error:
        if isinstance(error, DpsynthError):
            raise
        raise ConfigError(f"{where}: {error}") from error


def _group(kind: type, value: Any, where: str) -> Any:
    """A group of options, of a given class or of the one it names; anything but a mapping as it is."""
    if _is_mapping(value) and "_target_" not in value:
        return _constructed(cast("type[Any]", kind), value, where)
    return _value(value, where)


def _value(value: Any, where: str) -> Any:
    if _is_mapping(value):
        if "_target_" in value:
            return _built(value, object, where)
        return {key: _value(each, f"{where}.{key}") for key, each in value.items()}
    return [_value(each, f"{where}[{k}]") for k, each in enumerate(value)] if _is_list(value) else value


def _is_mapping(value: object) -> TypeGuard[Mapping[str, Any]]:
    return isinstance(value, Mapping)


def _is_list(value: object) -> TypeGuard[list[Any]]:
    return isinstance(value, list)


def _targets(config: Any, where: str, depth: int) -> Iterator[str]:
    """Every `_target_` of a configuration, the outermost first."""
    if depth > DEPTH:
        raise ConfigError(f"{where}: nested more than {DEPTH} levels deep")
    if _is_mapping(config):
        if isinstance(config.get("_target_"), str):  # a column may bear that name, and hold something else
            yield config["_target_"]
        config = list(config.values())
    if _is_list(config):
        for each in config:
            yield from _targets(each, where, depth + 1)


def _package_of(target: Any, where: str) -> str:
    """The package that `target` may be imported from; `ConfigError` when there is none."""
    if isinstance(target, str) and all(part.isidentifier() for part in target.split(".")):
        for package in OWN:
            if _inside(target, (package,)) and target != package:
                return package
        for package in registered():
            if _inside(target, (package,)) and target != package:
                return package
    raise ConfigError(
        f"{where}: _target_ names {target!r:.200}; only classes of dpsynth.models are built, and "
        f"of packages registered under the entry point group {GROUP} ({', '.join(registered()) or 'none is'})"
    )


def _inside(name: str, packages: tuple[str, ...]) -> bool:
    """Whether a dotted name is one of the packages, or lies below it."""
    return any(name == package or name.startswith(f"{package}.") for package in packages)
