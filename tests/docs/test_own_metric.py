"""The example of a metric runs as it is printed, and measures what it says."""

import importlib

import pytest
import torch
from example_scripts import EXAMPLES
from torch.utils.data import DataLoader


@pytest.fixture
def example(monkeypatch):
    monkeypatch.syspath_prepend(EXAMPLES)
    return importlib.import_module("own_metric")


def distance(example, images, batch=400):
    metric = example.InkDistance(fake_nums=len(images))
    metric.prepare(torch.nn.Identity(), DataLoader(example.real_images(), 300))
    for part in images.split(batch):
        metric.process(None, part)
    return metric.evaluate()["ink"]


def test_it_is_0_for_the_real_images_and_rises_with_ink(example):
    real = torch.stack([item["gt_img"] for item in example.real_images()])
    values = [distance(example, (real + more).clamp(-1, 1)) for more in (0, 0.1, 0.3)]
    assert values[0] == 0 < values[1] < values[2]
    darker = (real * 0 - 0.5, real * 0 - 0.9)
    assert distance(example, darker[0]) != distance(example, darker[1])


def test_it_is_the_gap_of_the_means_where_all_images_are_shifted(example):
    real = torch.stack([item["gt_img"] for item in example.real_images()])
    shifted = (real / 2) - 0.25  # inside the range, so that no pixel is cut off
    ink = example.ink(((real + 1) * 127.5).round())
    expected = (example.ink(((shifted + 1) * 127.5).round()) - ink).abs()
    assert distance(example, shifted) == pytest.approx(expected.mean().item(), rel=0.02)


def test_it_does_not_depend_on_batches(example):
    images = torch.rand(300, 3, 8, 8, generator=torch.Generator().manual_seed(0)) * 2 - 1
    assert distance(example, images, 300) == distance(example, images, 7)


def test_the_example_prints_what_its_page_shows(example, tmp_path, capsys):
    values = example.main(str(tmp_path / "out"), 60)
    shown = (EXAMPLES / "own_metric.txt").read_text().splitlines()
    assert [line.split()[0] for line in shown] == [*values]
    assert [*values] == ["fid[digits-cnn]", "trained/ink", "averaged/ink"]
    assert all(value > 0 for value in values.values())
