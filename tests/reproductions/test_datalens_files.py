import numpy as np
import pytest

from dpsynth.data import ImageDomain, Images
from dpsynth.reproductions import datalens_files


@pytest.mark.parametrize(("channels", "classes"), [(1, ()), (3, ("a", "b", "c"))])
def test_rows_are_flattened_with_channels_last_before_the_label(channels, classes):
    draw = np.random.default_rng(0)
    pixels = draw.integers(0, 256, (5, channels, 4, 6)).astype(np.uint8)
    labels = draw.integers(0, 3, 5) if classes else None
    rows = datalens_files.rows_of(Images(pixels, labels, ImageDomain(4, 6, channels, classes)))
    assert rows.shape == (5, 4 * 6 * channels + len(classes))
    for i, y, x, c in ((0, 0, 0, 0), (2, 3, 1, channels - 1), (4, 1, 5, 0)):
        assert rows[i, (y * 6 + x) * channels + c] == pytest.approx(pixels[i, c, y, x] / 255)
    for i in range(5 if classes else 0):
        assert rows[i, -3:].tolist() == np.eye(3)[labels[i]].tolist()


def test_files_are_ten_of_equal_length_and_all_or_nothing(tmp_path, monkeypatch):
    images = Images(np.zeros((100, 1, 2, 2), dtype=np.uint8), None, ImageDomain(2, 2))
    folder = datalens_files.write(images, tmp_path / "out", "datalens")
    assert [len(np.load(file, allow_pickle=False)["data"]) for file in sorted(folder.iterdir())] == [10] * 10
    monkeypatch.setattr(datalens_files, "rows_of", lambda images: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        datalens_files.write(images, tmp_path / "second", "datalens")
    assert [path.name for path in tmp_path.iterdir()] == ["out"]
