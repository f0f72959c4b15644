"""DataSample: set, stacked, split; and images read from whatever a model answers."""

import pytest
import torch
from many_processes import together
from mmengine.structures import LabelData

from harness.structures import DataSample, batch_images, images_of, shown_images


def sample(number: int) -> DataSample:
    inner = DataSample(fake_img=torch.full((3, 4, 4), number + 0.5))
    result = DataSample(metainfo={"path": f"{number}.png"}, ema=inner, latent=torch.ones(5))
    result.set_tensor_data({"fake_img": torch.full((3, 4, 4), float(number))})
    return result.set_gt_label(number)


def test_a_class_is_a_label_however_it_is_given():
    given = DataSample()
    given.set_predefined_data({"gt_label": 3, "name": "cat"})
    assert given.gt_label.label.tolist() == [3]
    assert given.name == "cat"
    given.gt_label = torch.tensor([1, 2])
    assert given.gt_label.label.tolist() == [1, 2]
    given.gt_label = LabelData(label=torch.tensor([4]))
    assert given.gt_label.label.tolist() == [4]


def test_stacked_samples_come_apart_as_they_were():
    stacked = DataSample.stack([sample(0), sample(1)])
    assert len(stacked) == 2
    assert stacked.fake_img.shape == (2, 3, 4, 4)
    assert stacked.ema.fake_img[1, 0, 0, 0] == 1.5
    for number, part in enumerate(stacked.split()):
        assert part.metainfo == {"path": f"{number}.png"}
        assert part.gt_label.label.tolist() == [number]
        assert torch.equal(part.ema.fake_img, sample(number).ema.fake_img)
        assert torch.equal(part.latent, torch.ones(5))


def test_what_cannot_be_stacked_is_said():
    with pytest.raises(ValueError, match="no samples"):
        DataSample.stack([])
    with pytest.raises(ValueError, match="same keys"):
        DataSample.stack([sample(0), DataSample(fake_img=torch.zeros(3, 4, 4))])
    with pytest.raises(ValueError, match=r"\[2, 3\]"):
        len(DataSample(a=torch.zeros(2), b=torch.zeros(3)))


def test_images_are_found_in_every_form_of_answer():
    images = torch.zeros(2, 3, 4, 4)
    assert list(images_of(images)) == ["fake_img"]
    assert list(images_of({"ema": images, "loss": torch.tensor(1.0)})) == ["ema"]
    found = images_of([sample(0), sample(1)])
    assert sorted(found) == ["ema.fake_img", "fake_img"]
    assert found["ema.fake_img"][:, 0, 0, 0].tolist() == [0.5, 1.5]
    assert images_of([]) == {}
    assert images_of([images[0], images[1]])["fake_img"].shape == images.shape


def _shown(rank):
    batch = {"inputs": torch.zeros(3 - rank, 3, 4, 4)}
    return batch_images(batch), shown_images(batch), shown_images(batch | {"total": 5})


def test_images_of_all_ranks_are_as_many_as_a_batch_says(tmp_path):
    assert together(1, tmp_path, _shown) == [(3, 3, 5)]
    assert together(2, tmp_path, _shown) == [(3, 6, 5), (2, 4, 5)]
