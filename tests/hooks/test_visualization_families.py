"""VisualizationHook's aliases on small real models: translation, pyramid, diffusion, resume."""

import numpy as np
import pytest
import torch
from mmengine.dataset import InfiniteSampler
from mmengine.evaluator import Evaluator
from mmengine.visualization import LocalVisBackend
from mmengine.visualization import Visualizer as MMEngineVisualizer
from PIL import Image, ImageSequence
from tiny_families import Denoiser, Pairs, Pyramid, Translator, gathered
from tiny_gan import same_bits
from torch.utils.data import DataLoader

from harness.errors import SpecError
from harness.hooks import VisualizationHook
from harness.images import to_uint8
from harness.visuals.backends import VisBackend
from harness.visuals.visualizer import Visualizer


class Windows(Visualizer):
    """Notes what would stand in a window."""

    def __init__(self, name, vis_backends):
        super().__init__(name, vis_backends)
        self.shown = []

    def show(self, drawn_img=None, win_name="image", wait_time=0.0, **settings):
        self.shown.append((win_name, drawn_img.shape, wait_time))


def flat(batches):
    return [number for batch in batches for number in batch]


def loader(data, batch_size=4, endless=False):
    sampler = InfiniteSampler(data, shuffle=False) if endless else None
    return DataLoader(data, batch_size=batch_size, sampler=sampler, collate_fn=gathered)


@pytest.fixture
def drawn(make_runner, tmp_path):
    """Return a function that trains and returns the runner; its pictures are in ``folder``."""
    made = []

    def train(entries, model=None, hooks=(), train=True, folder=None, **settings):
        folder = folder or tmp_path / f"drawn-{len(made)}"
        made.append(folder)
        arguments = settings.pop("hook", {})
        runner = make_runner(
            [*hooks, VisualizationHook(2, entries, **arguments)] if entries else list(hooks),
            model=model or Translator(),
            iterations=settings.pop("iterations", 4),
            train_dataloader=loader(Pairs(), settings.pop("batch_size", 4), endless=True),
            visualizer=Windows(
                name=f"{tmp_path.name}-{len(made)}",
                vis_backends=[VisBackend(save_dir=str(folder), img_save_dir="pictures")],
            ),
            **settings,
        )
        if train:
            runner.train()
        runner.folder = folder / "pictures"
        return runner

    return train


def names(runner):
    folder = runner.folder
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*.*"))


def pixels(runner, name):
    return np.asarray(Image.open(runner.folder / name))


