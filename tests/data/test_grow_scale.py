"""GrowScaleImgDataset, alone and under PGGANFetchDataHook; F-numbers are faults of its model."""

import multiprocessing
import os

import numpy as np
import pytest
import torch
from mmengine.hooks import Hook
from mmengine.runner import Runner
from PIL import Image
from tiny_gan import GROWTH, Batches, gan_settings, tiny_gan

from harness.data.grow_scale import GrowScaleImgDataset
from harness.errors import DataError, SpecError
from harness.hooks import PGGANFetchDataHook
from harness.registry import register_all

COUNT = 12
SIZES = {"4": 5, "16": 3}  # of batches; 8 px has the base's


def images(folder, side, count=COUNT, suffix=".png"):
    """Write images named out of order; every pixel of image n has the value 10 n."""
    folder.mkdir(parents=True, exist_ok=True)
    for number in sorted(range(count), key=lambda n: -(n * 7 % count)):
        pixels = np.full((side, side, 3), 10 * number, np.uint8)
        Image.fromarray(pixels).save(folder / f"{number:03}{suffix}", lossless=True)
    return str(folder)


@pytest.fixture
def one_root(tmp_path):
    return {"16": images(tmp_path / "16", 16)}


@pytest.fixture
def roots(tmp_path, one_root):
    """Images of another value in each root, so that a batch tells where it is from."""
    brighter = images(tmp_path / "4", 4)
    for path in (tmp_path / "4").iterdir():
        Image.fromarray(np.asarray(Image.open(path)) + np.uint8(1)).save(path)
    return {"4": brighter, **one_root}


def values(dataset):
    return [int(dataset[index]["inputs"][0, 0, 0]) for index in range(len(dataset))]


class Switches(Hook):
    """Notes the worker processes alive at each iteration."""

    def __init__(self):
        self.workers = []

    def before_train_iter(self, runner, batch_idx, data_batch=None):
        self.workers.append({child.pid for child in multiprocessing.active_children()})


def trained(make_runner, data_roots, sampler, workers=0, iterations=11, **more):
    """Train as an mmengine config has it; return batches by images shown, and workers."""
    register_all()
    loader = {
        "batch_size": 1,
        "num_workers": workers,
        "persistent_workers": workers > 0,
        "sampler": {"type": sampler, "shuffle": True},
        "collate_fn": {"type": "default_collate"},
        "dataset": {
            "type": GrowScaleImgDataset if workers else "GrowScaleImgDataset",
            "data_roots": data_roots,
            "gpu_samples_base": 4,
            "gpu_samples_per_scale": SIZES,
            "len_per_stage": 1000,
            **more,
        },
    }
    if workers:  # an object, which the runner holds on to
        loader = Runner.build_dataloader(loader, seed=0)
    batches, switches = Batches(), Switches()
    settings = gan_settings(tiny_gan()) | {
        "train_dataloader": loader,
        "train_cfg": {"by_epoch": False, "max_iters": iterations},
        **dict.fromkeys(("val_dataloader", "val_cfg", "val_evaluator")),
    }
    make_runner([PGGANFetchDataHook(), batches, switches], **settings).train()
    return batches.seen, switches.workers


def assert_as_growth_says(seen):
    for shown, batch in seen:
        scale = GROWTH.stage(shown).scale
        size = SIZES.get(str(scale), 4)
        assert batch.shape == (size, 3, scale, scale), f"after {shown} images"
    assert {batch.shape[-1] for _, batch in seen} == {4, 8, 16}


@pytest.mark.parametrize("sampler", ["DefaultSampler", "InfiniteSampler"])
@pytest.mark.parametrize("kind", ["one_root", "roots"])
def test_f1_f7_every_batch_is_of_the_right_scale_size_and_root(make_runner, request, kind, sampler):
    seen, _ = trained(make_runner, request.getfixturevalue(kind), sampler)
    assert_as_growth_says(seen)
    for _, batch in seen:
        expected = 1 if kind == "roots" and batch.shape[-1] == 4 else 0
        assert set((batch % 10).unique().tolist()) == {expected}


def test_f1_f5_workers_of_an_earlier_scale_are_ended(make_runner, roots):
    before = {child.pid for child in multiprocessing.active_children()}
    seen, workers = trained(make_runner, roots, "InfiniteSampler", workers=1)
    assert_as_growth_says(seen)
    scales = [GROWTH.stage(shown).scale for shown, _ in seen]
    alive = [pids - before for pids in workers]
    assert {len(pids) for pids in alive} == {1}
    of_scale = dict(zip(scales, alive, strict=True))
    assert [of_scale[scale] for scale in scales] == alive
    assert len(set.union(*alive)) == 3


