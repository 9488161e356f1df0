"""Score synthetic rows against real ones.  Everything it writes is private: it is computed from real data.

    python evaluate.py run=outputs/maf-adult                   # all metrics, into <run>/private/
    python evaluate.py run=outputs/maf-adult metrics=quick
    python evaluate.py real=A.csv holdout=B.csv synthetic=C.csv schema=S.yaml out=scores

It writes scores.json, report.html and figures/.  The options are in configs/evaluate.yaml and
configs/metrics/, the steps in dpsynth/commands/evaluate.py.
"""

from dpsynth.commands.entry import evaluate

if __name__ == "__main__":
    evaluate()
