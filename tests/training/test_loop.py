"""The loop, on a small regression with privacy noise: same order, same numbers, interrupted or not."""

import os
import signal

import pytest
import torch
from torch import nn

from dpsynth.errors import ArtifactError, ConfigError
from dpsynth.privacy.noise.random import RandomGenerators
from dpsynth.training import Checkpoint, Interrupted, TrainerSettings, train

STEPS = 12
CONTENT = "the digest of the rows"


class Average:
    """A running mean of the weights."""

    def __init__(self, module):
        self.mean = [torch.zeros_like(p) for p in module.parameters()]
        self.module, self.calls = module, 0

    def update(self, step):
        self.calls += 1
        for mean, parameter in zip(self.mean, self.module.parameters(), strict=True):
            mean += (parameter.detach() - mean) / self.calls

    def state_dict(self):
        return {"mean": list(self.mean), "calls": self.calls}

    def load_state_dict(self, state):
        self.mean, self.calls = list(state["mean"]), state["calls"]


class Recorder:
    def __init__(self):
        self.events = []

    def start(self, title, first, steps):
        self.events.append(("start", first, steps))

    def update(self, step, figures):
        self.events.append((step, figures))

    def stop(self):
        self.events.append("stop")


def run(randomness, checkpoint=None, stop_after=None, settings=None, progress=None, stop_with=signal.SIGINT):
    """Train the toy model; with `stop_after`, Ctrl-C is pressed in the middle of that step."""
    if checkpoint:
        randomness = checkpoint.begin(randomness, {"plan": 1}, CONTENT)
    init = randomness.model("init")
    module = nn.Linear(4, 1)
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=init))
    batches = randomness.model("batches")
    average = Average(module)

    def step(t):
        x = torch.randn(8, 4, generator=batches)
        loss = ((module(x) - x.sum(1, keepdim=True)) ** 2).mean()
        module.zero_grad()
        loss.backward()
        for number, parameter in enumerate(module.parameters()):
            noise = randomness.privacy.keystream(f"gradient-{number}", t).normal(parameter.numel())
            parameter.grad += 0.1 * noise.view(parameter.shape).float()
        if t == stop_after:
            os.kill(os.getpid(), stop_with)
        return {"loss": loss.detach(), "noise_to_signal": 0.5}

    train(
        module,
        step,
        torch.optim.Adam(module.parameters(), lr=0.05),
        lambda t: 1 - t / STEPS,
        STEPS,
        average,
        settings=settings or TrainerSettings(progress="quiet"),
        generators={"batches": batches},
        checkpoint=checkpoint,
        progress=progress,
    )
    return [parameter.detach().clone() for parameter in module.parameters()] + average.mean


def same(one, other):
    return all(torch.equal(a, b) for a, b in zip(one, other, strict=True))


