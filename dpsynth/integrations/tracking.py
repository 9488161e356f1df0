"""Sinks of a training's figures: MLflow and TensorBoard, by the one protocol that every method speaks to.

    recipe.fit(table, budget, progress=MLflow())                                # into the active run of MLflow
    recipe.fit(table, budget, progress=TensorBoard(Path("logs")))               # event files in a folder
    recipe.fit(table, budget, progress=Together(listen("bar"), MLflow()))       # and a bar on the terminal

A sink is a `dpsynth.training.Listener`: `start`, `update` with figures by name, `stop`; one of your own needs nothing
else. Tracking servers are read by many, so a sink is given only what a terminal may show: the figures that a method
marked as `Public`, which follow from public facts and released numbers. Losses and gradient norms are computed from
private rows without noise, and so is, to a degree, the time that a step takes; they go to a sink with `private=True`
alone, and whoever can read the sink then has to be trusted as `private/` is. Without it every figure is recorded with
the time at which its training began.
"""

from __future__ import annotations

import importlib
import importlib.util
import time
from collections.abc import Mapping
from typing import Any

from dpsynth.errors import ConfigError
from dpsynth.training.progress import Figures, Listener, TensorBoard, Together, listen, number, public

__all__ = ["Listener", "MLflow", "TensorBoard", "Together", "listen"]


class MLflow:
    """Figures as metrics of a run of MLflow: `training/loss` is the loss of the training called "training"."""

    def __init__(self, run_id: str | None = None, private: bool = False) -> None:
        """Nothing is sent yet.

        Args:
            run_id: The run; by default the one that is active.
            private: Send private figures and the times of steps, too.

        Raises:
            ConfigError: MLflow is not installed, or no run is active and none is named.
        """
        if importlib.util.find_spec("mlflow") is None:
            raise ConfigError("MLflow is not installed; run pip install mlflow")
        self._mlflow: Any = importlib.import_module("mlflow")
        active = self._mlflow.active_run()
        if run_id is None and active is None:
            raise ConfigError("no run of MLflow is active: begin one by `with mlflow.start_run():`, or give run_id=")
        self.run_id = run_id if run_id is not None else str(active.info.run_id)
        self.private = private
        self._client: Any = self._mlflow.MlflowClient()
        self._title, self._begun = "", 0

    def start(self, title: str, first: int, steps: int) -> None:
        self._title, self._begun = title.replace(" ", "_").replace(",", ""), _milliseconds()

    def update(self, step: int, figures: Figures) -> None:
        shown = {name: number(figure) for name, figure in figures.items()} if self.private else public(figures)
        when = _milliseconds() if self.private else self._begun
        for name, value in shown.items():
            self._client.log_metric(self.run_id, f"{self._title}/{name}", value, timestamp=when, step=step)

    def stop(self) -> None: ...

    def log_statement(self, statement: Mapping[str, Any]) -> None:
        """Keep the privacy statement of a fitted model with the run, which is public: as `privacy.json`, and its
        target and guarantee as tags."""
        self._client.log_dict(self.run_id, dict(statement), "privacy.json")
        for name in ("guarantee", "unit", "neighbours", "method"):
            if name in statement:
                self._client.set_tag(self.run_id, f"privacy.{name}", str(statement[name]))


def _milliseconds() -> int:
    return int(time.time() * 1000)
