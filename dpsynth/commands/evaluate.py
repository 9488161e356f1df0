"""evaluate.py: how good are synthetic rows?  Evaluated against real rows, so everything it writes is private."""

import time
from contextlib import nullcontext

from omegaconf import DictConfig
from rich.console import Console

from dpsynth.commands.launch import launch
from dpsynth.evaluation.evaluation import Evaluator, show
from dpsynth.evaluation.inputs import inputs_of
from dpsynth.evaluation.run_comparison import compare_runs
from dpsynth.evaluation.suite import Settings
from dpsynth.runs.options import EvaluateOptions, typed
from dpsynth.runs.run_folder import run_being_read


def main() -> None:
    launch("evaluate", run_evaluation)


def run_evaluation(config: DictConfig) -> None:
    begun = time.monotonic()
    console = Console()
    options = typed(EvaluateOptions, config)
    evaluator = Evaluator(Settings.from_dict(options.metrics), options.figures, options.progress)
    if options.runs is not None:
        compare_runs(options, evaluator, console)
        return
    with nullcontext() if options.run is None else run_being_read(options.run):
        inputs = inputs_of(options)
        show(evaluator.evaluate(inputs), inputs, console, begun)


if __name__ == "__main__":
    main()