def test_f7_the_first_scale_has_its_own_batch_size(one_root):
    dataset = GrowScaleImgDataset(one_root, gpu_samples_per_scale={"16": 7})
    assert (dataset.samples_per_gpu, dataset.curr_scale) == (7, 16)
    dataset.update_annotations(8)
    assert dataset.samples_per_gpu == 32


def test_update_tells_whether_the_scale_changed(roots):
    dataset = GrowScaleImgDataset(roots)
    assert [dataset.update_annotations(scale) for scale in (4, 8, 8, 16, 4)] == [
        *(False, True, False, True, True)
    ]


@pytest.mark.parametrize(("scale", "root"), [(4, "4"), (8, "16"), (16, "16")])
def test_a_scale_is_served_from_the_smallest_root_that_is_large_enough(roots, scale, root):
    dataset = GrowScaleImgDataset(roots, len_per_stage=-1)
    dataset.update_annotations(scale)
    assert dataset.data_root == roots[root]
    assert dataset[3]["inputs"].shape == (3, scale, scale)
    assert values(dataset)[3] == 30 + (root == "4")


def test_f8_a_scale_above_the_largest_root_is_an_error(roots):
    dataset = GrowScaleImgDataset(roots)
    with pytest.raises(SpecError, match="scale 32: images of data_roots have at most 16 px"):
        dataset.update_annotations(32)
    assert dataset.curr_scale == 4


def test_f9_files_are_in_sorted_order(one_root, monkeypatch):
    expected = [10 * number for number in range(COUNT)]
    assert values(GrowScaleImgDataset(one_root, len_per_stage=-1)) == expected
    scan = os.scandir
    monkeypatch.setattr(os, "scandir", lambda path: sorted(scan(path), key=str, reverse=True))
    assert values(GrowScaleImgDataset(one_root, len_per_stage=-1)) == expected


@pytest.mark.parametrize("length", [5, COUNT, 29])
def test_f9_the_length_repeats_files_in_turn_or_takes_the_first(one_root, length):
    dataset = GrowScaleImgDataset(one_root, len_per_stage=length)
    assert values(dataset) == [10 * (index % COUNT) for index in range(length)]
    with pytest.raises(IndexError):
        dataset[length]


def test_f9_the_default_length_is_mmagics(one_root):
    assert len(GrowScaleImgDataset(one_root)) == 1_000_000


def test_f9_roots_of_unlike_counts_need_a_length(tmp_path, one_root):
    more = {**one_root, "4": images(tmp_path / "4", 4, COUNT + 1)}
    with pytest.raises(SpecError, match=r"different numbers of images \{4: 13, 16: 12\}"):
        GrowScaleImgDataset(more, len_per_stage=-1)
    assert len(GrowScaleImgDataset(more, len_per_stage=20)) == 20


@pytest.mark.parametrize("suffix", [".PNG", ".JPG", ".jpeg", ".JPEG", ".webp", ".WebP", ".bmp"])
def test_f10_suffixes_are_taken_in_any_case(tmp_path, suffix):
    images(tmp_path / "a", 8, 2, suffix)
    (tmp_path / "a" / "notes.txt").write_text("no image")
    dataset = GrowScaleImgDataset({"8": str(tmp_path / "a")}, len_per_stage=-1)
    assert len(dataset) == 2
    assert abs(values(dataset)[1] - 10) <= 2


@pytest.mark.parametrize("each", [False, True])
def test_f10_file_lists_are_honoured(tmp_path, one_root, each):
    (path := tmp_path / "list.txt").write_text("007.png\n\n002.png\n")
    lists = {"16": str(path)} if each else str(path)
    dataset = GrowScaleImgDataset(one_root, len_per_stage=-1, file_lists=lists)
    assert values(dataset) == [20, 70]


def test_f10_file_lists_that_do_not_fit_are_refused(tmp_path, one_root):
    (path := tmp_path / "list.txt").write_text("007.png\nnone.png\n")
    with pytest.raises(DataError, match=r"list.txt: of 2 files 1 are not in .*16: none.png"):
        GrowScaleImgDataset(one_root, file_lists=str(path))
    with pytest.raises(SpecError, match="for scales 8, but data_roots has 16"):
        GrowScaleImgDataset(one_root, file_lists={"8": str(path)})
    with pytest.raises(DataError, match=r"no.txt: No such file"):
        GrowScaleImgDataset(one_root, file_lists=str(tmp_path / "no.txt"))


def broken(data_roots, *numbers):
    for number in numbers:
        with open(f"{data_roots['16']}/{number:03}.png", "wb") as file:
            file.write(b"no image")


