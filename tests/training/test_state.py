import math
import stat

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from dpsynth.errors import ArtifactError
from dpsynth.training.checkpoint import read_state, write_state

LEAVES = st.none() | st.booleans() | st.integers(-(2**60), 2**60) | st.floats(allow_nan=False) | st.text(max_size=5)
KEYS = st.text(max_size=4) | st.integers(0, 9)
STATES = st.recursive(
    LEAVES,
    lambda inner: st.lists(inner, max_size=3) | st.tuples(inner, inner) | st.dictionaries(KEYS, inner, max_size=3),
    max_leaves=12,
)


@given(STATES)
def test_any_nested_state_comes_back_exactly(tmp_path_factory, state):
    path = tmp_path_factory.mktemp("state") / "x.state"
    write_state(path, state)
    assert read_state(path) == state


def test_tensors_of_every_type_come_back_even_when_they_fraction_memory(tmp_path):
    shared = torch.arange(6.0)
    state = {
        "views": [shared[:3], shared[3:], shared.view(2, 3).T],
        "types": [
            torch.tensor(1.5, dtype=torch.float64),
            torch.zeros(0),
            torch.tensor([True]),
            torch.arange(3),
        ],
        "odd": (math.inf, -0.0),
    }
    write_state(tmp_path / "x.state", state)
    back = read_state(tmp_path / "x.state")
    for kind in ("views", "types"):
        for before, after in zip(state[kind], back[kind], strict=True):
            assert before.dtype == after.dtype
            assert torch.equal(before, after)
    assert back["odd"] == state["odd"]


def test_only_the_owner_may_read_and_no_partial_file_stays(tmp_path):
    write_state(tmp_path / "x.state", {"a": 1})
    write_state(tmp_path / "x.state", {"a": 2})
    assert stat.S_IMODE((tmp_path / "x.state").stat().st_mode) == 0o600
    assert [path.name for path in tmp_path.iterdir()] == ["x.state"]
    assert read_state(tmp_path / "x.state") == {"a": 2}


def test_a_failed_write_leaves_the_old_state(tmp_path):
    write_state(tmp_path / "x.state", {"a": 1})
    with pytest.raises(TypeError, match="cannot hold object"):
        write_state(tmp_path / "x.state", {"a": object()})
    assert read_state(tmp_path / "x.state") == {"a": 1}


@pytest.mark.parametrize("damage", [b"", b"nonsense", None])
def test_a_damaged_file_is_a_clear_error(tmp_path, damage):
    path = tmp_path / "x.state"
    write_state(path, {"a": torch.ones(100)})
    path.write_bytes(path.read_bytes()[:-7] if damage is None else damage)
    with pytest.raises(ArtifactError, match="not a readable checkpoint"):
        read_state(path)
