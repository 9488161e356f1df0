"""Draw synthetic rows from a finished run.  It reads the release only and costs no privacy budget.

    python generate.py run=outputs/maf-adult n=48842
    python generate.py run=outputs/maf-adult n=1000 seed=7 out=sample.parquet
    python generate.py run=outputs/maf-adult n=1000 where='{sex: Female}' out=women.csv

The options are in configs/generate.yaml, the steps in dpsynth/commands/generate.py.
"""

from dpsynth.commands.entry import generate

if __name__ == "__main__":
    generate()
