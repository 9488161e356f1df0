"""Which categories belong together: a public tree above the values of a column, or the beginnings of their names.

    hierarchy: {Circulatory: [I10, I21], Respiratory: {Asthma: [J45], Others: [J43, J44]}}
    hierarchy: [1, 3]     # codes that begin with the same character belong together, closer those with the same three

A hierarchy says nothing about the rows. Methods join categories that are too rare to be seen in the noise with others
of their group, the smallest group that stands out, so that what the group has to do with other columns is kept (a
taxonomy tree, Zhang et al. 2017, section 5.3).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from dpsynth.data.columns.raw import as_text
from dpsynth.errors import SchemaError

DEEPEST = 16  # groups within groups

Path = tuple[str, ...]


@dataclass(frozen=True)
class Hierarchy:
    """The groups of each category, from the widest to the closest.

    Attributes:
        prefixes: Ascending numbers of characters: categories that begin alike belong together.
        paths: (category, groups) pairs, where groups are named by hand. One of both is empty.
    """

    prefixes: tuple[int, ...] = ()
    paths: tuple[tuple[str, Path], ...] = ()

    @cached_property
    def _path_of(self) -> dict[str, Path]:
        return dict(self.paths)

    def path(self, category: str) -> Path:
        """Its groups, from the widest to the closest; none for a category in no group."""
        if self.prefixes:
            return tuple(category[:length] for length in self.prefixes if length < len(category))
        return self._path_of.get(category, ())

    @property
    def categories(self) -> list[str]:
        """The categories that the tree names, in its order; none where names decide."""
        return [category for category, _ in self.paths]

    def of(self, categories: Iterable[str]) -> Hierarchy | None:
        """The part that speaks of these categories; None where there is none."""
        if self.prefixes:
            return self
        wanted = set(categories)
        paths = tuple((category, path) for category, path in self.paths if category in wanted)
        return Hierarchy(paths=paths) if paths else None

    @classmethod
    def from_spec(cls, spec: Any, where: str) -> Hierarchy:
        """From the value of `hierarchy:` in a schema. Raises `SchemaError`."""
        if isinstance(spec, Mapping):
            paths = tuple(_leaves(spec, (), where))
            seen: set[str] = set()
            for category, _ in paths:
                if category in seen:
                    raise SchemaError(f"{where}: '{category}' stands in two groups")
                seen.add(category)
            if not paths:
                raise SchemaError(f"{where}: names no category")
            return cls(paths=paths)
        if isinstance(spec, Iterable) and not isinstance(spec, str):
            try:
                lengths = tuple(int(str(value)) for value in spec)
            except ValueError:
                lengths = ()
            if lengths and lengths[0] > 0 and list(lengths) == sorted(set(lengths)):
                return cls(prefixes=lengths)
        raise SchemaError(
            f"{where}: write a tree such as {{Circulatory: [I10, I21], Respiratory: [J44]}}, or how many first "
            "characters make a group, from few to many, such as [1, 3]"
        )

    def to_spec(self) -> dict[str, Any] | list[int]:
        """The inverse of `from_spec`."""
        if self.prefixes:
            return list(self.prefixes)
        tree: dict[str, Any] = {}
        for category, path in self.paths:
            node = tree
            for group in path[:-1]:
                node = node.setdefault(group, {})
            node.setdefault(path[-1], []).append(category)
        return tree


def _leaves(spec: Mapping[Any, Any], above: Path, where: str) -> Iterator[tuple[str, Path]]:
    if len(above) >= DEEPEST:
        raise SchemaError(f"{where}: more than {DEEPEST} groups within groups")
    for name, inner in spec.items():
        path = (*above, str(name))
        if isinstance(inner, Mapping):
            yield from _leaves(inner, path, where)
        elif isinstance(inner, Iterable) and not isinstance(inner, str):
            for value in inner:
                if isinstance(value, (Mapping, list, tuple)):
                    raise SchemaError(f"{where}, {name}: a group holds categories, or further groups, not both")
                yield as_text(value), path
        else:
            raise SchemaError(f"{where}, {name}: list its categories, as in {name}: [{inner}]")
