"""Pretrained diffusion pipelines of the `diffusers` library as an API, from local files (an extra).

Two kinds of pipelines, told apart by what the folder holds:

    text      (Stable Diffusion and its like) random: text to image from the prompt of the class; variation: image to
              image with `strength` = degree. The original Private Evolution (Lin et al. 2023, arXiv 2305.15560).
    noise     (DDPM, the kind of improved-diffusion) random: denoised noise; variation: noise up to `degree` of the
              steps, then denoised again.

Nothing is downloaded. The pipeline was trained on data outside this guarantee, and the privacy statement names it.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

from dpsynth.data.image.domain import ImageDomain
from dpsynth.errors import ConfigError
from dpsynth.models.pe.api import Batch, Provenance

PROMPT = "an image of {}"
AT_ONCE = 16  # images made together
STEPS = 50  # of denoising
EXTRA = "pip install 'dpsynth-torch[diffusion]'"


class TextPipelines:
    """A text-to-image and an image-to-image pipeline of diffusers, called as that library documents them."""

    def __init__(self, text_to_image: Any, image_to_image: Any, steps: int = STEPS) -> None:
        self._first, self._again, self._steps = text_to_image, image_to_image, steps

    def made(self, prompts: Sequence[str], generator: torch.Generator) -> list[Image.Image]:
        """An image for every prompt."""
        return self._first(list(prompts), num_inference_steps=self._steps, generator=generator).images

    def varied(
        self, prompts: Sequence[str], images: Sequence[Image.Image], degree: float, generator: torch.Generator
    ) -> list[Image.Image]:
        """Each image again. The pipeline runs `strength` of its steps, which must be one at least."""
        strength = max(degree, 1 / self._steps)
        return self._again(
            list(prompts), image=list(images), strength=strength, num_inference_steps=self._steps, generator=generator
        ).images


class NoisePipeline:
    """An unconditional pipeline with a `unet` and a `scheduler`, such as DDPMPipeline."""

    def __init__(self, pipeline: Any, steps: int = STEPS) -> None:
        self._unet, self._scheduler, self._steps = pipeline.unet, pipeline.scheduler, steps

    def made(self, prompts: Sequence[str], generator: torch.Generator) -> list[Image.Image]:
        """An image for every prompt, whose words it does not know."""
        side, channels = self._unet.config.sample_size, self._unet.config.in_channels
        height, width = (side, side) if isinstance(side, int) else side
        start = torch.randn(len(prompts), channels, height, width, generator=generator)
        return self._denoised(start, 1.0, generator)

    def varied(
        self, prompts: Sequence[str], images: Sequence[Image.Image], degree: float, generator: torch.Generator
    ) -> list[Image.Image]:
        """Each image with noise of the step that `degree` of the way begins at, denoised from there."""
        side, channels = self._unet.config.sample_size, self._unet.config.in_channels
        size = (side, side) if isinstance(side, int) else (side[1], side[0])
        mode = "L" if channels == 1 else "RGB"
        arrays = [np.atleast_3d(np.asarray(image.convert(mode).resize(size))) for image in images]
        clean = torch.from_numpy(np.stack(arrays)).permute(0, 3, 1, 2).float() / 127.5 - 1
        first = self._times(degree)[:1]
        noise = torch.randn(clean.shape, generator=generator)
        noisy = self._scheduler.add_noise(clean, noise, first.expand(len(clean)))
        return self._denoised(noisy, degree, generator)

    def _times(self, degree: float) -> torch.Tensor:
        self._scheduler.set_timesteps(self._steps)
        times = self._scheduler.timesteps
        return times[len(times) - max(1, round(degree * len(times))) :]

    def _denoised(self, images: torch.Tensor, degree: float, generator: torch.Generator) -> list[Image.Image]:
        with torch.no_grad():
            for time in self._times(degree):
                images = self._scheduler.step(
                    self._unet(images, time).sample, time, images, generator=generator
                ).prev_sample
        pixels = ((images.clamp(-1, 1) + 1) * 127.5).round().to(torch.uint8).permute(0, 2, 3, 1).numpy()
        return [Image.fromarray(pixel[..., 0] if pixel.shape[-1] == 1 else pixel) for pixel in pixels]


class DiffusionApi:
    """Images of `domain` from pipelines, resized to its shape.

    pipelines: `TextPipelines` or `NoisePipeline`. name: what the privacy statement calls it. prompt: with {} for the
    name of the class.
    """

    modality: str = "image"
    portable = False

    def __init__(
        self, domain: ImageDomain, pipelines: TextPipelines | NoisePipeline, name: str, prompt: str = PROMPT
    ) -> None:
        self.domain, self.provenance = domain, Provenance("pretrained", name)
        self._pipelines, self._prompt = pipelines, prompt

    @classmethod
    def local(cls, domain: ImageDomain, folder: str | None) -> DiffusionApi:
        """From the folder of a saved pipeline. `ConfigError` when it, or the library, is missing."""
        if folder is None or not (Path(folder) / "model_index.json").is_file():
            raise ConfigError(
                f"model.source={folder}: name the folder of a saved diffusers pipeline (model_index.json)"
            )
        try:
            import diffusers  # an extra  # pyright: ignore[reportMissingImports]
        except ImportError:
            raise ConfigError(f"model.api=diffusion: needs diffusers; {EXTRA}") from None
        pipeline = diffusers.DiffusionPipeline.from_pretrained(folder, local_files_only=True, use_safetensors=True)
        pipeline.set_progress_bar_config(disable=True)
        if hasattr(pipeline, "text_encoder"):
            again = diffusers.AutoPipelineForImage2Image.from_pipe(pipeline)
            again.set_progress_bar_config(disable=True)
            return cls(domain, TextPipelines(pipeline, again), Path(folder).name)
        return cls(domain, NoisePipeline(pipeline), Path(folder).name)

    def random(self, labels: np.ndarray, generator: np.random.Generator) -> Batch:
        source = _torch(generator)
        images = [self._pipelines.made(self._prompts(part), source) for part in _parts(labels)]
        return self._batch(labels, images)

    def variation(self, batch: Batch, degree: float, generator: np.random.Generator) -> Batch:
        if degree == 0:
            return batch
        source, images, start = _torch(generator), [], 0
        for part in _parts(batch.labels):
            given = [_picture(pixels) for pixels in batch.genes["pixels"][start : start + len(part)]]
            images.append(self._pipelines.varied(self._prompts(part), given, degree, source))
            start += len(part)
        return self._batch(batch.labels, images)

    def _prompts(self, labels: np.ndarray) -> list[str]:
        names = self.domain.classes
        return [self._prompt.format(names[label] if names else "something") for label in labels]

    def _batch(self, labels: np.ndarray, images: Sequence[Sequence[Image.Image]]) -> Batch:
        channels, height, width = self.domain.shape
        pixels = np.empty((len(labels), channels, height, width), dtype=np.uint8)
        for k, image in enumerate(image for part in images for image in part):
            fitted = image.convert("L" if channels == 1 else "RGB").resize((width, height), Image.Resampling.LANCZOS)
            pixels[k] = np.atleast_3d(np.asarray(fitted)).transpose(2, 0, 1)
        return Batch(labels, {"pixels": pixels})


def _parts(labels: np.ndarray) -> list[np.ndarray]:
    return [labels[start : start + AT_ONCE] for start in range(0, len(labels), AT_ONCE)]


def _picture(pixels: np.ndarray) -> Image.Image:
    """A coloured picture, as image-to-image pipelines expect it."""
    return Image.fromarray(pixels[0] if len(pixels) == 1 else pixels.transpose(1, 2, 0)).convert("RGB")


def _torch(generator: np.random.Generator) -> torch.Generator:
    return torch.Generator().manual_seed(int(generator.integers(2**62)))