def tiles(picture, rows, columns):
    """Return one pixel of each tile."""
    height, width = picture.shape[0] // rows, picture.shape[1] // columns
    return picture[height // 2 :: height, width // 2 :: width]


def val_settings(*sets, fp16=False):
    return {
        "val_dataloader": loader(sets[0]),
        "val_cfg": {"fp16": fp16},
        "val_evaluator": Evaluator([]),
    }


def test_translation_draws_training_images_beside_their_real_ones(drawn):
    entry = {"type": "Translation", "n_samples": 6, "draw_gt": True, "n_row": 3, "name": "a_b"}
    runner = drawn(entry | {"fixed_input": False})
    assert names(runner) == ["a_b_2.png", "a_b_4.png"]
    first, second = runner.model.asked[:2], runner.model.asked[2:]
    assert [len(batch) for batch in first] == [4, 2]
    assert flat(first) != flat(second)
    picture = pixels(runner, "a_b_4.png")
    assert picture.shape == (2 * 32, 3 * 64, 3)
    real = tiles(picture, 2, 6)[:, ::2].reshape(6, 3)
    numbers = torch.tensor(flat(second))
    assert real[:, 0].tolist() == to_uint8(numbers / 50).tolist()
    assert (real[:, 1:] == 0).all()  # red stays red


def test_w1_as_many_batches_each_time_even_beyond_the_data(drawn):
    """Ten images, thirteen asked for: every picture has all thirteen, in the loader's batches."""
    runner = drawn({"type": "Translation", "n_samples": 13}, iterations=6)
    assert [len(batch) for batch in runner.model.asked] == [4, 4, 4, 1] * 3
    once = runner.model.asked[:4]
    assert runner.model.asked == once * 3  # the input is fixed
    assert set(flat(once)) == set(range(10))
    assert flat(once)[:10] != list(range(10))  # and in an order of its own


def test_w2_every_validation_set_is_drawn_from_before_and_after_a_validation(drawn):
    runner = drawn(None, train=False, **val_settings(Pairs(5, first=20)))
    runner.build_val_loop(runner._val_loop)
    loop = runner.val_loop
    loop.dataloaders = [loader(Pairs(5, first=20), 3), loader(Pairs(5, first=40), 3)]
    hook = VisualizationHook(1, {"type": "TranslationVal", "n_samples": 7})
    for last_used in loop.dataloaders:
        loop.dataloader = last_used
        runner.model.asked.clear()
        hook.vis_sample(runner, 0)
        asked = runner.model.asked
        assert [len(batch) for batch in asked] == [3, 1, 3]
        assert all(20 <= number < 25 for batch in asked[:2] for number in batch)
        assert all(40 <= number < 45 for number in asked[2])


def test_translation_val_and_test_draw_at_the_training_interval(drawn):
    entries = [
        {"type": "TranslationVal", "n_samples": 2, "name": "val"},
        {"type": "TranslationTest", "n_samples": 2},
    ]
    runner = drawn(
        entries,
        **val_settings(Pairs(6, first=20)),
        test_dataloader=loader(Pairs(6, first=40)),
        test_cfg={},
        test_evaluator=Evaluator([]),
    )
    assert names(runner)[:2] == ["TranslationTest_2.png", "TranslationTest_4.png"]
    assert names(runner)[2:] == ["val_2.png", "val_4.png"]
    drawn_batches = [batch for batch in runner.model.asked if len(batch) == 2]
    assert {number // 20 for batch in drawn_batches for number in batch} == {1, 2}


@pytest.mark.parametrize(("kind", "name"), [("TranslationVal", "val"), ("TestData", "test")])
def test_a_set_that_the_runner_has_not_is_named(drawn, kind, name):
    with pytest.raises(SpecError, match=f"draws from the {name} set, and the runner has none"):
        drawn({"type": kind})


def test_v13_a_pyramid_is_asked_for_single_images_whatever_the_training_batch(drawn):
    runner = drawn({"type": "SinGAN", "name": "fish", "n_samples": 3}, Pyramid(), batch_size=5)
    assert runner.model.counts == [1] * 6
    assert names(runner) == ["fish_2.png", "fish_4.png"]
    first, second = (pixels(runner, name) for name in names(runner))
    np.testing.assert_array_equal(first, second)  # noise of the model's own, and yet fixed
    assert len(np.unique(tiles(first, 2, 2).reshape(4, 3), axis=0)) == 4  # the last is black


def test_an_entrys_arguments_are_put_together_with_its_alias(drawn):
    entry = {"type": "SinGAN", "n_samples": 2, "forward_kwargs": {"mode": "recon"}, "n_row": 2}
    runner = drawn(entry, Pyramid())
    left, right = tiles(pixels(runner, "SinGAN_2.png"), 1, 2)[0]
    np.testing.assert_array_equal(left, right)


DIFFUSION = {
    "type": "DDPMDenoising",
    "n_samples": 3,
    "n_row": 3,
    "forward_kwargs": {"num_inference_steps": 4},
}


def test_ddpm_denoising_moves_from_noise_to_the_image(drawn):
    runner = drawn(DIFFUSION | {"n_skip": 1, "fps": 5}, Denoiser(), iterations=2)
    (asked,) = runner.model.arguments
    assert (asked["num_inference_steps"], asked["num_batches"]) == (4, 3)
    assert asked["forward_mode"] == "sampling"
    assert names(runner) == ["ddpm_sample_2.gif"]
    with Image.open(runner.folder / "ddpm_sample_2.gif") as film:
        frames = [np.asarray(f.convert("RGB")) for f in ImageSequence.Iterator(film)]
        assert film.info["duration"] == 200
    assert [frame.shape for frame in frames] == [(32, 96, 3)] * 5
    still = drawn(DIFFUSION | {"vis_mode": "image"}, Denoiser(), iterations=2)
    chains = pixels(still, "ddpm_sample_2.png")
    assert chains.shape == (5 * 32, 96, 3)  # n_row stands: 15 images, three a row
    last = chains.reshape(5, 32, 3, 32, 3).swapaxes(1, 2).reshape(15, 32, 32, 3)[[4, 9, 14]]
    assert np.abs(np.concatenate(list(last), axis=1).astype(int) - frames[-1]).mean() < 8


@pytest.mark.parametrize("batch_size", [1, 3, 5])
def test_v9_a_sequence_stays_one_sample_whatever_the_batch_size(drawn, batch_size):
    """Sequences of 5; batches as long as a sequence, and shorter."""
    entry = DIFFUSION | {"num_batches": batch_size, "n_samples": 5, "n_skip": 1, "n_row": 5}
    runner = drawn(entry, Denoiser(), iterations=2)
    with Image.open(runner.folder / "ddpm_sample_2.gif") as film:
        assert (film.size, film.n_frames) == ((5 * 32, 32), 5)
    assert sum(asked["num_batches"] for asked in runner.model.arguments) == 5


def test_moving_pictures_need_a_visualizer_that_has_them(make_runner, tmp_path):
    backend = LocalVisBackend(save_dir=str(tmp_path))
    visualizer = MMEngineVisualizer(name=tmp_path.name, vis_backends=[backend])
    runner = make_runner(
        [VisualizationHook(2, DIFFUSION)],
        model=Denoiser(),
        train_dataloader=loader(Pairs(), endless=True),
        visualizer=visualizer,
    )
    with pytest.raises(TypeError, match="no moving pictures: give the runner visualizer"):
        runner.train()


FAMILIES = {
    "data": ({"type": "Translation", "n_samples": 3}, Translator),
    "val": ({"type": "TranslationVal", "n_samples": 3}, Translator),
    "pyramid": ({"type": "SinGAN", "n_samples": 2}, Pyramid),
    "diffusion": (DIFFUSION, Denoiser),
}


@pytest.mark.parametrize("fixed", [True, False])
@pytest.mark.parametrize("family", FAMILIES)
def test_v3_training_gives_the_same_bits_with_and_without(drawn, family, fixed):
    """The models draw from the global stream in training (dropout) and in their answers."""
    entry, make = FAMILIES[family]
    settings = val_settings(Pairs(6)) if family == "val" else {}
    torch.manual_seed(5)
    plain = drawn(None, make(), **settings)
    state = torch.get_rng_state()
    watched = drawn(entry | {"fixed_input": fixed}, make(), **settings)
    assert names(watched)
    assert same_bits(plain.model, watched.model)
    assert torch.equal(torch.get_rng_state(), state)


def test_v12_a_resumed_run_shows_the_same_and_holds_nothing(drawn):
    """Noise, fixed or not, from seed and step alone; the seed is the checkpoint's."""
    entries = [
        {"type": "SinGAN", "n_samples": 3, "name": "same"},
        {"type": "SinGAN", "n_samples": 3, "name": "new", "fixed_input": False},
    ]
    keep = {"checkpoint": {"type": "CheckpointHook", "interval": 2, "by_epoch": False}}
    settings = {"default_hooks": keep | {"logger": None}}
    whole = drawn(entries, Pyramid(), randomness={"seed": 3}, **settings)
    settings |= {"resume": True, "load_from": f"{whole.work_dir}/iter_2.pth"}
    resumed = drawn(entries, Pyramid(), randomness={"seed": None}, **settings)
    assert names(resumed) == ["new_4.png", "same_4.png"]
    for name in names(resumed):
        np.testing.assert_array_equal(pixels(resumed, name), pixels(whole, name))
    assert not np.array_equal(pixels(whole, "new_2.png"), pixels(whole, "new_4.png"))
    assert not np.array_equal(pixels(whole, "new_4.png"), pixels(whole, "same_4.png"))


def test_v12_documented_names_work(drawn):
    assert VisualizationHook.SAMPLER_TYPE_MAPPING["TranslationTest"] == "TestData"
    arguments = {"sampler_kwargs_list": {"type": "translation", "num_samples": 2}}
    runner = drawn(None, hooks=[VisualizationHook(2, **arguments)])
    assert names(runner) == ["translation_2.png", "translation_4.png"]
    assert [len(batch) for batch in runner.model.asked] == [2, 2]


@pytest.mark.parametrize("half", [True, False])
def test_v12_it_draws_in_the_precision_of_the_loop(drawn, half):
    runner = drawn(
        {"type": "Translation", "n_samples": 2}, **val_settings(Pairs(4), fp16=half), iterations=2
    )
    dtypes = runner.model.dtypes[:1]
    assert dtypes == [torch.bfloat16 if half else torch.float32]


def test_v10_showing_leaves_the_backends_as_they_are(drawn):
    hook = {"show": True, "wait_time": 0.5}
    runner = drawn({"type": "Translation", "n_samples": 1}, hook=hook)
    assert runner.visualizer.shown == [("Translation", (32, 32, 3), 0.5)] * 2
    assert names(runner) == ["Translation_2.png", "Translation_4.png"]
    runner.visualizer.add_scalar("loss", 0.25, step=3)
    assert '"loss": 0.25' in (runner.folder.parent / "scalars.json").read_text()


def test_a_model_without_noise_is_told_what_to_use(drawn):
    with pytest.raises(SpecError, match=r"Translator has no noise_size .* use type Arguments"):
        drawn({"type": "GAN"})
