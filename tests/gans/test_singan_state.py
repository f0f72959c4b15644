"""What of a SinGAN outlives a run, and what drawing leaves alone; S and V are faults by number."""

import inspect

import numpy as np
import pytest
import torch
from PIL import Image
from tiny_gan import adams, same_bits
from tiny_pyramid import (
    SIZES,
    STEPS,
    singan_settings,
    tiny_singan,
    trained,
)

from harness.files.pickles import load_pickled_data
from harness.gans.singan import SinGAN
from harness.hooks import (
    ExponentialMovingAverageHook,
    PGGANFetchDataHook,
    PickleDataHook,
    VisualizationHook,
)
from harness.images import to_uint8
from harness.visuals.backends import VisBackend
from harness.visuals.entries import entry_of
from harness.visuals.subject import subject_of
from harness.visuals.visualizer import Visualizer

NAMES = ["noise_weights", "fixed_noises", "curr_stage"]


def rates(optimizers):
    return [w.param_groups[0]["lr"] for _, w in optimizers.items()]


def saved(gan, optimizers, path):
    torch.save({"model": gan.state_dict(), "optimizers": optimizers.state_dict()}, path)


@pytest.mark.parametrize("steps", [1, 4, 5, 7, 10], ids=lambda n: f"after-{n}")
def test_s2_a_resume_goes_on_with_the_same_bits(steps, tmp_path):
    """Within a scale, after its rate fell (from the fifth step of five on), and on its border."""
    straight = tiny_singan(iterations=5)
    optimizers = adams(straight)
    trained(straight, optimizers, steps)
    saved(straight, optimizers, tmp_path / "half.pth")
    losses = trained(straight, optimizers, 6)

    resumed = tiny_singan(iterations=5, seed=1)
    resumed.seed = 0
    others = adams(resumed)
    half = torch.load(tmp_path / "half.pth", weights_only=True)
    resumed.load_state_dict(half["model"])
    others.load_state_dict(half["optimizers"])
    assert trained(resumed, others, 6) == losses
    assert rates(others) == rates(optimizers)
    ours, theirs = straight.state_dict(), resumed.state_dict()
    extra = ours.pop("_extra_state"), theirs.pop("_extra_state")
    assert all(torch.equal(ours[name], theirs[name]) for name in ours)
    assert extra[0]["noise_weights"] == extra[1]["noise_weights"]
    assert all(map(torch.equal, extra[0]["fixed_noises"], extra[1]["fixed_noises"]))


@pytest.mark.parametrize("half", [3, 4], ids=["within", "border"])
def test_s2_mmengines_own_checkpoint_resumes(make_runner, tmp_path, half):
    def runner(iterations, **more):
        hooks = [ExponentialMovingAverageHook("generator_ema", interval=1), PGGANFetchDataHook()]
        hooks.append(PickleDataHook("pickle", NAMES, after_run=True))
        gan = tiny_singan(iterations=4)
        return make_runner(hooks, **singan_settings(gan, iterations * STEPS, **more))

    straight = runner(7)
    straight.train()
    first = runner(half)
    first.train()
    first.save_checkpoint(str(tmp_path), "half.pth", by_epoch=False)
    second = runner(7, resume=True, load_from=str(tmp_path / "half.pth"))
    second.train()
    assert same_bits(straight.model, second.model)
    assert second.model.noise_weights == straight.model.noise_weights


def test_s3_averages_come_from_the_hook_and_no_argument_is_misspelt():
    names = inspect.signature(SinGAN).parameters
    assert not [name for name in names if "ema" in name or "confg" in name]
    with pytest.raises(TypeError, match="ema_confg"):
        tiny_singan(ema_confg={"interval": 1})


def test_s6_drawing_changes_neither_stage_nor_modes_nor_training():
    plain, drawn = tiny_singan(iterations=2), tiny_singan(iterations=2)
    for gan in (plain, drawn):
        optimizers = adams(gan)
        for _ in range(5):
            trained(gan, optimizers, 1)
            if gan is drawn:
                gan.train()
                modes = [module.training for module in gan.modules()]
                gan.test_step({"inputs": {"num_batches": 2}})
                gan.val_step({"inputs": {"num_batches": 1, "mode": "recon"}})
                assert modes == [module.training for module in gan.modules()]
                assert gan.curr_stage == (gan.images_shown // STEPS - 1) // 2
    assert same_bits(plain, drawn)
    kept = plain.state_dict(), drawn.state_dict()
    assert torch.equal(*(s["generator.blocks.1.head.bn.running_var"] for s in kept))


def test_s6_files_and_checkpoint_hold_the_same_noises(make_runner, tmp_path):
    gan = tiny_singan(iterations=2)
    hooks = [PGGANFetchDataHook(), PickleDataHook("pickle", NAMES, after_run=True)]
    runner = make_runner(hooks, **singan_settings(gan, 5 * STEPS))
    runner.train()
    runner.save_checkpoint(str(tmp_path), "last.pth", by_epoch=False)
    (path,) = tmp_path.rglob("pickle/*.pkl")
    data = load_pickled_data(path)
    checkpoint = torch.load(tmp_path / "last.pth", weights_only=True)
    extra = checkpoint["state_dict"]["_extra_state"]
    assert data["curr_stage"] == extra["curr_stage"] == 2
    assert data["noise_weights"] == extra["noise_weights"] == gan.noise_weights
    for kept, noise in zip(data["fixed_noises"], extra["fixed_noises"], strict=True):
        np.testing.assert_array_equal(kept, noise.numpy())


@pytest.mark.parametrize("batch", [1, 3])
def test_v13_the_singan_alias_draws_whatever_the_number_of_images(make_runner, tmp_path, batch):
    entry = {"type": "SinGAN", "name": "fish", "n_samples": 4, "num_batches": batch, "n_row": 2}
    visualizer = Visualizer(
        name=tmp_path.name,
        vis_backends=[VisBackend(save_dir=str(tmp_path), img_save_dir="pictures")],
    )
    hooks = [PGGANFetchDataHook(), VisualizationHook(2, entry)]
    gan = tiny_singan(iterations=2)
    with torch.no_grad():
        for parameter in gan.generator.parameters():
            parameter.mul_(8)  # so that noise is seen after few steps
    runner = make_runner(hooks, **singan_settings(gan, 6 * STEPS, visualizer=visualizer))
    runner.train()
    folder = tmp_path / "pictures"
    names = sorted(path.name for path in folder.glob("*.png"))
    assert names == ["fish_2.png", "fish_4.png", "fish_6.png"]
    # The input is fixed: these are the last scale's images of the seeds that each picture shows.
    random = subject_of(runner).stream(entry_of(entry))
    images = gan.draw(gan.generator, gan.latents(4, random))
    height, width = SIZES[-1]
    assert images.std(0).mean() > 0.1
    picture = np.asarray(Image.open(folder / "fish_6.png"))[1::3, 1::3]  # shown enlarged
    assert picture.shape == (2 * height, 2 * width, 3)
    for index, image in enumerate(to_uint8(images).permute(0, 2, 3, 1).numpy()):
        row, column = divmod(index, 2)
        shown = picture[row * height :, column * width :][:height, :width].astype(int)
        assert abs(shown - image).max() <= 1
