"""dpsynth/privacy/noise/random.py and keystream.py"""

import copy
import json
import pickle
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch
from scipy import stats

from dpsynth.errors import BudgetError
from dpsynth.privacy.accounting.budget import Budget
from dpsynth.privacy.ledger import Ledger, Plan
from dpsynth.privacy.noise.gaussian import GaussianQuery
from dpsynth.privacy.noise.keystream import Keystream
from dpsynth.privacy.noise.random import PrivacyGenerator, RandomGenerators, SeededGenerators, fresh_key, seeded_key

STREAM = PrivacyGenerator.seeded(7)


def raw(stream, count=32):
    return stream.keystream("a").bytes(count)


def normal(stream, name, step, count, out=None):
    return stream.keystream(name, step).normal(count, out)


def test_the_keystream_is_aes_256_in_counter_mode():
    """FIPS 197, appendix C.3: AES-256 of a known block; here the first counter block is zero."""
    from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

    key = bytes(range(32))
    block = Cipher(algorithms.AES(key), modes.ECB()).encryptor().update(bytes(16))
    assert Keystream(key).bytes(16) == block
    assert Keystream(key).bytes(16) != Keystream(bytes(32)).bytes(16)


def test_fresh_keys_differ_and_seeded_ones_do_not():
    assert raw(PrivacyGenerator.fresh()) != raw(PrivacyGenerator.fresh())
    assert raw(PrivacyGenerator.seeded(1)) == raw(PrivacyGenerator.seeded(1))
    assert raw(PrivacyGenerator.seeded(1)) != raw(PrivacyGenerator.seeded(2))
    assert raw(RandomGenerators(3).privacy) != raw(RandomGenerators(3).privacy)
    assert len(fresh_key()) == len(seeded_key(1)) == 32
    assert fresh_key() != fresh_key()
    assert seeded_key(1) == seeded_key(1) != seeded_key(2)
    with pytest.raises(ValueError, match="32 bytes"):
        PrivacyGenerator(bytes(31), secure=True)


def test_substreams_do_not_overlap():
    names = [(name, step) for name in ("a", "b", "ab", "a1") for step in (0, 1, 2, 11, 12)]
    blocks: set[bytes] = set()
    count = 0
    for name, step in names:
        for purpose in ("noise", "rows"):
            raw = STREAM.keystream(name, step, purpose).bytes(16 * 4000)
            blocks.update(raw[i : i + 16] for i in range(0, len(raw), 16))
            count += 4000
    assert len(blocks) == count


def test_word_i_does_not_depend_on_how_many_are_asked_for():
    long, short = (STREAM.keystream("x", 3, "rows").words32(count) for count in (1000, 17))
    assert np.array_equal(long[:17], short)
    long, short = (STREAM.keystream("x", 3, "rows").below(7, count) for count in (1000, 17))
    assert np.array_equal(long[:17], short)
    long, short = (STREAM.uniforms("x", count, 3) for count in (1000, 17))
    assert np.array_equal(long[:17], short)


def test_resume_needs_the_state_alone():
    stream = PrivacyGenerator.fresh()
    again = PrivacyGenerator.from_state(json.loads(json.dumps(stream.state())))
    assert again.secure
    assert torch.equal(normal(stream, "g", 17, 1001), normal(again, "g", 17, 1001))
    assert torch.equal(normal(stream, "g", 17, 1001), normal(stream, "g", 17, 1001))


def test_normals_in_a_given_buffer_are_the_same():
    out = torch.empty(999, dtype=torch.float64)
    assert normal(STREAM, "g", 1, 999, out) is out
    normal(STREAM, "other", 1, 5000)  # the scratch space is used again
    assert torch.equal(out, normal(STREAM, "g", 1, 999))


@pytest.mark.parametrize("count", [0, 1, 2, 7])
def test_odd_and_empty_counts(count):
    values = normal(STREAM, "tiny", 0, count)
    assert values.shape == (count,)
    assert values.isfinite().all()


def test_normals_are_normal():
    x = normal(STREAM, "moments", 0, 2_000_001).numpy()
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
    values = STREAM.keystream("below", bound % 97).below(bound, 20_000)
    assert values.min() >= 0
    assert values.max() < bound
    if 1 < bound <= 1000:
        assert stats.chisquare(np.bincount(values, minlength=bound)).pvalue > 1e-4


