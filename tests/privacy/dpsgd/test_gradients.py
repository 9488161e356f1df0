"""Every engine equals the per-row loop: norms, clipped sums, masks, micro-batches, odd rows, odd networks."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.nn import functional as F

from dpsynth.errors import ConfigError
from dpsynth.networks.masked import MaskedConv2d, MaskedLinear
from dpsynth.privacy.dpsgd.fused import rows_interact
from dpsynth.privacy.dpsgd.gradients import clipped_gradients
from dpsynth.privacy.dpsgd.layer_rules import RULES

MODES = ["fused", "ghost", "hooks", "functorch"]


class Mixed(nn.Module):
    """Embedding of a code, masked residual layers, a norm layer, a plain head, unused and frozen layers."""

    def __init__(self) -> None:
        super().__init__()
        self.table = nn.Embedding(7, 4)
        low, hidden = [0, 0, 1, 1, 1, 2, 3, 3], [0, 1, 1, 2, 0, 2, 3, 3, 1, 0]
        self.first = MaskedLinear(low, hidden, strict=False)
        self.second = MaskedLinear(hidden, hidden, strict=False, bias=False)
        self.norm = nn.LayerNorm(10)
        self.last = MaskedLinear(hidden, [0, 1, 2, 3, 3], strict=True)
        self.head = nn.Linear(5, 3)
        self.frozen = nn.Linear(3, 3)
        self.unused = nn.Linear(2, 2)
        self.frozen.requires_grad_(False)

    def forward(self, x: Tensor, code: Tensor) -> Tensor:
        h = self.first(torch.cat([x, self.table(code)], 1))
        h = h + F.relu(self.second(F.relu(h)))
        out = self.frozen(self.head(self.last(self.norm(h))))
        return F.cross_entropy(out, code % 3, reduction="none") + out.square().sum(1)


class Sequences(nn.Module):
    """Layers on (rows, steps, width) and one layer used three times."""

    def __init__(self, padding_idx: int | None = 0) -> None:
        super().__init__()
        self.table = nn.Embedding(5, 6, padding_idx=padding_idx)
        self.wide = nn.Linear(6, 40)
        self.narrow = nn.Linear(40, 3)
        self.masked = MaskedLinear([0, 1, 2], [1, 0, 2], strict=False)
        self.norm = nn.LayerNorm([3])

    def forward(self, codes: Tensor) -> Tensor:
        h = self.norm(self.narrow(torch.tanh(self.wide(self.table(codes)))))
        h = self.masked(torch.tanh(self.masked(h))) + self.masked(h[:, 0])[:, None]
        return h.square().sum((1, 2))


class Pictures(nn.Module):
    """Convolutions with padding, stride, dilation, groups; group norm; an in-place activation."""

    def __init__(self, padding_mode: str = "reflect") -> None:
        super().__init__()
        self.one = nn.Conv2d(1, 4, 3, padding="same", padding_mode=padding_mode)
        self.norm = nn.GroupNorm(2, 4)
        self.two = nn.Conv2d(4, 4, (2, 3), stride=2, padding=1, groups=2)
        self.three = nn.Conv2d(4, 2, 2, dilation=2, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        h = F.relu(self.norm(self.one(x)))
        h = F.leaky_relu(self.two(h), 0.1, inplace=self.one.padding_mode == "reflect")
        return self.three(h).square().mean((1, 2, 3))


class Rasters(nn.Module):
    """Masked convolutions: a large window, residual layers, one of them used twice, one without bias, a frozen one."""

    def __init__(self) -> None:
        super().__init__()
        self.first = MaskedConv2d(2, 5, 2, 1, strict=True)
        self.twice = MaskedConv2d(5, 5, 1, 1, strict=False)
        self.place = MaskedConv2d(5, 5, 0, 0, strict=False, bias=False)
        self.frozen = MaskedConv2d(5, 5, 0, 1, strict=False)
        self.last = MaskedConv2d(5, 3, 0, 2, strict=True)
        self.frozen.requires_grad_(False)

    def forward(self, x: Tensor) -> Tensor:
        h = self.first(x)
        h = h + self.twice(torch.tanh(h))
        h = h + self.place(torch.tanh(self.twice(h)))
        return self.last(torch.tanh(self.frozen(h))).square().sum((1, 2, 3))


def mixed_batch(rows: int, seed: int = 0) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(rows, 4, generator=generator), torch.randint(0, 7, (rows,), generator=generator)


def seeded(network: type[nn.Module]) -> nn.Module:
    torch.manual_seed(1)
    return network()


def assert_same(actual: list[Tensor], expected: list[Tensor], relative: float = 1e-5) -> None:
    scale = max(float(e.abs().max()) for e in expected)
    for a, e in zip(actual, expected, strict=True):
        assert a.shape == e.shape
        torch.testing.assert_close(a, e, rtol=relative, atol=relative * scale)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("norm", [0.01, 2.0, math.inf])
def test_engine_equals_the_loop(mode: str, norm: float) -> None:
    module, batch = seeded(Mixed), mixed_batch(9)
    loop = clipped_gradients("loop", module, norm)
    expected = loop.clipped_sum(*batch)
    engine = clipped_gradients(mode, module, norm)  # type: ignore[arg-type]
    assert_same(engine.clipped_sum(*batch), expected)
    torch.testing.assert_close(engine.norms, loop.norms, rtol=1e-5, atol=1e-6)
    names = [name for name, p in module.named_parameters() if p.requires_grad]
    unused = expected[names.index("unused.weight")]
    assert not unused.any()
    masked = expected[names.index("last.weight")]
    assert not (masked * (1 - module.last.mask)).any()  # type: ignore[operator]


@pytest.mark.parametrize("kind", ["sequences", "pictures"])
@pytest.mark.parametrize("mode", ["fused", "functorch", "hooks"])
def test_engine_equals_the_loop_on_other_layers(kind: str, mode: str) -> None:
    torch.manual_seed(1)
    if kind == "sequences":
        module, x = Sequences(None if mode == "hooks" else 0), torch.randint(0, 5, (6, 5))
    else:
        module, x = Pictures("zeros" if mode == "hooks" else "reflect"), torch.randn(6, 1, 8, 8)
    loop = clipped_gradients("loop", module, 0.5)
    expected = loop.clipped_sum(x)
    engine = clipped_gradients(mode, module, 0.5)  # type: ignore[arg-type]
    assert_same(engine.clipped_sum(x), expected)
    torch.testing.assert_close(engine.norms, loop.norms, rtol=1e-5, atol=1e-6)


@given(
    rows=st.integers(0, 12),
    size=st.integers(1, 13),
    mode=st.sampled_from([*MODES, "loop"]),
    seed=st.integers(0, 99),
)
@settings(max_examples=25, deadline=None)
def test_microbatches_and_masks_leave_the_sum(rows: int, size: int, mode: str, seed: int) -> None:
    module, (x, code) = seeded(Mixed), mixed_batch(rows, seed)
    mask = torch.rand(rows, generator=torch.Generator().manual_seed(seed)) < 0.6
    expected = clipped_gradients("loop", module, 1.0).clipped_sum(x[mask], code[mask])
    engine = clipped_gradients(mode, module, 1.0, size)  # type: ignore[arg-type]
    actual = engine.clipped_sum(x, code, mask=mask.float())
    assert engine.norms.shape == (rows,)
    if not mask.any():
        assert not any(t.any() for t in actual)
    else:
        assert_same(actual, expected)


@pytest.mark.parametrize("mode", ["fused", "functorch", "hooks"])
@pytest.mark.parametrize("norm", [0.5, math.inf])
@given(height=st.integers(1, 4), width=st.integers(1, 4))
@settings(max_examples=6, deadline=None)
def test_masked_convolutions_equal_the_loop(mode: str, norm: float, height: int, width: int) -> None:
    """Also on images smaller than the windows."""
    module = seeded(Rasters)
    x = torch.randn(5, 2, height, width, generator=torch.Generator().manual_seed(0))
    loop = clipped_gradients("loop", module, norm)
    expected = loop.clipped_sum(x)
    engine = clipped_gradients(mode, module, norm)  # type: ignore[arg-type]
    assert_same(engine.clipped_sum(x), expected)
    torch.testing.assert_close(engine.norms, loop.norms, rtol=1e-5, atol=1e-6)


def test_ghost_clipping_of_masked_convolutions_equals_the_loop() -> None:
    """Opacus adds up no norms of a layer that is used twice, so here every layer is used once."""
    torch.manual_seed(1)
    layers = [MaskedConv2d(1, 4, 2, 2, strict=True), nn.Tanh(), MaskedConv2d(4, 2, 1, 0, strict=False)]
    module, x = nn.Sequential(*layers, nn.Flatten(), nn.Linear(24, 1), nn.Flatten(0)), torch.randn(6, 1, 4, 3)
    loop = clipped_gradients("loop", module, 0.5)
    expected = loop.clipped_sum(x)
    engine = clipped_gradients("ghost", module, 0.5)
    assert_same(engine.clipped_sum(x), expected)
    torch.testing.assert_close(engine.norms, loop.norms, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("mode", [*MODES, "loop"])
@pytest.mark.parametrize("value", [math.nan, math.inf, 1e30])
def test_rows_that_are_not_finite_add_nothing(mode: str, value: float) -> None:
    module, (x, code) = seeded(Mixed), mixed_batch(6)
    keep = torch.tensor([0, 1, 3, 4])
    expected = clipped_gradients("loop", module, 1.0).clipped_sum(x[keep], code[keep])
    # Overflow inside the layers for 1e30: squares are infinite in float32.
    x[2], x[5, 1] = value, value
    engine = clipped_gradients(mode, module, 1.0)  # type: ignore[arg-type]
    actual = engine.clipped_sum(x, code)
    if value == 1e30:  # the norm layer tames it, so such a row may count, clipped like any other
        assert all(bool(torch.isfinite(t).all()) for t in actual)
        difference = torch.cat([(a - e).flatten() for a, e in zip(actual, expected, strict=True)])
        assert float(difference.norm()) <= 2.0
    else:
        assert_same(actual, expected)


@pytest.mark.parametrize("mode", MODES)
def test_all_rows_not_finite_gives_zeros(mode: str) -> None:
    module, (x, code) = seeded(Mixed), mixed_batch(3)
    x.fill_(math.nan)
    actual = clipped_gradients(mode, module, 1.0).clipped_sum(x, code)  # type: ignore[arg-type]
    assert not any(t.any() for t in actual)


@given(norm=st.floats(1e-3, 1e3), scale=st.floats(1e-6, 1e6), seed=st.integers(0, 999))
@settings(max_examples=25, deadline=None)
def test_one_row_never_moves_the_sum_by_more_than_the_norm(norm: float, scale: float, seed: int) -> None:
    module, (x, code) = seeded(Mixed), mixed_batch(1, seed)
    sums = clipped_gradients("fused", module, norm).clipped_sum(x * scale, code)
    assert float(torch.cat([s.double().flatten() for s in sums]).norm()) <= norm * (1 + 1e-12)


@pytest.mark.parametrize("mode", MODES)
def test_module_is_left_as_it_was(mode: str) -> None:
    module, batch = seeded(Mixed), mixed_batch(4)
    for p in module.parameters():
        p.grad = torch.ones_like(p)
    before = {key: set(vars(layer)) for key, layer in module.named_modules()}
    state = {key: value.clone() for key, value in module.state_dict().items()}
    clipped_gradients(mode, module, 1.0).clipped_sum(*batch)  # type: ignore[arg-type]
    assert {key: set(vars(layer)) for key, layer in module.named_modules()} == before
    assert not any(layer._forward_hooks or layer._backward_hooks for layer in module.modules())
    assert all(torch.equal(value, state[key]) for key, value in module.state_dict().items())
    assert all(p.grad is not None and bool((p.grad == 1).all()) for p in module.parameters())
    assert not any(hasattr(p, "grad_sample") for p in module.parameters())


def test_no_weight_gradient_is_formed_by_the_backward_pass() -> None:
    """One fused call has as many matrix products as a plain training step."""
    module = nn.Sequential(nn.Linear(30, 40), nn.Tanh(), nn.Linear(40, 50), nn.Tanh(), nn.Linear(50, 20))

    class Loss(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.net = module

        def forward(self, x: Tensor) -> Tensor:
            return self.net(x).square().sum(1)

    engine, x = clipped_gradients("fused", Loss(), 1.0), torch.randn(8, 30)
    engine.clipped_sum(x)  # the structure is checked at the first call only
    with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CPU]) as profile:
        engine.clipped_sum(x)
    products = sum(event.count for event in profile.key_averages() if event.key in ("aten::mm", "aten::addmm"))
    # 3 forward, 2 back to the inputs of layers 2 and 3, 3 clipped weight sums, 3 clipped bias sums
    assert products == 11


@pytest.mark.parametrize(
    "layer", [nn.BatchNorm1d(4), nn.SyncBatchNorm(4), nn.InstanceNorm1d(4, track_running_stats=True)]
)
@pytest.mark.parametrize("mode", [*MODES, "loop"])
def test_layers_that_mix_rows_are_refused(mode: str, layer: nn.Module) -> None:
    with pytest.raises(ConfigError, match="mixes the rows"):
        clipped_gradients(mode, nn.Sequential(nn.Linear(4, 4), layer), 1.0)  # type: ignore[arg-type]


def test_embeddings_that_depend_on_the_batch_are_refused() -> None:
    for options in ({"max_norm": 1.0}, {"scale_grad_by_freq": True}):
        with pytest.raises(ConfigError, match="Embedding"):
            clipped_gradients("functorch", nn.Embedding(3, 2, **options), 1.0)


class Flawed(nn.Module):
    """One fault at a time that would make the layer rules wrong."""

    def __init__(self, fault: str) -> None:
        super().__init__()
        self.fault = fault
        self.layer = nn.Linear(4, 4)
        self.position = nn.Embedding(2, 4)
        self.other = nn.Linear(4, 4)
        if fault == "shared":
            self.other.weight = self.layer.weight

    def forward(self, x: Tensor) -> Tensor:
        h = self.layer(x)
        if self.fault == "stray":
            h = h + F.linear(h, self.layer.weight)
        if self.fault == "rows":
            h = h + self.position(torch.arange(2)).sum(0)
        if self.fault == "centred":
            h = h - h.mean(0)
        if self.fault == "in_place":
            k = h.tanh()
            h = self.other(k)
            k.mul_(2)
        h = h + self.other(h)
        return h.exp().sum() if self.fault == "total" else h.exp().sum(1)


@pytest.mark.parametrize(
    ("fault", "message"),
    [
        ("shared", "share a parameter"),
        ("stray", "outside its layer"),
        ("rows", "first dimension must be the rows"),
        ("centred", "rows interact"),
        ("in_place", "changed in place"),
        ("total", "one loss per row"),
    ],
)
def test_networks_the_rules_would_get_wrong_are_refused(fault: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        clipped_gradients("fused", Flawed(fault), 1.0).clipped_sum(torch.randn(2, 4))


def test_layers_without_a_rule_are_refused_by_name() -> None:
    class Own(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.scale = nn.Parameter(torch.ones(3))

    class Subclass(nn.Linear):
        pass

    for layer in (nn.GRU(3, 3), Own(), Subclass(3, 3), nn.utils.weight_norm(nn.Linear(3, 3))):
        with pytest.raises(ConfigError, match=r"layer '0'.*functorch"):
            clipped_gradients("fused", nn.Sequential(layer), 1.0)
    assert nn.Linear in RULES


def test_opacus_modes_refuse_in_words() -> None:
    module = seeded(Mixed)
    module.register_buffer("table2", torch.zeros(1))
    with pytest.raises(ConfigError, match="buffers"):
        clipped_gradients("ghost", module, 1.0)
    with pytest.raises(ConfigError, match="training mode"):
        clipped_gradients("hooks", seeded(Mixed).eval(), 1.0).clipped_sum(*mixed_batch(2))
    for network in (Sequences(0), Pictures("reflect")):
        with pytest.raises(ConfigError, match=r"Opacus.*fused"):
            clipped_gradients("hooks", network, 1.0)
    with pytest.raises(ConfigError, match=r"Opacus refuses.*functorch"):
        clipped_gradients("ghost", Sequences(None), 1.0).clipped_sum(torch.ones(2, 5, dtype=torch.int64))


@pytest.mark.parametrize(
    ("mode", "norm", "size"),
    [
        ("fast", 1.0, None),
        ("fused", 0.0, None),
        ("fused", -1.0, None),
        ("fused", math.nan, None),
        ("fused", 1.0, 0),
    ],
)
def test_bad_options_are_refused(mode: str, norm: float, size: int | None) -> None:
    with pytest.raises(ConfigError):
        clipped_gradients(mode, nn.Linear(2, 2), norm, size)  # type: ignore[arg-type]


def test_rows_stand_alone() -> None:
    assert not rows_interact(seeded(Mixed), *mixed_batch(4))

    class Centred(Mixed):
        def forward(self, x: Tensor, code: Tensor) -> Tensor:
            return super().forward(x - x.mean(0), code)

    assert rows_interact(seeded(Centred), *mixed_batch(4))


def test_random_state_is_not_used_up_by_the_check() -> None:
    class Dropped(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer, self.drop = nn.Linear(4, 4), nn.Dropout(0.5)

        def forward(self, x: Tensor) -> Tensor:
            return self.drop(self.layer(x)).sum(1)

    torch.manual_seed(5)
    module, x = Dropped(), torch.randn(3, 4)
    sums = []
    for mode in ("fused", "ghost", "hooks"):
        torch.manual_seed(7)
        sums.append(clipped_gradients(mode, module, 1.0).clipped_sum(x))  # type: ignore[arg-type]
    assert_same(sums[0], sums[1])
    assert_same(sums[0], sums[2])
