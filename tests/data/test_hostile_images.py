"""Image files that are damaged, huge or made to do harm: read, or refused in one line before anything large is made."""

import io
import os
import struct
import zipfile
import zlib

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from dpsynth.data import ImageDomain, Images
from dpsynth.data.sources.image_folder import image_folder
from dpsynth.errors import DataError

SHARED = [HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
DOMAIN = ImageDomain(4, 4, classes=("a", "b"))


def npz(path, **arrays):
    np.savez_compressed(path, **arrays)
    return path


def refusal(path, domain=None):
    with pytest.raises(DataError) as error:
        Images.read(path, domain)
    assert "\n" not in str(error.value)
    return str(error.value)


IMAGES = np.zeros((3, 4, 4), np.uint8)


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"images": IMAGES, "labels": np.array(["a", "b", "a"]), "classes": ["a", "b"]}, "'labels' must be"),
        ({"images": IMAGES, "labels": np.array([0.5, 1, 0]), "classes": ["a", "b"]}, "'labels' must be"),
        ({"images": IMAGES, "labels": np.array([0, 1]), "classes": ["a", "b"]}, "'labels' must be"),
        ({"images": IMAGES, "labels": np.array(1), "classes": ["a", "b"]}, "'labels' must be"),
        ({"images": IMAGES, "labels": np.array([0, 1, 2**63], np.uint64), "classes": ["a", "b"]}, "no code"),
        ({"images": IMAGES, "labels": np.array([0, 1, 2**40]), "classes": ["a", "b"]}, ""),
        ({"images": IMAGES, "labels": np.array([0, 1, -1]), "classes": ["a", "b"]}, ""),
        ({"images": IMAGES, "labels": np.array([0, 1, 0]), "classes": np.array("a")}, "'classes' must be"),
        ({"images": IMAGES, "labels": np.array([0, 1, 0]), "classes": np.array([[1.5]])}, "'classes' must be"),
        ({"images": IMAGES, "labels": np.array([0, 1, 0]), "classes": ["a", "a"]}, ""),
        ({"images": IMAGES.astype(float)}, "uint8"),
        ({"images": IMAGES[0]}, "uint8"),
        ({"pictures": IMAGES}, "not an .npz file"),
        ({"images": np.zeros((2, 4, 4, 7), np.uint8)}, ""),
        ({"images": np.zeros((2, 0, 4), np.uint8)}, ""),
        ({"images": np.array([None], dtype=object)}, ""),
    ],
)
def test_arrays_that_are_no_images(tmp_path, arrays, message):
    assert message in refusal(npz(tmp_path / "a.npz", **arrays))


def test_labels_that_would_name_a_class_for_every_number(tmp_path):
    assert refusal(npz(tmp_path / "a.npz", images=IMAGES, labels=np.array([0, 1, 2**40])))


def test_files_that_are_no_archive(tmp_path):
    assert "no file" in refusal(tmp_path / "nothing.npz")
    (tmp_path / "folder.npz").mkdir()
    assert "no file" in refusal(tmp_path / "folder.npz")
    os.mkfifo(tmp_path / "pipe.npz")
    assert "no file" in refusal(tmp_path / "pipe.npz")
    (tmp_path / "text.npz").write_text("images")
    assert "not an .npz file" in refusal(tmp_path / "text.npz")


@pytest.mark.parametrize("claimed", [(2**40, 4, 4), (3, 4, 5), (3, 4, 3)])
def test_a_header_that_promises_something_else(tmp_path, claimed):
    member = io.BytesIO()
    np.lib.format.write_array_header_1_0(member, {"descr": "|u1", "fortran_order": False, "shape": claimed})
    with zipfile.ZipFile(tmp_path / "a.npz", "w") as archive:
        archive.writestr("images.npy", member.getvalue() + b"\0" * 48)
    assert "not what its header describes" in refusal(tmp_path / "a.npz")


