"""VisualizationHook on a real Runner and a real small PGGAN; V-numbers are the peer's faults."""

import copy

import numpy as np
import pytest
import torch
from mmengine.evaluator import Evaluator
from mmengine.hooks import Hook
from mmengine.model import MMSeparateDistributedDataParallel
from mmengine.structures import BaseDataElement
from mmengine.visualization import LocalVisBackend, Visualizer
from PIL import Image
from tiny import Numbers, TinyModel
from tiny_gan import NOISE_SIZE, gan_settings, same_bits, tiny_gan
from torch import distributed
from torch.utils.data import DataLoader

from harness.errors import SpecError
from harness.hooks import PGGANFetchDataHook, VisualizationHook
from harness.images import to_uint8
from harness.seeding import generator
from harness.visuals.grids import grid

GAN = {"type": "GAN", "name": "fake_img"}


class Pictures:
    """What a visualizer wrote into a folder."""

    def __init__(self, folder):
        self.folder = folder
        backend = LocalVisBackend(save_dir=str(folder), img_save_dir="pictures")
        self.visualizer = Visualizer(name=folder.name, vis_backends=[backend])

    def names(self):
        return sorted(path.name for path in self.folder.rglob("*.png"))

    def __getitem__(self, name):
        (path,) = self.folder.rglob(name)
        return np.asarray(Image.open(path))


@pytest.fixture
def pictures(tmp_path):
    return Pictures(tmp_path / "drawn")


def with_shadow(gan):
    gan.shadow_ema = copy.deepcopy(gan.generator).requires_grad_(False)
    with torch.no_grad():
        for parameter in gan.shadow_ema.parameters():
            parameter.add_(0.5)
    return gan


def trained(make_runner, pictures, hook, gan=None, total=12, hooks=()):
    gan = gan or tiny_gan()
    settings = gan_settings(gan, total) | {"visualizer": pictures.visualizer}
    runner = make_runner([PGGANFetchDataHook(), *hooks, *([hook] if hook else [])], **settings)
    runner.train()
    return runner.model


class Forwards:
    """Counts the batches that each network of a model draws in evaluation mode."""

    def __init__(self, gan):
        self.batches = {name: [] for name in gan.networks()}
        for name, network in gan.networks().items():
            network.register_forward_pre_hook(
                lambda module, inputs, name=name: (
                    None if module.training else self.batches[name].append(len(inputs[0]))
                )
            )


def test_v1_each_network_draws_each_batch_once(make_runner, pictures):
    gan = with_shadow(tiny_gan())
    counted = Forwards(gan)
    entries = [
        GAN | {"sample_model": "ema/orig", "name": "both", "n_samples": 70},
        GAN | {"sample_model": "orig/ema", "target_keys": "orig", "n_samples": 5},
    ]
    trained(make_runner, pictures, VisualizationHook(3, entries), gan)
    assert counted.batches == {"orig": [64, 6, 5], "shadow_ema": [64, 6, 5]}
    assert pictures.names() == ["both_ema_3.png", "both_orig_3.png", "fake_img_orig_3.png"]


def test_v2_entries_of_one_type_show_each_its_own_model(make_runner, pictures):
    gan = with_shadow(tiny_gan())
    counted = Forwards(gan)
    entries = [
        GAN | {"name": "shadow", "sample_model": "ema", "n_samples": 4},
        GAN | {"name": "raw", "sample_model": "orig", "n_samples": 4},
    ]
    hook = VisualizationHook(3, entries)
    model = trained(make_runner, pictures, hook, gan)
    assert counted.batches == {"orig": [4], "shadow_ema": [4]}
    networks = [("shadow", model.shadow_ema), ("raw", model.generator)]
    for entry, (name, network) in zip(hook.entries, networks, strict=True):
        latents = torch.randn(4, NOISE_SIZE, generator=generator(0, entry.purpose, 0))
        expected = grid(to_uint8(model.draw(network, latents)))
        np.testing.assert_array_equal(pictures[f"{name}_3.png"], expected)
    assert not np.array_equal(pictures["shadow_3.png"], pictures["raw_3.png"])


