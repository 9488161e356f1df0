"""evaluate.py: how good are synthetic rows?  Judged against real rows, so everything it writes is private."""

import time
from contextlib import nullcontext

from omegaconf import DictConfig
from rich.console import Console

from dpsynth.commands.candidate import candidate_of
from dpsynth.commands.judgement import Judge, show
from dpsynth.commands.launch import launch
from dpsynth.commands.options import EvaluateOptions, typed
from dpsynth.commands.run_comparison import compare_runs
from dpsynth.commands.run_folder import run_being_read
from dpsynth.metrics.suite import Settings


def main() -> None:
    launch("evaluate", run_evaluation)


def run_evaluation(config: DictConfig) -> None:
    begun = time.monotonic()
    console = Console()
    options = typed(EvaluateOptions, config)
    judge = Judge(Settings.from_dict(options.metrics), options.figures, options.progress)
    if options.runs is not None:
        compare_runs(options, judge, console)
        return
    with nullcontext() if options.run is None else run_being_read(options.run):
        candidate = candidate_of(options)
        show(judge.judge(candidate), candidate, console, begun)


if __name__ == "__main__":
    main()