def test_an_archive_that_unpacks_to_more_than_any_memory(tmp_path):
    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(header, {"descr": "|u1", "fortran_order": False, "shape": (2**38,)})
    path = tmp_path / "a.npz"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("images.npy", header.getvalue() + b"\0" * 1000)
    content = bytearray(path.read_bytes())
    at = content.rindex(b"PK\x01\x02")
    content[at + 24 : at + 28] = struct.pack("<I", 2**32 - 2)  # the size that the directory states
    path.write_bytes(content)
    assert "GiB" in refusal(path)


def folder_of(tmp_path, **files):
    root = tmp_path / "pictures" / "a"
    root.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        (root / name.replace("_", ".")).write_bytes(content)
    return tmp_path / "pictures"


def read_folder(root):
    return image_folder(root, image_size=4, channels=1, classes=["a"], holdout=0)


def png(width=4, height=4):
    file = io.BytesIO()
    Image.new("L", (width, height)).save(file, "PNG")
    return file.getvalue()


def test_a_picture_of_many_megapixels_is_not_decoded(tmp_path):
    def chunk(kind, content):
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    head = struct.pack(">IIBBBBB", 13_000, 13_000, 8, 0, 0, 0, 0)
    large = (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(b"\0" * 1000)) + chunk(b"IEND", b"")
    )
    with pytest.raises(DataError, match=r"at most 67 megapixels.*large"):
        read_folder(folder_of(tmp_path, large_png=large, small_png=png()))


def test_no_other_program_is_started_to_decode_a_picture(tmp_path):
    eps = b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 4 4\n%%EndComments\n(touch pwned) system\n%%EOF\n"
    with pytest.raises(DataError, match="not readable"):
        read_folder(folder_of(tmp_path, a_png=eps))
    assert len(read_folder(folder_of(tmp_path, a_png=png(), b_eps=eps)).train) == 1


def test_a_pipe_is_no_picture(tmp_path):
    root = folder_of(tmp_path, a_png=png())
    os.mkfifo(root / "a" / "b.png")
    with pytest.raises(DataError, match="not readable"):
        read_folder(root)


def damaged(content: bytes, data) -> bytes:
    """The bytes with some changed, cut or doubled."""
    content = bytearray(content)
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, max(len(content) - 1, 0)))
        kind = data.draw(st.sampled_from(["change", "cut", "insert"]))
        if kind == "change" and content:
            content[at] = data.draw(st.integers(0, 255))
        elif kind == "cut":
            del content[at:]
        else:
            content[at:at] = data.draw(st.binary(max_size=8))
    return bytes(content)


def tried(tmp_path, data):
    """One damaged archive and one damaged picture."""
    file = io.BytesIO()
    packed = data.draw(st.booleans())
    arrays = {"images": IMAGES, "labels": np.array([0, 1, 0]), "classes": np.array(["a", "b"])}
    (np.savez_compressed if packed else np.savez)(file, **arrays)
    (tmp_path / "a.npz").write_bytes(damaged(file.getvalue(), data))
    form = data.draw(st.sampled_from(["PNG", "JPEG", "GIF", "BMP", "TIFF", "WEBP", "PPM"]))
    picture = io.BytesIO()
    Image.fromarray(np.arange(64, dtype=np.uint8).reshape(8, 8)).save(picture, form)
    root = folder_of(tmp_path, a_png=damaged(picture.getvalue(), data))
    for read in (lambda: Images.read(tmp_path / "a.npz", DOMAIN), lambda: read_folder(root)):
        try:
            read()
        except DataError as error:
            message = str(error)
            assert "\n" not in message


@given(data=st.data())
@settings(max_examples=50, suppress_health_check=SHARED)
def test_damaged_files_are_read_or_refused(tmp_path, data):
    tried(tmp_path, data)


@pytest.mark.slow
@given(data=st.data())
@settings(max_examples=500, suppress_health_check=SHARED)
def test_damaged_files_are_read_or_refused_500(tmp_path, data):
    tried(tmp_path, data)
