"""Two gloo processes; M-numbers are faults of MMagic's metrics in more than one process."""

import json
from pathlib import Path

import pytest
import torch
import torch.multiprocessing
from two_processes import measure, process

from harness.gen_metrics.ranks import gathered


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory):
    folder: Path = tmp_path_factory.mktemp("ranks")
    torch.multiprocessing.start_processes(process, (folder,), nprocs=2, start_method="spawn")
    return [json.loads((folder / f"{rank}.json").read_text()) for rank in range(2)], folder


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory):
    return measure(tmp_path_factory.mktemp("alone"), "one")


IMAGES = 13 + 2 * 5


def test_m4_uneven_shards_give_the_numbers_of_one_process(both, alone):
    (first, second), _ = both
    assert alone.pop("images") == IMAGES
    assert first.pop("images") + second.pop("images") == IMAGES
    assert first == second
    # Pairs of ms_ssim are of images of one process.
    assert first.pop("ms-ssim/avg") == pytest.approx(alone.pop("ms-ssim/avg"), abs=0.2)
    assert first == pytest.approx(alone, rel=1e-4, abs=1e-6)


def test_m5_one_cold_cache_of_several_metrics_locks_nobody_out(both):
    (first, _), folder = both
    assert first["fid[digits-cnn]"] == first["again/fid[digits-cnn]"]
    assert len(list((folder / "cache-two").glob("*.features"))) == 1


def test_m3_what_fails_in_one_process_is_heard_in_both(both):
    for values in both[0]:
        assert "a covariance needs at least 2 images, 1 given: add more" in values
        assert "99 real images are wanted, the data set has 40" in values
        assert any("0 of 4 generated images reached it" in name for name in values)


def test_m3_no_rows_at_all_are_none():
    assert gathered([]) is None
    rows = [torch.arange(3.0), torch.arange(2.0)]
    assert gathered(rows).tolist() == [0, 1, 2, 0, 1]
