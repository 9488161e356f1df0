"""Batches stay whole: every gene has an entry for every individual, through all that is done to them."""

import numpy as np
import pytest

from dpsynth.models.pe.api import Batch


def batch(n: int = 5) -> Batch:
    return Batch(
        np.arange(n) % 2, {"pixels": np.arange(4 * n, dtype=np.uint8).reshape(n, 1, 2, 2), "pose": np.ones((n, 3))}
    )


def test_genes_of_another_length_are_refused():
    with pytest.raises(ValueError, match="'pose'"):
        Batch(np.zeros(3, dtype=np.int64), {"pose": np.zeros((2, 1))})


def test_taking_and_joining():
    whole = batch()
    halves = Batch.joined([whole.take(np.arange(2)), whole.take(np.arange(2, 5))])
    np.testing.assert_array_equal(halves.labels, whole.labels)
    np.testing.assert_array_equal(halves.genes["pixels"], whole.genes["pixels"])
    assert len(whole.take(np.array([0, 0, 4]))) == 3


def test_saved_and_restored():
    tensors = {**batch().tensors("population"), **batch(2).tensors("other")}
    again = Batch.restore(tensors, "population")
    assert set(again.genes) == {"pixels", "pose"}
    assert again.genes["pixels"].dtype == np.uint8
    np.testing.assert_array_equal(again.labels, batch().labels)
