"""What a number of processes cannot train is refused before anything begins."""

import pytest
from small_spec import plan
from tiny_singan import singan_spec

from harness.errors import SpecError
from harness.launch.group import refuse, threads_each
from harness.plan.expand import expand

STYLED = {"type": "StyleGAN2", "noise_size": 8, "out_scale": 8, "base_channels": 32}
LOGISTIC = {"type": "logistic", "path_weight": 2, "path_batch_shrink": 4}


def test_one_image_is_not_divided():
    with pytest.raises(SpecError, match="trains on one image, which 2 processes cannot divide"):
        refuse(expand("one", "quick", singan_spec()), 2)


def test_each_process_needs_an_image_at_every_scale():
    refuse(plan(train__batch_size={4: 20, 8: 3}), 3)
    with pytest.raises(SpecError) as caught:
        refuse(plan(train__batch_size={4: 20, 8: 3}), 4)
    assert caught.value.problems == (
        "train.batch_size: 3 images for 4 processes, one each: start fewer, or train larger "
        "batches",
    )


def test_each_process_needs_a_path():
    given = plan(model=STYLED, train__loss=LOGISTIC, train__batch_size=12)
    refuse(given, 3)
    with pytest.raises(SpecError, match=r"path_batch_shrink: leaves 3 of 12 images for 4 proc"):
        refuse(given, 4)
    without = plan(model=STYLED, train__loss=LOGISTIC | {"path_weight": 0}, train__batch_size=12)
    refuse(without, 4)


def test_processes_share_the_threads_of_their_machine(monkeypatch):
    monkeypatch.setenv("LOCAL_WORLD_SIZE", "3")
    assert threads_each(8, "cuda") == 2
    assert threads_each(2, "cuda") == 1
    assert threads_each(1, "cpu") == 1
