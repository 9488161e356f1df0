"""What a mechanism sees of a row is the same to the last bit whatever other rows stand beside it, for every map that
private rows pass on their way: `data/row_maps.py` says why that matters and which operations keep it.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from dpsynth.data import Domain, ImageDomain, Table
from dpsynth.data.columns import Boolean, Category, Integer, Number
from dpsynth.data.image import domain as image_view
from dpsynth.data.image.domain import ImageView
from dpsynth.data.image.images import Images
from dpsynth.data.table.codec import Codec
from dpsynth.models.datalens import teachers as teacher_space
from dpsynth.models.datalens.image_postprocessing import LowFrequencies, offsets
from dpsynth.models.datalens.teachers import Space
from dpsynth.models.merf import recipe as merf
from dpsynth.models.merf.recipe import MERF
from dpsynth.models.mixture import recipe as mixture
from dpsynth.models.mixture.moments import PixelSquares, Standardised, slow_waves
from dpsynth.models.pe.image_apis import ImagePoints
from dpsynth.models.pe.table_api import TableView
from dpsynth.models.shared.class_rejection import oriented_gradients
from dpsynth.models.shared.row_vectors import VectorView
from dpsynth.privacy.mechanisms.class_statistics import ClassScatter
from dpsynth.privacy.mechanisms.mean_embedding import MeanEmbedding

BLOCK = 64  # rows that maps take at once here
MOST = 2 * BLOCK + 10  # rows together
GREY, COLOURED = ImageDomain(13, 10), ImageDomain(9, 12, channels=3)
TABLE = Domain(
    (
        Category("kind", ("a", "b", "c"), label=True),
        Integer("count", 0, 99_999, missing=True, point_masses=(0,)),
        Number("size", 1.0, 1e6, scale="log"),
        Boolean("yes", missing=True),
    )
)
Map = Callable[[np.ndarray], np.ndarray]


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def near(domain: ImageDomain) -> Map:
    """Offsets from the nearest of 40 centres, among which many are about equally far."""
    low = LowFrequencies(domain.shape, 5)
    bytes_ = torch.randint(0, 256, (20, *domain.shape), generator=generator(), dtype=torch.uint8)
    centres = low.seen(bytes_).float().repeat(2, 1)
    centres[20:] += 1e-6
    classes = torch.zeros(40, dtype=torch.int64)

    def run(pixels: np.ndarray) -> np.ndarray:
        labels = torch.zeros(len(pixels), dtype=torch.int64)
        [(away, _)] = offsets(iter([(low.seen(torch.from_numpy(pixels)), labels)]), centres, classes, low.reach)
        return away.numpy()

    return run


def taught(space: Space, domain: ImageDomain) -> Map:
    return lambda pixels: space.image_rows(space.pixels(Images(pixels, None, domain))[0])


def waves(domain: ImageDomain | Domain) -> Map:
    """All blocks of merf's features."""
    recipe = MERF().replace(embedding={"frequencies": 40})
    view = recipe._view(domain)
    features = recipe._features(view, generator())

    def run(rows: np.ndarray) -> np.ndarray:
        data = Images(rows, None, domain) if isinstance(domain, ImageDomain) else Table(frame(rows), domain)
        blocks = [phi.numpy() for phi, _ in merf._blocks(view, features, data)]
        return np.concatenate(blocks) if blocks else np.zeros((0, features.width), np.float32)

    return run


def squares(domain: ImageDomain) -> Map:
    """All blocks of the mixture's pixels and squares."""
    view = ImageView(domain, 9)
    features = PixelSquares(view.shape, view.levels, 0.45)

    def run(pixels: np.ndarray) -> np.ndarray:
        blocks = [features.rows(codes).numpy() for codes, _ in mixture._blocks(view, Images(pixels, None, domain))]
        return np.concatenate(blocks) if blocks else np.zeros((0, 2 * features.pixels))

    return run


def standardised(domain: ImageDomain) -> Map:
    """All blocks of the mixture's standardised images."""
    view = ImageView(domain, 9)
    waves, _ = slow_waves(view.shape, 5)
    mean, inverse = (torch.rand(1, waves.shape[1], generator=generator(k), dtype=torch.float64) for k in (1, 2))
    seen = Standardised(mean, 9 * inverse, waves, view.levels)

    def run(pixels: np.ndarray) -> np.ndarray:
        blocks = [places.numpy() for places, _ in mixture._each(seen, view, Images(pixels, None, domain))]
        return np.concatenate(blocks) if blocks else np.zeros((0, len(waves)))

    return run


def frame(numbers: np.ndarray) -> pd.DataFrame:
    """Rows of `TABLE` from (n, 4) numbers in [0, 1)."""
    count = np.where(numbers[:, 1] < 0.2, 0, np.round(99_999 * numbers[:, 1]))
    yes = np.array([True, False, None], dtype=object)
    return pd.DataFrame(
        {
            "kind": np.array(list("abc"))[(3 * numbers[:, 0]).astype(int)],
            "count": pd.Series(np.where(numbers[:, 1] > 0.9, np.nan, count)),
            "size": 1e6 ** numbers[:, 2],
            "yes": yes[(3 * numbers[:, 3]).astype(int)],
        }
    )


