import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dpsynth.data import ImageDomain, Images, ImageView
from dpsynth.errors import ConfigError, DataError, SchemaError


def made(n=20, channels=1, height=6, width=5, classes=("a", "b/c"), seed=0):
    draw = np.random.default_rng(seed)
    pixels = draw.integers(0, 256, (n, channels, height, width)).astype(np.uint8)
    labels = draw.integers(0, len(classes), n) if classes else None
    return Images(pixels, labels, ImageDomain(height, width, channels, classes))


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("classes", [(), ("a", "b/c")])
def test_npz_comes_back_exactly(tmp_path, channels, classes):
    images = made(channels=channels, classes=classes)
    again = Images.read(images.write(tmp_path / "some.npz"))
    assert again.content_hash == images.content_hash
    assert again.domain == images.domain


def test_a_mosaic_and_a_folder_are_written_whole(tmp_path):
    images = made(channels=3)
    images.write(tmp_path / "all.png")
    folder = images.write(tmp_path / "singles")
    assert len(list(folder.glob("*.png"))) == 20
    assert {path.name.split("_")[0] for path in folder.iterdir()} == {"a", "b-c"}
    assert {path.name for path in tmp_path.iterdir()} == {"all.png", "singles"}
    with pytest.raises(ConfigError, match="written as"):
        images.write(tmp_path / "all.jpg")


def test_files_that_are_no_images_are_refused_in_words(tmp_path):
    (tmp_path / "x.npz").write_bytes(b"PK nothing")
    with pytest.raises(DataError, match=r"not an \.npz file"):
        Images.read(tmp_path / "x.npz")
    np.savez(tmp_path / "y.npz", images=np.array([{"pickle": 1}], dtype=object))
    with pytest.raises(DataError, match=r"not an \.npz file"):
        Images.read(tmp_path / "y.npz")
    with pytest.raises(DataError, match="expected uint8"):
        Images.read(made().write(tmp_path / "z.npz"), ImageDomain(7, 7))


def test_pixels_and_labels_must_fit_the_domain():
    images = made()
    with pytest.raises(DataError, match=r"outside 0 \.\. 1"):
        Images(images.pixels, np.full(20, 2), images.domain)
    with pytest.raises(DataError, match="go together"):
        Images(images.pixels, None, images.domain)


@given(n=st.integers(0, 60), seed=st.integers(0, 99))
def test_a_split_moves_no_other_image_when_one_comes(n, seed):
    images = made(n + 1)
    held = [part.content_hash for part in images.take(np.arange(n)).split(0.5, bytes([seed]) * 32)]
    more = images.split(0.5, bytes([seed]) * 32)
    shorter = [
        part.content_hash == before or part.head(len(part) - 1).content_hash == before
        for part, before in zip(more, held, strict=True)
    ]
    assert all(shorter)
    assert sum(map(len, more)) == n + 1


@pytest.mark.parametrize("spec", [{"height": 0}, {"channels": 2}, {"classes": ("a", "a")}, {"size": 99}, {"levels": 1}])
def test_a_wrong_domain_is_refused(spec):
    with pytest.raises(SchemaError):
        ImageDomain(**{"height": 8, "width": 8, **spec})


def test_a_domain_comes_back_from_its_dictionary():
    domain = ImageDomain(9, 6, 3, ("x", "y"), 40, 5, 4)
    assert ImageDomain.from_dict(domain.to_dict()) == domain
    with pytest.raises(SchemaError):
        ImageDomain.from_dict({"images": {"height": 3, "width": 3, "depth": 2}})


@given(size=st.integers(1, 6), levels=st.integers(2, 256), seed=st.integers(0, 9))
def test_codes_come_back_from_units_and_pixels_at_the_native_size(size, levels, seed):
    images = made(seed=seed)
    view = ImageView(images.domain, size, levels)
    codes = view.codes(images.pixels)
    assert codes.shape == (20, *view.shape)
    assert codes.max() < levels
    assert np.array_equal(np.round(view.units(images.pixels) * (levels - 1)).astype(int), codes)
    assert view.pixels_of_codes(codes).shape == images.pixels.shape
    if size == 6:
        assert np.array_equal(view.codes(view.pixels_of_codes(codes)), codes)
        if levels == 256:
            assert np.array_equal(view.pixels_of_codes(codes), images.pixels)


def test_what_is_declared_wins_over_the_wish():
    view = ImageView(ImageDomain(28, 14, size=7, levels=4), size=20, levels=16)
    assert view.shape == (1, 7, 4)
    assert view.levels == 4


def test_an_image_is_encoded_by_itself():
    images = made(5)
    view = ImageView(images.domain, 3, 5)
    for i in range(5):
        assert np.array_equal(view.codes(images.pixels[i : i + 1])[0], view.codes(images.pixels)[i])
