"""The adapter for diffusers: against its documented calls here, and against a tiny pipeline where it is installed."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from PIL import Image

from dpsynth.data import ImageDomain
from dpsynth.errors import ConfigError
from dpsynth.models.pe.api import PEApi
from dpsynth.models.pe.diffusion import AT_ONCE, DiffusionApi, NoisePipeline, TextPipelines

DOMAIN = ImageDomain(8, 8, channels=3, classes=("cat", "dog"))


class TextToImage:
    """Called as StableDiffusionPipeline is documented; remembers how."""

    def __init__(self):
        self.calls = []

    def __call__(self, prompt, *, num_inference_steps, generator):
        self.calls.append(prompt)
        pixels = torch.randint(0, 256, (len(prompt), 16, 16, 3), generator=generator).to(torch.uint8).numpy()
        return SimpleNamespace(images=[Image.fromarray(each) for each in pixels])


class ImageToImage:
    """Called as StableDiffusionImg2ImgPipeline is documented."""

    def __init__(self):
        self.calls = []

    def __call__(self, prompt, *, image, strength, num_inference_steps, generator):
        assert strength * num_inference_steps >= 1 - 1e-9
        assert all(each.mode == "RGB" for each in image)
        self.calls.append((prompt, strength))
        return SimpleNamespace(images=image)


def test_text_pipelines_are_asked_as_documented():
    first, again = TextToImage(), ImageToImage()
    api = DiffusionApi(DOMAIN, TextPipelines(first, again), "tiny", "a photo of a {}")
    assert isinstance(api, PEApi)
    assert str(api.provenance) == "pretrained: tiny"
    labels = np.arange(AT_ONCE + 3) % 2
    batch = api.random(labels, np.random.default_rng(0))
    assert [len(prompts) for prompts in first.calls] == [AT_ONCE, 3]
    assert first.calls[1] == ["a photo of a cat", "a photo of a dog", "a photo of a cat"]
    child = api.variation(batch, 0.4, np.random.default_rng(1))
    assert [strength for _, strength in again.calls] == [0.4, 0.4]
    np.testing.assert_array_equal(child.genes["pixels"], batch.genes["pixels"])
    api.variation(batch, 0.001, np.random.default_rng(1))
    assert again.calls[-1][1] == pytest.approx(1 / 50)
    assert api.variation(batch, 0.0, np.random.default_rng(1)) is batch


class Scheduler:
    """Ten steps of plain averaging with zero, as a stand-in for a noise schedule."""

    def set_timesteps(self, steps):
        self.timesteps = torch.arange(steps - 1, -1, -1)

    def add_noise(self, clean, noise, times):
        fraction = ((times + 1) / len(self.timesteps)).view(-1, 1, 1, 1)
        return torch.sqrt(1 - fraction) * clean + torch.sqrt(fraction) * noise

    def step(self, out, time, images, generator):
        assert isinstance(generator, torch.Generator)
        return SimpleNamespace(prev_sample=images - out / len(self.timesteps))


def noise_pipeline(channels: int) -> NoisePipeline:
    def unet(images, time):
        return SimpleNamespace(sample=images)

    unet.config = SimpleNamespace(sample_size=8, in_channels=channels)
    return NoisePipeline(SimpleNamespace(unet=unet, scheduler=Scheduler()), steps=10)


@pytest.mark.parametrize("channels", [1, 3])
def test_noise_pipelines_begin_where_the_degree_says(channels):
    domain = ImageDomain(8, 8, channels=channels)
    api = DiffusionApi(domain, noise_pipeline(channels), "ddpm")
    batch = api.random(np.zeros(4, dtype=np.int64), np.random.default_rng(0))
    assert batch.genes["pixels"].shape == (4, channels, 8, 8)
    near, far = (api.variation(batch, degree, np.random.default_rng(1)).genes["pixels"] for degree in (0.1, 1.0))
    kept = [np.corrcoef(each.ravel(), batch.genes["pixels"].ravel())[0, 1] for each in (near, far)]
    assert kept[0] > 0.5 > abs(kept[1])


def test_a_missing_folder_is_named(tmp_path):
    with pytest.raises(ConfigError, match="model_index"):
        DiffusionApi.local(DOMAIN, str(tmp_path))


def test_a_tiny_pipeline_of_the_library_itself(tmp_path):
    diffusers = pytest.importorskip("diffusers", reason="an extra: pip install 'dpsynth-torch[diffusion]'")
    torch.manual_seed(0)
    unet = diffusers.UNet2DModel(
        sample_size=8, in_channels=1, out_channels=1, block_out_channels=(8, 8), layers_per_block=1, norm_num_groups=4,
        down_block_types=("DownBlock2D", "DownBlock2D"), up_block_types=("UpBlock2D", "UpBlock2D"),
    )  # fmt: skip
    diffusers.DDPMPipeline(unet, diffusers.DDPMScheduler(num_train_timesteps=100)).save_pretrained(tmp_path / "tiny")
    domain = ImageDomain(10, 12)
    api = DiffusionApi.local(domain, str(tmp_path / "tiny"))
    batch = api.random(np.zeros(3, dtype=np.int64), np.random.default_rng(0))
    assert api.variation(batch, 0.2, np.random.default_rng(1)).genes["pixels"].shape == (3, 1, 10, 12)
    assert str(api.provenance) == "pretrained: tiny"