@pytest.mark.parametrize("fixed", [True, False])
def test_v3_training_gives_the_same_bits_with_and_without(make_runner, pictures, fixed):
    hook = VisualizationHook(1, GAN | {"n_samples": 3}, fixed_input=fixed)
    plain = trained(make_runner, pictures, None, total=20)
    state = torch.get_rng_state()
    assert pictures.names() == []
    watched = trained(make_runner, pictures, hook, total=20)
    assert len(pictures.names()) == 5
    assert same_bits(plain, watched)
    assert torch.equal(torch.get_rng_state(), state)


def test_v4_without_entries_it_trains(make_runner, pictures):
    trained(make_runner, pictures, VisualizationHook(1, None))
    assert pictures.names() == []


@pytest.mark.parametrize(
    "alias", ["Translations", "__import__('pathlib').Path('ran').touch()", "NoiseSampler", ""]
)
def test_v5_a_type_is_looked_up_and_never_evaluated(alias, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SpecError, match="is not one of GAN, SinGAN, Translation, "):
        VisualizationHook(1, {"type": alias})
    assert list(tmp_path.iterdir()) == []


def test_v6_it_fires_by_the_runs_iterations_in_short_epochs(make_runner, pictures):
    """Epochs of two iterations, a picture every third: 3 and 6, each in its own file."""

    class Numbered(TinyModel):
        """Draws pictures of its first weight."""

        noise_size = NOISE_SIZE

        def val_step(self, data):
            weight = self.net[0].weight[0, 0]
            return torch.ones(len(data["inputs"]["noise"]), 3, 4, 4) * weight.tanh()

    loader = DataLoader(Numbers(), batch_size=4, drop_last=True)
    runner = make_runner(
        [VisualizationHook(3, GAN)],
        model=Numbered(),
        train_dataloader=loader,
        train_cfg={"by_epoch": True, "max_epochs": 3},
        visualizer=pictures.visualizer,
    )
    runner.train()
    assert pictures.names() == ["fake_img_3.png", "fake_img_6.png"]
    assert not np.array_equal(pictures["fake_img_3.png"], pictures["fake_img_6.png"])


def modes(model):
    return {name: module.training for name, module in model.named_modules()}


def test_v7_every_module_gets_its_own_mode_back(make_runner, pictures):
    gan = with_shadow(tiny_gan())

    class Frozen(Hook):
        """Keeps two modules in evaluation mode, as fine-tuning does."""

        priority = "VERY_HIGH"

        def before_train_iter(self, runner, batch_idx, data_batch=None):
            runner.model.shadow_ema.eval()
            runner.model.discriminator.conv_blocks[0].eval()

    hook = VisualizationHook(1, GAN | {"sample_model": "ema", "n_samples": 2})
    trained(make_runner, pictures, hook, gan, hooks=[Frozen()], total=4)
    off = {name for name, training in modes(gan).items() if not training}
    assert "shadow_ema" in off
    assert "discriminator.conv_blocks.0" in off
    assert all(n.startswith(("shadow_ema", "discriminator.conv_blocks.0")) for n in off)
    assert gan.training


def test_v7_modes_come_back_when_drawing_fails(make_runner, pictures):
    gan = with_shadow(tiny_gan())
    gan.shadow_ema.torgb_layers[0] = torch.nn.Linear(1, 1)
    hook = VisualizationHook(1, GAN | {"sample_model": "ema", "n_samples": 2})
    with pytest.raises(RuntimeError):
        trained(make_runner, pictures, hook, gan)
    assert all(modes(gan).values())


@pytest.fixture
def one_process():
    """A process group of this process alone."""
    distributed.init_process_group("gloo", store=distributed.HashStore(), rank=0, world_size=1)
    yield
    distributed.destroy_process_group()