def image_maps(domain: ImageDomain) -> dict[str, Map]:
    return {
        "view, smaller": ImageView(domain, 7, 9).codes,
        "view, as large": ImageView(domain, None, 5).codes,
        "oriented gradients": lambda p: oriented_gradients(torch.from_numpy(p).float() / 255).numpy(),
        "teachers, frequencies": taught(Space.of_images(domain, 8, 5), domain),
        "teachers, pixels": taught(Space.of_images(domain, 8, None), domain),
        "nearest centres": near(domain),
        "merf": waves(domain),
        "mixture, pixels": squares(domain),
        "mixture, standardised": standardised(domain),
        **{f"points, {kind}": ImagePoints(domain, kind, size=8) for kind in ("pixels", "dct", "random")},  # type: ignore[arg-type]
    }


def table_maps() -> dict[str, Map]:
    view, vectors, codec = TableView(TABLE), VectorView(TABLE, 6), Codec(TABLE, 8)
    space = Space.of_table(TABLE, 6)
    return {
        "points of a table": lambda x: view.points(view.batch(frame(x))),
        "vectors": lambda x: vectors.encode(Table(frame(x), TABLE))[0],
        "teachers, table": lambda x: space.table_rows(Table(frame(x), TABLE), 6)[0],
        "codes": lambda x: codec.encode(frame(x)).codes,
        "units": lambda x: np.asarray(codec.encode(frame(x)).units),
        "merf, table": waves(TABLE),
    }


@cache
def maps() -> dict[str, tuple[Map, tuple[int, ...] | None]]:
    """Every map, and the shape of an image it takes; None for rows of a table."""
    found: dict[str, tuple[Map, tuple[int, ...] | None]] = {name: (run, None) for name, run in table_maps().items()}
    for word, domain in (("grey", GREY), ("coloured", COLOURED)):
        found |= {f"{name}, {word}": (run, domain.shape) for name, run in image_maps(domain).items()}
    return found


@pytest.fixture(scope="module", autouse=True)
def small_blocks():
    """Blocks so small that a few rows fill several."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(merf, "ROWS_AT_ONCE", BLOCK)
        patch.setattr(mixture, "ROWS_AT_ONCE", BLOCK)
        patch.setattr(teacher_space, "IMAGES_AT_ONCE", BLOCK)
        patch.setattr(image_view, "ROWS_AT_ONCE", BLOCK)
        yield


@contextmanager
def threads(count: int) -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def drawn(shape: tuple[int, ...] | None, n: int, seed: int, kind: str) -> np.ndarray:
    """Rows, some of them extreme or alike, so that ties are common."""
    draw = np.random.default_rng(seed)
    if shape is None:
        return draw.random((n, 4))
    pixels = draw.integers(0, 256, (n, *shape)).astype(np.uint8)
    return {"any": pixels, "black and white": (pixels // 128) * np.uint8(255), "faint": pixels // 64}[kind]


@pytest.mark.parametrize("name", maps())
@given(
    seed=st.integers(0, 2**32), others=st.integers(0, MOST), place=st.floats(0, 1), count=st.sampled_from([1, 2]),
    kind=st.sampled_from(["any", "black and white", "faint"]),
)  # fmt: skip
@settings(max_examples=12, deadline=None)
def test_a_row_is_the_same_in_any_company(name, seed, others, place, count, kind):
    """A row alone, and the same row first, last or in between, beside others, with one thread or two."""
    run, shape = maps()[name]
    others = others % 20 if "random" in name else others  # convolutions take long
    row, company = drawn(shape, 1, seed, kind), drawn(shape, others, seed + 1, "any")
    at = round(place * others)
    with threads(1):
        alone = run(row)
    with threads(count):
        beside = run(np.insert(company, at, row[0], axis=0))
    assert alone.dtype == beside.dtype
    assert beside.shape == (others + 1, *alone.shape[1:])
    assert alone[0].tobytes() == beside[at].tobytes()


FOR = {"neighbours": "add_remove", "noise_multiplier": 1.0}


@pytest.mark.parametrize(
    "release",
    [MeanEmbedding(name="sum", **FOR), ClassScatter(name="scatter", classes=2, width=37, radius=0.5, **FOR)],
    ids=lambda release: release.name,
)
@given(seed=st.integers(0, 2**32), others=st.integers(0, 200), place=st.floats(0, 1), count=st.sampled_from([1, 2]))
@settings(max_examples=20, deadline=None)
def test_a_row_is_scaled_the_same_in_any_company(release, seed, others, place, count):
    """The cells of a class with one row hold what that row adds."""
    rows = torch.randn(others + 1, 37, generator=generator(seed))
    at = round(place * others)
    labels = torch.ones(others + 1, dtype=torch.int64)
    labels[at] = 0
    sizes = (2, 37) if isinstance(release, MeanEmbedding) else ()
    with threads(1):
        alone = release.exact([(rows[at : at + 1], labels[at : at + 1])], *sizes)
    with threads(count):
        beside = release.exact([(rows, labels)], *sizes)
    assert torch.equal(alone[0], beside[0])


@pytest.mark.parametrize("name", maps())
def test_rows_around_the_ends_of_blocks(name):
    """One row more moves all others by a place, over the ends of blocks: they stay as they are."""
    run, shape = maps()[name]
    rows = drawn(shape, MOST, 5, "any")
    whole = run(rows)
    assert run(rows[1:]).tobytes() == whole[1:].tobytes()
    assert run(rows[:0]).shape == (0, *whole.shape[1:])
    for end in (1, 2, 3, 15, 16, 17, BLOCK - 1, BLOCK, BLOCK + 1, 2 * BLOCK + 1):
        assert run(rows[:end]).tobytes() == whole[:end].tobytes()
