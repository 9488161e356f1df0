"""dpsynth/privacy/random.py and keystream.py"""

import json

import numpy as np
import pytest
import torch
from scipy import stats

from dpsynth.errors import BudgetError
from dpsynth.privacy.budget import Budget
from dpsynth.privacy.keystream import Keystream
from dpsynth.privacy.random import PrivacyStream, Streams

STREAM = PrivacyStream.seeded(7)


def test_the_keystream_is_aes_256_in_counter_mode():
    """FIPS 197, appendix C.3: AES-256 of a known block; here the first counter block is zero."""
    from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

    key = bytes(range(32))
    block = Cipher(algorithms.AES(key), modes.ECB()).encryptor().update(bytes(16))
    assert Keystream(key).bytes(16) == block
    assert Keystream(key).bytes(16) != Keystream(bytes(32)).bytes(16)


def test_fresh_keys_differ_and_seeded_ones_do_not():
    assert PrivacyStream.fresh().random_bytes("a", 0, 32) != PrivacyStream.fresh().random_bytes("a", 0, 32)
    assert PrivacyStream.seeded(1).random_bytes("a", 0, 32) == PrivacyStream.seeded(1).random_bytes("a", 0, 32)
    assert PrivacyStream.seeded(1).random_bytes("a", 0, 32) != PrivacyStream.seeded(2).random_bytes("a", 0, 32)
    assert Streams(3).privacy.random_bytes("a", 0, 32) != Streams(3).privacy.random_bytes("a", 0, 32)


def test_substreams_do_not_overlap():
    names = [(name, step) for name in ("a", "b", "ab", "a1") for step in (0, 1, 2, 11, 12)]
    blocks: set[bytes] = set()
    count = 0
    for name, step in names:
        for purpose in ("noise", "sampling"):
            raw = STREAM.keystream(name, step, purpose).bytes(16 * 4000)
            blocks.update(raw[i : i + 16] for i in range(0, len(raw), 16))
            count += 4000
    assert len(blocks) == count


def test_word_i_does_not_depend_on_how_many_are_asked_for():
    assert np.array_equal(STREAM.uniform32("x", 3, 1000)[:17], STREAM.uniform32("x", 3, 17))


def test_resume_needs_the_state_alone():
    stream = PrivacyStream.fresh()
    again = PrivacyStream.from_state(json.loads(json.dumps(stream.state())))
    assert again.secure
    assert torch.equal(stream.normal("g", 17, 1001), again.normal("g", 17, 1001))
    assert torch.equal(stream.normal("g", 17, 1001), stream.normal("g", 17, 1001))


def test_normals_in_a_given_buffer_are_the_same():
    out = torch.empty(999, dtype=torch.float64)
    assert STREAM.normal("g", 1, 999, out) is out
    STREAM.normal("other", 1, 5000)  # the scratch space is used again
    assert torch.equal(out, STREAM.normal("g", 1, 999))


@pytest.mark.parametrize("count", [0, 1, 2, 7])
def test_odd_and_empty_counts(count):
    values = STREAM.normal("tiny", 0, count)
    assert values.shape == (count,)
    assert values.isfinite().all()


def test_normals_are_normal():
    x = STREAM.normal("moments", 0, 2_000_001).numpy()
    n = x.size
    assert abs(x.mean()) < 5 / np.sqrt(n)
    assert abs(x.var() - 1) < 5 * np.sqrt(2 / n)
    assert abs(stats.skew(x)) < 5 * np.sqrt(6 / n)
    assert abs(stats.kurtosis(x)) < 5 * np.sqrt(24 / n)
    assert stats.kstest(x[::4], "norm").pvalue > 1e-4
    assert stats.kstest(x[n // 2 :: 4], "norm").pvalue > 1e-4  # the sine half
    for edge in (3.0, 4.0):
        expected = 2 * n * stats.norm.sf(edge)
        assert abs((np.abs(x) > edge).sum() - expected) < 6 * np.sqrt(expected)
    half = n // 2
    assert abs(np.corrcoef(x[:half], x[half : 2 * half])[0, 1]) < 5 / np.sqrt(half)  # cosine against sine
    assert abs(np.corrcoef(x[:half] ** 2, x[half : 2 * half] ** 2)[0, 1]) < 5 / np.sqrt(half)
    assert abs(np.corrcoef(x[:-1], x[1:])[0, 1]) < 5 / np.sqrt(n)


def test_extreme_words_stay_finite(monkeypatch):
    """All bits zero is the farthest normal there is, all bits one the nearest."""

    def fill(byte):
        return lambda self, buffer, count: buffer[:count].fill_(byte)

    monkeypatch.setattr(Keystream, "_fill", fill(0))
    assert float(Keystream(bytes(32)).normal(2).abs().max()) == pytest.approx(9.42, abs=0.01)
    monkeypatch.setattr(Keystream, "_fill", fill(255))
    assert float(Keystream(bytes(32)).normal(2).abs().max()) < 1e-7


@pytest.mark.parametrize("bound", [1, 2, 3, 1000, (1 << 62) - 1, 1 << 62])
def test_bounded_integers_are_in_range_and_uniform(bound):
    values = STREAM.randbelow("below", bound % 97, bound, 20_000)
    assert values.min() >= 0
    assert values.max() < bound
    if 1 < bound <= 1000:
        assert stats.chisquare(np.bincount(values, minlength=bound)).pvalue > 1e-4


def test_a_release_is_made_once():
    stream = PrivacyStream.fresh()

    def release(step):
        return stream.release("q", 1.0, sensitivity=1.0, norm="l2", draw=lambda q: q + 1, step=step)

    assert release(0) == 2.0
    assert release(1) == 2.0
    with pytest.raises(BudgetError, match="made already"):
        release(0)


def test_model_streams_follow_the_seed_and_the_name_alone():
    draws = [torch.rand(4, generator=Streams(seed).model(name)) for seed, name in ((1, "a"), (1, "b"), (2, "a"))]
    assert not torch.equal(draws[0], draws[1])
    assert not torch.equal(draws[0], draws[2])
    torch.manual_seed(5)  # the global state plays no part
    assert torch.equal(draws[0], torch.rand(4, generator=Streams(1, "seeded").model("a")))
    assert not torch.equal(draws[0], torch.rand(4, generator=Streams(1).sampling("a")))
    assert Streams(1).numpy("a").random() == Streams(1).numpy("a").random() != Streams(2).numpy("a").random()


def test_noise_is_secure_or_seeded():
    assert Streams().noise == "secure"
    assert Streams(noise="seeded").noise == "seeded"
    with pytest.raises(BudgetError):
        Streams(noise="none")  # type: ignore[arg-type]
    assert Streams().under(Budget(float("inf"), 1e-5)).privacy.infinite
    assert not Streams(infinite=True).under(Budget(1, 1e-5)).privacy.infinite