@pytest.mark.usefixtures("one_process")
def test_v7_a_wrapper_for_distributed_training_gets_its_mode_back(make_runner, pictures):
    gan = tiny_gan()
    hook = VisualizationHook(1, GAN)
    runner = make_runner([hook], **gan_settings(gan), visualizer=pictures.visualizer)
    runner.model = MMSeparateDistributedDataParallel(gan, device_ids=None).train()
    runner.model.module.discriminator.eval()
    before = modes(runner.model)
    hook.vis_sample(runner, 0)
    assert pictures.names() == ["fake_img_1.png"]
    assert modes(runner.model) == before
    assert before[""]
    assert before["module.generator"]


class TestedNumbers(TinyModel):
    """Answers a test with one small picture for each row, coloured by it."""

    __test__ = False

    def test_step(self, data):
        return [
            BaseDataElement(fake_img=row.tanh().view(3, 1, 1).expand(3, 4, 4))
            for row in data["inputs"]
        ]


def after_test(make_runner, pictures, several=False, **arguments):
    tested = {
        "test_dataloader": DataLoader(Numbers(), batch_size=4),
        "test_cfg": {},
        "test_evaluator": Evaluator([]),
    }
    if several:
        tested = {name: [value] * 2 for name, value in tested.items()}
        tested["test_cfg"] = {"type": "MultiTestLoop"}
    runner = make_runner(
        [VisualizationHook(**arguments)],
        model=TestedNumbers(),
        visualizer=pictures.visualizer,
        **tested,
    )
    runner.test()
    return runner


def test_v8_images_of_a_test_are_numbered_without_collisions(make_runner, pictures):
    """Batches of 4, 4 and 2."""
    runner = after_test(make_runner, pictures)
    assert pictures.names() == sorted(f"test_fake_img_{n}.png" for n in range(10))
    for number, row in enumerate(Numbers().rows):
        expected = to_uint8(row.tanh()).numpy()
        assert (pictures[f"test_fake_img_{number}.png"] == expected).all()
    runner.test()  # counts from nought again
    assert len(pictures.names()) == 10


def test_v8_images_of_several_loaders_are_numbered_on(make_runner, pictures):
    after_test(make_runner, pictures, several=True)
    assert pictures.names() == sorted(f"test_fake_img_{n}.png" for n in range(20))
    assert np.array_equal(pictures["test_fake_img_3.png"], pictures["test_fake_img_13.png"])


@pytest.mark.parametrize(
    ("arguments", "count"), [({"max_save_at_test": 5}, 5), ({"save_at_test": False}, 0)]
)
def test_a_test_writes_as_many_images_as_asked_for(make_runner, pictures, arguments, count):
    after_test(make_runner, pictures, **arguments)
    assert len(pictures.names()) == count


class Leaves(Hook):
    """Leaves images in the message hub, as a model or another hook does."""

    priority = "HIGH"

    def after_train_iter(self, runner, batch_idx, data_batch=None, outputs=None):
        images = torch.full((2, 3, 4, 4), -1.0)
        images[1] = (batch_idx + 1) / 4
        runner.message_hub.update_info("attention", images)


@pytest.mark.parametrize(
    ("given", "name"),
    [
        ("attention", "attention"),
        (["attention"], "attention"),
        ({"key": "attention"}, "attention"),
        ([{"key": "attention", "name": "map", "n_row": 2}], "map"),
    ],
)
def test_v11_images_in_the_message_hub_are_drawn(make_runner, pictures, given, name):
    hook = VisualizationHook(2, None, message_hub_vis_kwargs=given)
    trained(make_runner, pictures, hook, hooks=[Leaves()], total=16)
    assert pictures.names() == [f"{name}_2.png", f"{name}_4.png"]
    drawn = pictures[f"{name}_2.png"]
    assert drawn.shape == (32, 64, 3)
    assert (drawn[:, :32] == 0).all()
    assert (drawn[:, 32:] == int(to_uint8(torch.tensor(0.5)))).all()
