"""How good is maf on Adult? Trains it for several epsilons and seeds, and scores it against the official test split.

    python benchmarks/maf_quality.py --epsilons 0.3,1,3,10 --seeds 0,1,2 [--json FILE] [--data adult] [key=value ...]

Scores and --validate as in `table_quality.py`; `key=value` sets fields of the recipe.
"""

from table_quality import arguments, changes, compare, fitting, show, write

from dpsynth.models.maf.recipe import MAF


def main() -> None:
    wanted = arguments(__doc__).parse_args()
    recipe = MAF().replace(**changes(wanted.overrides))
    results = compare({"maf": fitting(recipe)}, wanted)
    show(results, f"maf on {wanted.data}, delta {wanted.delta:g}, mean (sd) over seeds")
    write(wanted.json, {"maf": recipe}, results)


if __name__ == "__main__":
    main()