def test_a_release_is_made_once():
    stream = PrivacyGenerator.fresh()
    mechanism = GaussianQuery(name="q", neighbours="add_remove", noise_multiplier=5.0, bound=1.0, releases=2)
    zero, one = (stream.release(mechanism, np.zeros(8), step) for step in (0, 1))
    assert not np.isclose(zero, one).any()
    with pytest.raises(BudgetError, match="made already"):
        stream.release(mechanism, np.zeros(8), 0)
    # Whatever else the mechanism says: its noise is that of the name and the step.
    with pytest.raises(BudgetError, match="made already"):
        stream.release(
            GaussianQuery(name="q", neighbours="add_remove", noise_multiplier=9.0, bound=1.0), np.zeros(8), 1
        )


@pytest.mark.parametrize("bound", [0, -1, (1 << 62) + 1])
def test_bounds_without_a_meaning_are_refused(bound):
    with pytest.raises(ValueError, match="bound"):
        STREAM.keystream("below").below(bound, 1)


def test_a_method_is_handed_no_privacy_stream():
    randomness = RandomGenerators(4)
    assert type(randomness.seeded) is SeededGenerators
    assert not any(isinstance(value, PrivacyGenerator | bytes) for value in vars(randomness.seeded).values())
    for kind in ("model", "sampling"):
        draws = [torch.rand(3, generator=getattr(each, kind)("a")) for each in (randomness, randomness.seeded)]
        assert torch.equal(*draws)
    assert randomness.seeded.numpy("a").random() == randomness.numpy("a").random()


def test_uniforms_of_the_ledger_are_uniform_and_secret():
    plan = Plan(Budget(1.0, 1e-5), ())
    numbers = Ledger(plan, RandomGenerators()).uniforms("u", 5000, 2)
    assert numbers.shape == (5000, 2)
    assert ((numbers > 0) & (numbers < 1)).all()
    for column in numbers.T:
        assert stats.kstest(column, "uniform").pvalue > 1e-4
    assert abs(np.corrcoef(numbers.T)[0, 1]) < 5 / np.sqrt(5000)
    assert not np.isclose(numbers, Ledger(plan, RandomGenerators()).uniforms("u", 5000, 2)).all(axis=1).any()


def test_model_generators_follow_the_seed_and_the_name_alone():
    draws = [
        torch.rand(4, generator=RandomGenerators(seed).model(name)) for seed, name in ((1, "a"), (1, "b"), (2, "a"))
    ]
    assert not torch.equal(draws[0], draws[1])
    assert not torch.equal(draws[0], draws[2])
    torch.manual_seed(5)  # the global state plays no part
    assert torch.equal(draws[0], torch.rand(4, generator=RandomGenerators(1, "seeded").model("a")))
    assert not torch.equal(draws[0], torch.rand(4, generator=RandomGenerators(1).sampling("a")))
    assert (
        RandomGenerators(1).numpy("a").random()
        == RandomGenerators(1).numpy("a").random()
        != RandomGenerators(2).numpy("a").random()
    )


def test_noise_is_secure_or_seeded():
    assert RandomGenerators().noise == "secure"
    assert RandomGenerators(noise="seeded").noise == "seeded"
    with pytest.raises(BudgetError):
        RandomGenerators(noise="none")  # type: ignore[arg-type]
    key = PrivacyGenerator.fresh()
    assert RandomGenerators(noise="seeded", privacy=key).noise == "secure"  # the stream itself says what it is
    assert RandomGenerators(privacy=PrivacyGenerator.seeded(0)).noise == "seeded"


def test_a_privacy_stream_and_a_ledger_cannot_be_copied():
    """A twin would draw the same noise for another query, and the difference of the two answers holds none."""
    query = GaussianQuery(name="g", neighbours="add_remove", noise_multiplier=20.0, bound=1.0)
    ledger = Ledger(Plan(Budget(1.0, 1e-5), (query,)), RandomGenerators(0))
    for copied in (copy.copy, copy.deepcopy, pickle.dumps):
        with pytest.raises(BudgetError, match="cannot be copied"):
            copied(PrivacyGenerator.seeded(0))
    for copied in (copy.deepcopy, pickle.dumps):
        with pytest.raises((BudgetError, TypeError)):
            copied(ledger)


def test_threads_draw_one_after_the_other():
    """Draws share buffers; two at once could be given the same noise."""
    busy = []

    class Slow(GaussianQuery):
        def draw(self, query, noise):
            busy.append(1)
            time.sleep(0.02)
            assert len(busy) == 1
            busy.pop()
            return super().draw(query, noise)

    slow = Slow(name="g", neighbours="add_remove", noise_multiplier=20.0, bound=1.0, releases=4)
    stream = PrivacyGenerator.seeded(0)
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda step: stream.release(slow, np.zeros(3), step), range(4)))
