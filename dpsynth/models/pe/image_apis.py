"""The APIs for images by the names they have in `model.api`, and the public maps by which images are embedded.

Where images stand when they are voted for: points from fixed, public maps. Nothing is fitted, nothing downloaded.

    pixels     the image at a small working resolution, a little blurred: strokes that lie beside each other are near
    dct        its low frequencies (orthonormal cosine transform), coarse ones weighing more
    random     means over a 3 x 3 grid of places, behind two layers of fixed random convolutions
    inception  pooled features of torchvision's inception_v3, from a local file of weights

An encoder fitted to private images would be a release of its own, so there is none. An image has the same point in any
company, to the last bit: the first three maps are made of the operations listed in `data/row_maps.py`; the network of
the last is not, and so it is handed one image at a time, always in the same shape.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Literal, get_args

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from dpsynth.data.image.domain import ImageDomain, ImageView
from dpsynth.data.row_maps import ExactProduct, smoothed, windows
from dpsynth.errors import ConfigError
from dpsynth.models.pe.api import PEApi, Provenance
from dpsynth.models.pe.diffusion import DiffusionApi
from dpsynth.models.pe.public_images import ImagePool, PublicGenerator, public_images
from dpsynth.models.pe.simulators import FaceSimulator, GlyphSimulator

Kind = Literal["pixels", "dct", "random", "inception"]
AT_ONCE = 64  # images embedded together
FREQUENCIES = 8  # lowest in each direction
RANDOM_WIDTH = 32  # channels of the random convolutions
PLACES = 3  # along each side, over which they are averaged
_FINE = 1 << 12  # steps to which what a random convolution gives is rounded
_SATURATED = 8 * _FINE  # steps beyond which tanh is 1
_TANH = torch.tanh(torch.arange(-_SATURATED, _SATURATED + 1, dtype=torch.float64) / _FINE).float()

Features = Callable[[Tensor], Tensor]  # (n, channels, h, w) uint8 codes -> (n, d), about [-1, 1]


class ImagePoints:
    """The points of images of `domain`.

    kind: see above. size: working resolution, unless the domain declares one. weights: of `inception`, a .safetensors
    file with a state dict of torchvision's inception_v3.
    """

    def __init__(self, domain: ImageDomain, kind: Kind = "pixels", size: int = 14, weights: str | None = None) -> None:
        if kind not in get_args(Kind):
            raise ConfigError(f"model.embedding={kind}: choose {', '.join(get_args(Kind))}")
        if (kind == "inception") != (weights is not None):
            raise ConfigError("model.inception: name a local .safetensors file, with model.embedding=inception only")
        self.view = ImageView(domain, size=None if kind == "inception" else size)
        self._features = _features(kind, self.view, weights)

    def __call__(self, pixels: np.ndarray) -> np.ndarray:
        """(n, d) float32 points in [-1, 1] of (n, channels, height, width) uint8 images, each by itself."""
        with torch.no_grad():
            parts = [self._features(part) for part in torch.from_numpy(self.view.codes(pixels)).split(AT_ONCE)]
        return torch.cat(parts).float().clamp_(-1.0, 1.0).numpy()


def _features(kind: Kind, view: ImageView, weights: str | None) -> Features:
    brightest = max(view.levels - 1, 1)
    if kind == "pixels":
        return lambda codes: blurred(codes / brightest).flatten(1)
    if kind == "dct":
        return LowFrequencies(view.shape, brightest)
    if kind == "random":
        return RandomFeatures(view.shape, brightest)
    return _inception(str(weights), brightest)


def blurred(images: Tensor) -> Tensor:
    """(n, c, h, w) images under the 3 x 3 binomial kernel, edges repeated."""
    return smoothed(smoothed(functional.pad(images, (1, 1, 1, 1), mode="replicate"), 2), 3)


class LowFrequencies:
    """(n, c, h, w) whole numbers up to `brightest` -> (n, c k k) lowest coefficients of the orthonormal DCT-II, k at
    most `FREQUENCIES`, of the images in [-1/2, 1/2].

    Scaled by sqrt(h w) / 4, so that a contrast over the whole image comes near 1; beyond that it is cut off by the
    caller. Parseval: distances are those of the images without their high frequencies.
    """

    def __init__(self, shape: tuple[int, int, int], brightest: int) -> None:
        channels, height, width = shape
        plane = torch.kron(cosines(height), cosines(width)) * (4 / math.sqrt(height * width))
        basis = torch.block_diag(*[plane] * channels).T
        self._product, self._grey = ExactProduct(basis / brightest, brightest), basis.sum(0) / 2

    def __call__(self, codes: Tensor) -> Tensor:
        return self._product(codes.flatten(1)) - self._grey


def cosines(length: int) -> Tensor:
    """(k, length) float64 first rows of the orthonormal DCT-II."""
    frequency = torch.arange(min(length, FREQUENCIES), dtype=torch.float64)[:, None]
    basis = torch.cos(math.pi / length * frequency * (torch.arange(length) + 0.5)) * math.sqrt(2 / length)
    basis[0] /= math.sqrt(2)
    return basis


class RandomFeatures:
    """Two random 3 x 3 convolutions, fixed by a seed, pooled over a grid of places.

    (n, c, h, w) whole numbers up to `brightest` -> (n, 9 x 32). What a layer gives is rounded to steps of 1 / `_FINE`,
    so that the next one sums whole numbers.
    """

    def __init__(self, shape: tuple[int, int, int], brightest: int, seed: int = 0) -> None:
        generator = torch.Generator().manual_seed(seed)
        self._shape, self._brightest = shape, brightest
        self._layers: list[tuple[Tensor, Tensor]] = []
        largest, most = brightest, 1.0  # of the whole numbers a layer is given, and what they stand for
        for before in (shape[0], RANDOM_WIDTH):
            weight, bias = torch.empty(RANDOM_WIDTH, before, 3, 3), torch.empty(RANDOM_WIDTH)
            nn.init.orthogonal_(weight, gain=2**0.5, generator=generator)
            nn.init.uniform_(bias, -0.1, 0.1, generator=generator)
            matrix = weight.flatten(1).T.double()
            exact = ExactProduct(matrix * (_FINE * most / largest), largest).matrix.T.contiguous()
            self._layers.append((exact, bias.double()[:, None] * _FINE))
            most = most * float(matrix.abs().sum(0).max()) + 0.1
            largest = math.ceil(most * _FINE)
            most = largest / _FINE
        self._tall, self._wide = (windows(side, PLACES) for side in shape[1:])

    def __call__(self, codes: Tensor) -> Tensor:
        x = codes.to(torch.float64) * 2 - self._brightest
        for weights, bias in self._layers:
            steps = weights @ functional.unfold(x, 3, padding=1) + bias
            x = torch.where(steps > 0, steps, steps * 0.2).round_().view(len(x), RANDOM_WIDTH, *self._shape[1:])
        means = self._tall @ (x @ self._wide.T) / (self._tall.sum(1)[:, None] * self._wide.sum(1))
        places = means.round_().clamp_(-_SATURATED, _SATURATED).to(torch.int64) + _SATURATED
        return _TANH.take(places.flatten(1))


def _inception(path: str, brightest: int) -> Features:
    from safetensors.torch import load_file
    from torchvision.models import inception_v3

    if not (path.endswith(".safetensors") and Path(path).is_file()):
        raise ConfigError(f"model.inception={path}: no such .safetensors file; weights are never downloaded")
    network = inception_v3(weights=None, init_weights=False, aux_logits=True)
    try:
        network.load_state_dict(load_file(path))
    except RuntimeError as error:
        reason = str(error).splitlines()[0]
        raise ConfigError(f"model.inception={path}: not the weights of torchvision's inception_v3: {reason}") from error
    network.fc = nn.Identity()  # type: ignore[assignment]  # the 2048 pooled features
    network.eval()
    mean, spread = (torch.tensor(each).view(1, 3, 1, 1) for each in ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)))

    def extract(codes: Tensor) -> Tensor:
        return torch.cat([one(image[None] / brightest) for image in codes]) if len(codes) else torch.zeros(0, 2048)

    def one(image: Tensor) -> Tensor:
        coloured = image.expand(-1, 3, -1, -1) if image.shape[1] == 1 else image
        large = functional.interpolate(coloured, size=(299, 299), mode="bilinear", antialias=True)
        return torch.tanh(network((large - mean) / spread))  # pooled features are mostly below 1

    return extract


# -------------------- Image apis ------------------------------------------------------------

PORTABLE: dict[str, Callable[[ImageDomain], PEApi]] = {"glyphs": GlyphSimulator, "faces": FaceSimulator}
NAMES = (*PORTABLE, "pool", "generator", "diffusion")


def image_api(name: str, domain: ImageDomain, source: str | None, points: ImagePoints) -> PEApi:
    """The API called `name`, one of `NAMES`.

    source: file of public images, or folder of a pipeline; None for simulators. points: by which a pool knows
    neighbours. Raises `ConfigError` when the source is missing or does not fit.
    """
    if name in PORTABLE:
        return PORTABLE[name](domain)
    if name == "pool":
        return ImagePool(domain, public_images(source, domain), points, str(source))
    if name == "generator":
        return PublicGenerator(domain, public_images(source, domain), str(source))
    return DiffusionApi.local(domain, source)


def portable_api(name: str, domain: ImageDomain) -> PEApi:
    """An API that needs nothing but the domain; `ConfigError` for another name."""
    if name not in PORTABLE:
        raise ConfigError(f"api {name!r}: not one of {', '.join(PORTABLE)}")
    return PORTABLE[name](domain)


def provenance_of(name: str, source: str | None) -> Provenance:
    """What the API's provenance will be, said before it is made."""
    if name in PORTABLE:
        return Provenance("simulator", name)
    return Provenance("pretrained" if name == "diffusion" else "public_data", Path(str(source)).name)
