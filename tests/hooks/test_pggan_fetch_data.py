"""PGGANFetchDataHook on a real Runner and a real small PGGAN; F-numbers are faults of its model."""

import inspect

import pytest
import torch
from mmengine.dataset import DefaultSampler, InfiniteSampler
from mmengine.hooks import Hook
from mmengine.runner import IterBasedTrainLoop
from tiny_gan import (
    GROWTH,
    NUM_IMAGES,
    Batches,
    gan_settings,
    growing_loader,
    numbered,
    numbers_of,
    tiny_gan,
)
from torch.utils.data import BatchSampler, DataLoader, Dataset, RandomSampler, SequentialSampler

from harness.data.growing import GrowingImages
from harness.data.order import ShownImages, indices
from harness.errors import SpecError
from harness.hooks import PGGANFetchDataHook
from harness.spec.growth import GrowthSchedule


class Plain(Dataset):
    """A user's growing set: one image at a time, collated as usual."""

    def __init__(self):
        self.pixels = numbered()
        self.scale = 4

    def update_annotations(self, scale):
        changed, self.scale = scale != self.scale, scale
        return changed

    def __len__(self):
        return NUM_IMAGES

    def __getitem__(self, index):
        return {"inputs": torch.from_numpy(self.pixels[self.scale][index])}


def plain_loader(sampler=SequentialSampler, **options):
    dataset = Plain()
    return DataLoader(dataset, batch_size=3, sampler=sampler(dataset), **options)


def trained(make_runner, loader=None, total=64, hook=None, growth=GROWTH, **more):
    """Train a GAN; return what it saw as (images shown before, batch)."""
    batches = Batches()
    settings = gan_settings(tiny_gan(growth=growth), total) | more
    if loader is not None:
        settings["train_dataloader"] = loader
    runner = make_runner([hook or PGGANFetchDataHook(), batches], **settings)
    runner.train()
    return runner, batches.seen


def assert_as_growth_says(seen, growth=GROWTH):
    for shown, batch in seen:
        scale, size = growth.stage(shown).scale, growth.batch_size(shown)
        assert batch.shape == (size, 3, scale, scale), f"after {shown} images"


LOADERS = {
    "the harness's own": growing_loader,
    "a plain sampler": lambda: plain_loader(drop_last=True),
    "workers": lambda: plain_loader(num_workers=2, drop_last=True),
    "mmengine's endless sampler": lambda: plain_loader(lambda d: InfiniteSampler(d, seed=0)),
}


@pytest.mark.parametrize("name", LOADERS)
def test_f1_f7_every_batch_is_of_the_scale_and_size_that_growth_says(make_runner, name):
    _, seen = trained(make_runner, LOADERS[name](), total=46)
    assert_as_growth_says(seen)
    shapes = list(dict.fromkeys((len(batch), batch.shape[-1]) for _, batch in seen))
    assert shapes == [(4, 4), (4, 8), (2, 16)]
    assert [shown for shown, _ in seen] == [*range(0, 40, 4), 40, 42, 44]


def test_f1_mmengines_own_loop_is_served_as_well(make_runner):
    train_cfg = {"by_epoch": False, "max_iters": 13}
    _, seen = trained(
        make_runner,
        plain_loader(drop_last=True),
        train_cfg=train_cfg,
        val_cfg=None,
        val_dataloader=None,
        val_evaluator=None,
    )
    assert [shown for shown, _ in seen] == [*range(0, 40, 4), 40, 42, 44]
    assert_as_growth_says(seen)


def own_collate(batch):
    return batch


def own_init(worker):
    torch.manual_seed(worker)


def test_f3_every_option_of_the_loader_survives():
    options = {
        "num_workers": 2,
        "collate_fn": own_collate,
        "pin_memory": True,
        "drop_last": True,
        "timeout": 7.5,
        "worker_init_fn": own_init,
        "multiprocessing_context": "fork",
        "generator": torch.Generator().manual_seed(3),
        "prefetch_factor": 5,
        "persistent_workers": True,
        "in_order": False,
    }
    given = {"dataset", "batch_size", "sampler", "batch_sampler", "shuffle", "self"}
    deprecated = {"pin_memory_device"}  # ignored by torch
    known = set(inspect.signature(DataLoader.__init__).parameters)
    assert known - given - deprecated == set(options)
    old = plain_loader(RandomSampler, **options)
    new = PGGANFetchDataHook().update_dataloader(old, 8, 5)
    assert new is not old
    assert new.batch_size == 5
    assert new.dataset is old.dataset
    default = DataLoader(Plain())
    for name in options:
        assert getattr(new, name) == getattr(old, name), name
        assert getattr(new, name) != getattr(default, name), name


def test_f3_without_a_batch_size_it_stays_as_it_is():
    new = PGGANFetchDataHook().update_dataloader(plain_loader(), 8)
    assert new.batch_size == 3
    assert PGGANFetchDataHook().update_dataloader(new, 8) is None
    assert PGGANFetchDataHook().update_dataloader(new, 8, 3) is None
    assert PGGANFetchDataHook().update_dataloader(new, 16).sampler is new.sampler


def test_f3_a_batch_sampler_of_another_kind_is_refused_not_replaced():
    dataset = Plain()
    old = DataLoader(dataset, batch_sampler=BatchSampler(RandomSampler(dataset), 4, True))
    with pytest.raises(TypeError, match="batches of BatchSampler cannot be resized"):
        PGGANFetchDataHook().update_dataloader(old, 8, 4)


