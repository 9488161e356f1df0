"""dpsynth/networks/generators.py"""

import pytest
import torch

from dpsynth.networks.generators import DARK, AffineGenerator, BlockDistributions, CosineImages, GeneratorShape

SHAPE = GeneratorShape(latent=5, hidden=12, layers=2)


def made(head, classes=3, seed=0):
    return AffineGenerator(SHAPE, classes, head, torch.Generator().manual_seed(seed))


def noise(n):
    return torch.randn(n, 5, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize(
    "head", [CosineImages((3, 6, 5), 0.5), BlockDistributions([2, 4, 1])], ids=["images", "distributions"]
)
def test_a_sample_does_not_depend_on_its_batch_mates(head):
    network, z, labels = made(head), noise(9), torch.arange(9) % 3
    together = network(z, labels)
    alone = torch.cat([network(z[k : k + 1], labels[k : k + 1]) for k in range(9)])
    assert torch.allclose(together, alone, atol=1e-6)


def test_the_affine_part_is_that_of_the_class():
    network, z, labels = made(BlockDistributions([4])), noise(6), torch.tensor([0, 1, 2, 2, 1, 0])
    network.head = torch.nn.Identity()
    whole = network(z, labels)
    affine = torch.stack([z[k] @ network.affine[:, c] for k, c in enumerate(labels.tolist())])
    with torch.no_grad():
        network.affine.zero_()
    assert torch.allclose(whole - network(z, labels), affine, atol=1e-5)


def test_images_begin_dark_and_stay_in_the_unit_interval():
    head = CosineImages((2, 7, 9), 0.4)
    assert head.inputs == 2 * 3 * 4
    assert torch.allclose(head(head.start[None]), torch.sigmoid(torch.tensor(DARK)), atol=1e-5)
    wild = head(1e4 * torch.randn(5, head.inputs))
    assert wild.shape == (5, 2, 7, 9)
    assert ((wild >= 0) & (wild <= 1)).all()


def test_all_waves_of_an_image_reach_every_image():
    head = CosineImages((1, 6, 8), 1.0)
    assert head.inputs == 48
    waves = head.waves / head.waves.norm(dim=1, keepdim=True)
    assert torch.allclose(waves @ waves.T, torch.eye(48), atol=1e-5)


def test_distributions_add_up_to_one_in_each_block():
    distributions = BlockDistributions([2, 4, 1])(10 * torch.randn(6, 7))
    for part in distributions.split([2, 4, 1], dim=1):
        assert (part >= 0).all()
        assert torch.allclose(part.sum(dim=1), torch.ones(6), atol=1e-6)
    assert BlockDistributions([])(torch.zeros(3, 1)).shape == (3, 0)


def test_drawing_in_parts_is_drawing_at_once_and_the_seed_decides():
    network, labels = made(BlockDistributions([3])), torch.arange(10) % 3

    def drawn(seed, at_once=1024):
        return network.draw(labels, torch.Generator().manual_seed(seed), at_once)

    assert drawn(0).equal(drawn(0))
    assert not drawn(0).equal(drawn(1))
    assert drawn(0, 4).shape == (10, 3)
    assert network.draw(labels[:0], torch.Generator()).shape == (0, 3)


def test_the_generator_decides_the_initial_weights():
    first, again, other = (made(BlockDistributions([3]), seed=seed).state_dict() for seed in (0, 0, 1))
    assert all(first[name].equal(again[name]) for name in first)
    assert not first["first.weight"].equal(other["first.weight"])
    assert set(first) == {
        name for name, _ in made(BlockDistributions([3])).named_parameters()
    }  # nothing but what was learned
