"""Real images and the features kept of them; M-numbers are faults of MMagic's cache."""

import random
from pathlib import Path

import pytest
import torch
from drawn import Images, loader
from mmengine.dataset import pseudo_collate
from torch.utils.data import DataLoader, Dataset

from harness.errors import DataError, OutputError
from harness.gen_metrics.real import RealSet
from harness.images import to_float
from harness.metrics.features import load_extractor
from harness.structures import DataSample

DIGITS = load_extractor("digits-cnn")


def all_of(real, key="gt_img", count=40):
    return torch.cat(list(real.batches(key, count)))


def features(data, folder, count=40):
    return RealSet(data).features("gt_img", count, DIGITS, folder).features


class Items(Dataset):
    """Items of any form."""

    def __init__(self, make):
        self.make = make

    def __len__(self):
        return 40

    def __getitem__(self, index):
        return self.make(Images().images[index])


FORMS = {
    "inputs": lambda image: {"inputs": image},
    "named": lambda image: {"gt_img": image, "inputs": torch.zeros(1)},
    "nested": lambda image: {"inputs": {"gt_img": image}},
    "sample": lambda image: {"inputs": {}, "data_samples": DataSample(gt_img=image)},
    "float": lambda image: {"inputs": to_float(image)},
}


@pytest.mark.parametrize("name", FORMS)
def test_m10_images_are_found_under_their_key_in_any_form_of_item(name):
    data = DataLoader(Items(FORMS[name]), 8, collate_fn=pseudo_collate)
    assert torch.equal(all_of(RealSet(data)), Images().images)


def test_items_without_images_are_refused():
    data = DataLoader(Items(lambda image: {"other": image}), 8)
    with pytest.raises(DataError, match="neither 'gt_img' nor inputs"):
        all_of(RealSet(data))
    data = DataLoader(Items(lambda image: {"inputs": image.float()}), 8)
    with pytest.raises(DataError, match=r"must be in \[-1, 1\]"):
        all_of(RealSet(data))


def test_the_set_s_own_order_counts_not_the_sampler_s():
    assert torch.equal(all_of(RealSet(loader(shuffle=True, drop_last=True))), Images().images)


def test_m5_the_cache_goes_by_content(tmp_path):
    first = features(loader(), tmp_path)
    assert len(list(tmp_path.glob("*.features"))) == 1
    again = loader()
    assert torch.equal(features(again, tmp_path), first)
    assert again.dataset.read == 2 * 32 + 40  # never for features
    other = loader()
    other.dataset.images[7, 0, 0, 0] += 1
    assert not torch.equal(features(other, tmp_path), first)
    assert len(features(loader(), tmp_path, 30)) == 30
    assert len(list(tmp_path.glob("*.features"))) == 3
    torch.testing.assert_close(DIGITS(Images().images).features, first)


def test_m5_a_damaged_file_is_computed_anew(tmp_path):
    first = features(loader(), tmp_path)
    (path,) = tmp_path.glob("*.features")
    path.write_bytes(path.read_bytes()[:-5])
    assert torch.equal(features(loader(), tmp_path), first)
    assert torch.equal(features(loader(), tmp_path), first)


def test_m5_a_write_that_fails_leaves_nothing_half_done(tmp_path, monkeypatch):
    def broken(source, target):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(Path, "replace", broken)
        with pytest.raises(OutputError, match=r"No space left on device.*cache_dir"):
            features(loader(), tmp_path)
    assert [path.suffix for path in tmp_path.iterdir()] in ([".lock"], [])
    assert len(features(loader(), tmp_path)) == 40


def flipped(image):
    return {"gt_img": image.flip(-1) if random.random() < 0.5 else image}


def test_m6_random_transforms_of_real_images_are_refused(tmp_path):
    with pytest.raises(DataError, match="random transforms, such as flips, out of the pipeline"):
        features(DataLoader(Items(flipped), 8), tmp_path)
    assert not list(tmp_path.glob("*.features"))


def test_m6_the_loader_s_workers_read(tmp_path):
    data = loader(num_workers=2, multiprocessing_context="fork")
    assert torch.equal(features(data, tmp_path), features(loader(), tmp_path / "other"))
    assert data.dataset.read == 2 * 32  # the rest in other processes


@pytest.mark.parametrize(("wanted", "count"), [(-1, 40), (40, 40), (3, 3)])
def test_images_are_counted(wanted, count):
    assert RealSet(loader()).count(wanted) == count


@pytest.mark.parametrize("wanted", [41, 0])
def test_more_images_than_there_are_or_none_are_refused(wanted):
    with pytest.raises(DataError, match=f"{wanted} real images are wanted, the data set has 40"):
        RealSet(loader()).count(wanted)