@pytest.mark.parametrize("workers", [0, 2])
def test_f4_an_endless_sampler_goes_on_where_it_was(make_runner, workers):
    loader = plain_loader(lambda dataset: InfiniteSampler(dataset, seed=5), num_workers=workers)
    _, seen = trained(make_runner, loader, total=52)
    shown = [number for _, batch in seen for number in numbers_of({"inputs": batch})]
    order = iter(InfiniteSampler(Plain(), seed=5))
    assert shown == [next(order) for _ in shown]
    assert sorted(shown[:NUM_IMAGES]) == list(range(NUM_IMAGES))


@pytest.mark.parametrize("workers", [0, 2])
def test_f4_images_that_an_epoch_drops_stay_dropped(make_runner, workers):
    """Batches of 4 to 40 images, then of 2; two of the first epoch's 30 make no batch."""
    sampler = {"sampler": lambda dataset: DefaultSampler(dataset, seed=5), "drop_last": True}
    _, seen = trained(make_runner, plain_loader(**sampler, num_workers=workers), total=70)
    shown = [number for _, batch in seen for number in numbers_of({"inputs": batch})]
    first, second = DefaultSampler(Plain(), seed=5), DefaultSampler(Plain(), seed=5)
    second.set_epoch(1)
    assert shown[:58] == [*list(first)[:28], *list(second)]


@pytest.mark.parametrize("workers", [0, 2])
def test_f4_f5_an_epoch_goes_on_over_a_switch_and_the_next_is_another(make_runner, workers):
    loader = plain_loader(lambda dataset: DefaultSampler(dataset, seed=5), num_workers=workers)
    _, seen = trained(make_runner, loader, total=70)
    shown = [number for _, batch in seen for number in numbers_of({"inputs": batch})]
    sampler, expected = DefaultSampler(Plain(), seed=5), []
    for epoch in range(3):
        sampler.set_epoch(epoch)
        expected += list(sampler)
    # Epochs of 30 images: the first ends within a scale, amid a batch of 4.
    assert shown == expected[: len(shown)]


def test_f4_the_harness_own_order_has_no_seam(make_runner):
    runner, seen = trained(make_runner)
    shown = [number for _, batch in seen for number in numbers_of({"inputs": batch})]
    assert shown == indices(runner.model.seed, NUM_IMAGES, 0, len(shown)).tolist()


class ResumedAt(Hook):
    """Puts the model where a checkpoint would."""

    priority = "VERY_HIGH"

    def __init__(self, images):
        self.images = images

    def before_run(self, runner):
        runner.model.images_shown = self.images


class Fetches(GrowingImages):
    """Counts the images that are decoded."""

    decoded = 0

    def __getitems__(self, wanted):
        self.decoded += len(wanted)
        return super().__getitems__(wanted)


@pytest.mark.parametrize("images", [18, 44])
def test_f6_a_resumed_run_begins_with_the_right_batch_and_replays_nothing(make_runner, images):
    dataset = Fetches(numbered())
    order = ShownImages(len(dataset), 4, seed=0)
    loader = DataLoader(dataset, batch_sampler=order, collate_fn=Fetches.batch_collate)
    batches = Batches()
    settings = gan_settings(tiny_gan(), 56) | {"train_dataloader": loader}
    make_runner([ResumedAt(images), PGGANFetchDataHook(), batches], **settings).train()
    assert_as_growth_says(batches.seen)
    assert batches.seen[0][0] == images
    shown = [number for _, batch in batches.seen for number in numbers_of({"inputs": batch})]
    assert shown == indices(0, NUM_IMAGES, images, len(shown)).tolist()
    assert dataset.decoded == len(shown) == 56 - images


def test_f8_a_scale_that_the_images_lack_is_an_error(make_runner):
    dataset = GrowingImages(numbered((4, 8)))
    order = ShownImages(len(dataset), 4, seed=0)
    loader = DataLoader(dataset, batch_sampler=order, collate_fn=GrowingImages.batch_collate)
    with pytest.raises(SpecError, match="scale 16: no images of that size; known are 4, 8 px"):
        trained(make_runner, loader)


def test_f11_a_model_that_does_not_grow_is_named(make_runner):
    with pytest.raises(TypeError, match=r"TinyModel does not grow.*leave the hook out"):
        make_runner([PGGANFetchDataHook()]).train()


def test_f11_an_interval_is_accepted(make_runner):
    """Two iterations a look: the switches of GROWTH, at 4 and 10 iterations, are all met."""
    _, seen = trained(make_runner, hook=PGGANFetchDataHook(interval=2))
    assert_as_growth_says(seen)


def test_an_interval_that_misses_a_switch_does_not_train_on_the_wrong_scale(make_runner):
    with pytest.raises(ValueError, match="4 px at scale 8"):
        trained(make_runner, hook=PGGANFetchDataHook(interval=-1))


def test_p2_several_stages_crossed_in_one_step(make_runner):
    growth = GrowthSchedule((4, 8, 16), (16, 2, 40), 2, (6, 4, 2))
    _, seen = trained(make_runner, total=24, growth=growth)
    assert_as_growth_says(seen, growth)
    assert [batch.shape[-1] for _, batch in seen] == [4, 4, 4, 16, 16, 16]


def test_f2_a_loop_by_epochs_is_refused_before_anything_changes(make_runner):
    """It fetches from the loader it began with, whatever the hook does."""
    loader = plain_loader()
    loader.dataset.scale = 16
    with pytest.raises(TypeError, match=rf"keeps the loader.*{IterBasedTrainLoop.__name__}"):
        trained(
            make_runner,
            loader,
            train_cfg={"by_epoch": True, "max_epochs": 2},
            val_cfg=None,
            val_dataloader=None,
            val_evaluator=None,
        )
    assert loader.dataset.scale == 16
