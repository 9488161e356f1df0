"""Only public figures reach a sink, and no times of steps, unless the user says so."""

import sys
import types

import pytest

from dpsynth.errors import ConfigError
from dpsynth.integrations.tracking import MLflow, TensorBoard
from dpsynth.training.progress import Public


class Client:
    """The calls of `mlflow.MlflowClient` that a sink makes."""

    def __init__(self):
        self.metrics, self.tags, self.files = [], {}, {}

    def log_metric(self, run_id, key, value, timestamp=None, step=None):
        self.metrics.append((run_id, key, value, timestamp, step))

    def set_tag(self, run_id, key, value):
        self.tags[key] = value

    def log_dict(self, run_id, dictionary, artifact_file):
        self.files[artifact_file] = dictionary


@pytest.fixture
def mlflow(monkeypatch):
    stub = types.ModuleType("mlflow")
    stub.__spec__ = types.SimpleNamespace(name="mlflow")
    stub.client = Client()
    stub.MlflowClient = lambda: stub.client
    stub.active = types.SimpleNamespace(info=types.SimpleNamespace(run_id="here"))
    stub.active_run = lambda: stub.active
    monkeypatch.setitem(sys.modules, "mlflow", stub)
    return stub


def follow(sink, steps=3):
    sink.start("class rejection", 0, steps)
    for step in range(1, steps + 1):
        sink.update(step, {"loss": 1.5, "noise_to_signal": Public(0.25)})
    sink.stop()


def test_mlflow_is_given_public_figures_alone_and_no_times_of_steps(mlflow, monkeypatch):
    clock = iter(range(1, 100))
    monkeypatch.setattr("time.time", lambda: float(next(clock)))
    follow(MLflow())
    assert {(run, key, value) for run, key, value, _, _ in mlflow.client.metrics} == {
        ("here", "class_rejection/noise_to_signal", 0.25)
    }
    assert [step for *_, step in mlflow.client.metrics] == [1, 2, 3]
    assert len({timestamp for *_, timestamp, _ in mlflow.client.metrics}) == 1


def test_private_figures_only_when_the_user_says_so(mlflow, monkeypatch):
    clock = iter(range(1, 100))
    monkeypatch.setattr("time.time", lambda: float(next(clock)))
    follow(MLflow("there", private=True))
    assert {key for _, key, *_ in mlflow.client.metrics} == {"class_rejection/noise_to_signal", "class_rejection/loss"}
    assert {run for run, *_ in mlflow.client.metrics} == {"there"}
    assert len({timestamp for *_, timestamp, _ in mlflow.client.metrics}) == 3


def test_the_statement_is_kept_with_the_run(mlflow):
    statement = {"guarantee": "(1, 1e-05)-differential privacy", "unit": "one row", "charges": []}
    MLflow().log_statement(statement)
    assert mlflow.client.files == {"privacy.json": statement}
    assert mlflow.client.tags["privacy.guarantee"] == statement["guarantee"]


def test_a_run_must_be_active(mlflow):
    mlflow.active = None
    with pytest.raises(ConfigError, match=r"mlflow\.start_run"):
        MLflow()
    MLflow("there")


def test_a_missing_package_is_said(monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(ConfigError, match="pip install mlflow"):
        MLflow()


@pytest.mark.parametrize("private", [False, True])
def test_tensorboard_events_hold_public_figures_alone(tmp_path, private):
    pytest.importorskip("tensorboard", reason="TensorBoard is not installed: pip install tensorboard")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    follow(TensorBoard(tmp_path, private=private))
    events = EventAccumulator(str(tmp_path / "class-rejection"))
    events.Reload()
    assert set(events.Tags()["scalars"]) == ({"noise_to_signal", "loss"} if private else {"noise_to_signal"})
    if not private:
        assert len({event.wall_time for event in events.Scalars("noise_to_signal")}) == 1


def test_a_run_of_mlflow_itself(tmp_path, monkeypatch):
    mlflow = pytest.importorskip("mlflow", reason="MLflow is not installed: pip install mlflow-skinny")
    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")
    mlflow.set_tracking_uri(tmp_path.as_uri())
    mlflow.set_experiment("a test")
    with mlflow.start_run() as run:
        follow(MLflow())
    found = mlflow.MlflowClient().get_metric_history(run.info.run_id, "class_rejection/noise_to_signal")
    assert [each.value for each in found] == [0.25] * 3
    assert set(mlflow.MlflowClient().get_run(run.info.run_id).data.metrics) == {"class_rejection/noise_to_signal"}
