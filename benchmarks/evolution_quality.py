"""How good are tables made by Private Evolution? Beside the models of marginals it can be seeded with, and others.

    python benchmarks/evolution_quality.py [--models independent,pe,mst,pe+mst] [--epsilons 1] [--seeds 0,1,2]
        [--data adult] [--validate] [--json FILE] [key=value ...]

`pe` is the default recipe, `pe+NAME` the same seeded with another model (`pe+none`: even proposals, as Tab-PE). Others:
independent, mst, aim, privbayes, dpvi, napsu. `key=value` sets fields of all PE recipes. Scores and protocol:
`table_quality.py`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from table_quality import arguments, changes, compare, fitting, show, write

from dpsynth.models import DPVI, NAPSU, PE, Synthesizer
from dpsynth.models.pe.recipe import PROPOSAL_MODELS

OTHERS: dict[str, type[Synthesizer]] = {**PROPOSAL_MODELS, "dpvi": DPVI, "napsu": NAPSU}


def recipe_of(name: str, fields: Mapping[str, Any]) -> Synthesizer:
    """The recipe behind a name of --models."""
    if name in OTHERS:
        return OTHERS[name]()
    kind, _, seed = name.partition("+")
    if kind != "pe":
        raise SystemExit(f"--models {name}: choose pe, pe+NAME, {', '.join(OTHERS)}")
    recipe = PE().replace(**fields)
    return recipe.replace(proposal={"model": None if seed == "none" else seed}) if seed else recipe


def main() -> None:
    parser = arguments(__doc__)
    parser.add_argument("--models", default="independent,pe,mst,pe+mst")
    wanted = parser.parse_intermixed_args()
    recipes = {name: recipe_of(name, changes(wanted.overrides)) for name in wanted.models.split(",")}
    results = compare({name: fitting(recipe) for name, recipe in recipes.items()}, wanted)
    show(results, f"Private Evolution on {wanted.data}")
    write(wanted.json, recipes, results)


if __name__ == "__main__":
    main()