def test_f10_the_next_image_stands_in_for_a_broken_one(one_root):
    broken(one_root, 4, 5, 11)
    dataset = GrowScaleImgDataset(one_root, len_per_stage=-1)
    with pytest.warns(UserWarning, match=r"image left out: .*00[45].png \(not an image\)"):
        assert int(dataset[4]["inputs"][0, 0, 0]) == 60
    with pytest.warns(UserWarning, match=r"011.png"):
        assert int(dataset[11]["inputs"][0, 0, 0]) == 0


def test_f10_broken_images_alone_are_an_error_and_one_is_at_test(one_root):
    broken(one_root, 2)
    with pytest.raises(DataError, match=r"cannot be read: .*002.png \(not an image\); mend"):
        GrowScaleImgDataset(one_root, test_mode=True)[2]
    broken(one_root, *range(COUNT))
    with pytest.raises(DataError, match=r"cannot be read: .*003.png .*004.png .*005.png"):
        GrowScaleImgDataset(one_root)[3]


def test_f10_a_root_that_is_missing_or_empty_is_named(tmp_path):
    with pytest.raises(DataError, match="nowhere: No such file or directory; name folders"):
        GrowScaleImgDataset({"8": str(tmp_path / "nowhere")})
    with pytest.raises(DataError, match="holds no image"):
        GrowScaleImgDataset({"8": str(tmp_path)})


def test_an_image_of_another_shape_is_refused(tmp_path):
    Image.new("RGB", (8, 6)).save(tmp_path / "a.png")
    with pytest.raises(DataError, match=r"a.png: 8 x 6 px; must be square and at least 8 px wide"):
        GrowScaleImgDataset({"8": str(tmp_path)})[0]


class Load:
    """A transform that leaves the size to the dataset."""

    def __init__(self, skip=None):
        self.skip = skip

    def __call__(self, results):
        if self.skip is not None and self.skip in results["gt_path"]:
            return None
        pixels = np.asarray(Image.open(results["gt_path"])).transpose(2, 0, 1)
        return {"inputs": torch.tensor(pixels), "path": results["gt_path"]}


def flipped(results):
    return {**results, "inputs": results["inputs"].flip(-1)}


def test_a_pipelines_images_are_averaged_down_to_the_scale(one_root):
    gradient = np.arange(16 * 16 * 3, dtype=np.uint8).reshape(16, 16, 3)
    Image.fromarray(gradient).save(f"{one_root['16']}/000.png")
    dataset = GrowScaleImgDataset(one_root, [Load(), flipped])
    dataset.update_annotations(4)
    item = dataset[0]
    means = gradient.reshape(4, 4, 4, 4, 3).mean((1, 3)).transpose(2, 0, 1)[..., ::-1]
    assert (item["inputs"].dtype, item["path"]) == (torch.uint8, f"{one_root['16']}/000.png")
    np.testing.assert_array_equal(item["inputs"], means.round())
    dataset.update_annotations(16)
    np.testing.assert_array_equal(dataset[0]["inputs"], gradient.transpose(2, 0, 1)[..., ::-1])


def test_f10_what_a_pipeline_leaves_out_is_replaced(one_root):
    dataset = GrowScaleImgDataset(one_root, [Load(skip="005")])
    with pytest.warns(UserWarning, match=r"005.png \(the pipeline gave None\)"):
        assert int(dataset[5]["inputs"][0, 0, 0]) == 60


def test_batches_of_a_pipeline_are_as_growth_says(make_runner, one_root):
    seen, _ = trained(make_runner, one_root, "InfiniteSampler", pipeline=[Load(), flipped])
    assert_as_growth_says(seen)


def test_a_pipeline_may_hold_mmengine_configs(one_root):
    with pytest.raises(KeyError, match="NoSuchTransform"):
        GrowScaleImgDataset(one_root, [{"type": "NoSuchTransform"}])


@pytest.mark.parametrize("io_backend", ["disk", "local", None])
def test_backends_by_their_names(one_root, io_backend):
    assert values(GrowScaleImgDataset(one_root, len_per_stage=2, io_backend=io_backend)) == [0, 10]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"data_roots": {}}, "data_roots: none given"),
        ({"len_per_stage": 0}, "len_per_stage: 0"),
        ({"gpu_samples_base": 0}, "0 is not at least 1"),
        ({"gpu_samples_per_scale": {"8": 0}}, "scale 8: 0 is not at least 1"),
    ],
)
def test_what_cannot_be_meant_is_refused(one_root, arguments, message):
    with pytest.raises(SpecError, match=message):
        GrowScaleImgDataset(**({"data_roots": one_root} | arguments))