@pytest.mark.parametrize("stop_with", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("stop_after", [0, 5, STEPS - 1])
def test_interrupted_and_resumed_equals_uninterrupted(tmp_path, stop_after, stop_with):
    whole = run(RandomGenerators(3, "seeded"))
    checkpoint = Checkpoint(tmp_path / "checkpoint")
    before = signal.getsignal(stop_with)
    with pytest.raises(Interrupted, match=f"after step {stop_after + 1} of {STEPS}"):
        run(RandomGenerators(3, "seeded"), checkpoint, stop_after, stop_with=stop_with)
    assert signal.getsignal(stop_with) == before
    assert same(run(RandomGenerators(99), Checkpoint(tmp_path / "checkpoint")), whole)


def test_secure_noise_is_the_same_after_resuming_and_another_in_another_run(tmp_path):
    checkpoint = Checkpoint(tmp_path / "a")
    with pytest.raises(Interrupted):
        run(RandomGenerators(3), checkpoint, 5)
    first = run(RandomGenerators(3), checkpoint)
    assert same(first, run(RandomGenerators(3), checkpoint))
    assert not same(first, run(RandomGenerators(3)))


def test_killed_without_warning_restarts_with_the_same_noise(tmp_path):
    checkpoint = Checkpoint(tmp_path / "a")
    checkpoint.begin(RandomGenerators(3), {"plan": 1}, CONTENT)  # then the process is killed
    assert same(run(RandomGenerators(3), checkpoint), run(RandomGenerators(3), checkpoint))


def test_checkpoints_by_the_clock_do_not_change_the_result(tmp_path):
    settings = TrainerSettings(checkpoint_minutes=0)
    checkpoint = Checkpoint(tmp_path / "a")
    assert same(run(RandomGenerators(3, "seeded"), checkpoint, settings=settings), run(RandomGenerators(3, "seeded")))
    assert (tmp_path / "a" / "training.state").exists()


def test_a_finished_training_is_not_repeated(tmp_path):
    whole = run(RandomGenerators(3, "seeded"), Checkpoint(tmp_path))
    progress = Recorder()
    assert same(run(RandomGenerators(3, "seeded"), Checkpoint(tmp_path), progress=progress), whole)
    assert progress.events == [("start", STEPS, STEPS), "stop"]


def test_phases_of_one_run_share_the_noise_key_and_nothing_else(tmp_path):
    checkpoint = Checkpoint(tmp_path)
    run(RandomGenerators(3), checkpoint)
    second = checkpoint.phase("marginal fit")
    assert second.exists
    assert not second.trained
    assert second.restore({}) == 0
    assert checkpoint.trained


@pytest.mark.parametrize(
    ("plan", "content"),
    [({"plan": 2}, CONTENT), ({"plan": 1}, "the digest of other rows")],
)
def test_a_checkpoint_refuses_another_plan_and_other_data(tmp_path, plan, content):
    Checkpoint(tmp_path).begin(RandomGenerators(0), {"plan": 1}, CONTENT)
    with pytest.raises(ArtifactError, match="changed since this run was interrupted"):
        Checkpoint(tmp_path).begin(RandomGenerators(0), plan, content)


def test_the_checkpoint_folder_is_private_and_can_be_forgotten(tmp_path):
    checkpoint = Checkpoint(tmp_path / "deep" / "checkpoint")
    checkpoint.begin(RandomGenerators(0), {}, CONTENT)
    assert checkpoint.folder.stat().st_mode & 0o077 == 0
    checkpoint.delete()
    assert not checkpoint.exists


def test_figures_are_shown_every_so_often_and_at_the_end():
    progress = Recorder()
    run(RandomGenerators(3, "seeded"), settings=TrainerSettings(log_every=5), progress=progress)
    assert progress.events[0] == ("start", 0, STEPS)
    assert [event[0] for event in progress.events[1:-1]] == [5, 10, 12]
    assert all(isinstance(value, float) for event in progress.events[1:-1] for value in event[1].values())
    assert progress.events[-1] == "stop"


def test_the_schedule_multiplies_the_optimizers_own_rate():
    module = nn.Linear(1, 1, bias=False)
    optimizer = torch.optim.SGD([{"params": [module.weight], "lr": 0.5}])
    start = module.weight.item()

    def step(t):
        module.weight.grad = torch.ones(1, 1)
        return {}

    train(module, step, optimizer, [1.0, 0.5, 0.0].__getitem__, 3, settings=TrainerSettings())
    assert module.weight.item() == pytest.approx(start - 0.5 - 0.25)


def test_without_a_checkpoint_ctrl_c_is_the_ordinary_one():
    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # a job in the background may ignore it
    try:
        with pytest.raises(KeyboardInterrupt) as stopped:
            run(RandomGenerators(3, "seeded"), stop_after=4)
    finally:
        signal.signal(signal.SIGINT, before)
    assert not isinstance(stopped.value, Interrupted)


def test_threads_apply_inside_training_only():
    before = torch.get_num_threads()
    seen = []

    def step(t):
        seen.append(torch.get_num_threads())
        return {}

    module = nn.Linear(1, 1)
    optimizer = torch.optim.SGD(module.parameters(), lr=1.0)
    train(module, step, optimizer, lambda t: 1.0, 1, settings=TrainerSettings(threads=before + 1))
    assert seen == [before + 1]
    assert torch.get_num_threads() == before


@pytest.mark.parametrize("bad", [{"log_every": 0}, {"checkpoint_minutes": -1.0}])
def test_impossible_settings_are_refused(bad):
    with pytest.raises(ConfigError, match=next(iter(bad))):
        TrainerSettings(**bad)


@pytest.mark.parametrize("threads", [0, -1])
def test_no_threads_at_all_is_refused(threads):
    with pytest.raises(ConfigError, match="at least one thread"):
        run(RandomGenerators(3, "seeded"), settings=TrainerSettings(threads=threads))


@pytest.mark.slow
def test_compiled_training_gives_the_same_numbers_or_says_why_not():
    try:
        compiled = run(RandomGenerators(3, "seeded"), settings=TrainerSettings(compile=True))
    except ConfigError as error:
        assert "compile=true does not work" in str(error)  # noqa: PT017
        return
    for a, b in zip(compiled, run(RandomGenerators(3, "seeded")), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-5)
