"""Metrics of configs in two and three gloo processes; M-numbers are faults of MMagic's there."""

import pytest
import torch
from measured_together import measure
from rank_groups import in_groups

from harness.ranks.dealt import dealt, gathered, in_pairs

IMAGES = 13 + 2 * 5


@pytest.fixture(scope="module")
def groups(tmp_path_factory: pytest.TempPathFactory):
    folder = tmp_path_factory.mktemp("ranks")
    return in_groups(measure, folder), folder


@pytest.fixture(params=[2, 3])
def ranks(request, groups):
    return groups[0][request.param]


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory):
    return measure(1, tmp_path_factory.mktemp("alone"))


def shared(values):
    return {k: v for k, v in values.items() if k not in ("images", "val_loss", "dealt")}


def test_m4_uneven_shards_give_the_numbers_of_one_process(ranks, alone):
    assert alone["images"] == IMAGES == sum(values["images"] for values in ranks)
    expected, *found = map(shared, (alone, *ranks))
    assert all(values == found[0] for values in found)
    assert found[0] == pytest.approx(expected, rel=1e-5, abs=1e-7)


def test_m4_pairs_and_patches_are_those_of_one_process(ranks, alone):
    for name in ("ms-ssim/avg", "few/avg", "large/swd/16", "large/swd/avg"):
        assert ranks[0][name] == pytest.approx(alone[name], rel=1e-9)


def test_losses_are_the_mean_over_all_processes(ranks):
    expected = sum(range(len(ranks))) / len(ranks)
    assert [values["val_loss"] for values in ranks] == [expected] * len(ranks)


def test_m5_one_cold_cache_of_several_metrics_locks_nobody_out(ranks, groups):
    assert ranks[0]["fid[digits-cnn]"] == ranks[0]["again/fid[digits-cnn]"]
    assert len(list((groups[1] / f"cache-{len(ranks)}").glob("*.features"))) == 1


def test_m3_what_fails_in_one_process_is_heard_in_all(ranks):
    for values in ranks:
        assert "a covariance needs at least 2 images, 1 given: add more" in values
        assert "99 real images are wanted, the data set has 40" in values
        assert any("0 of 4 generated images reached it" in name for name in values)


def test_m3_no_rows_at_all_are_none():
    assert gathered([]) is None
    rows = [torch.arange(3.0), torch.arange(2.0)]
    assert gathered(rows).tolist() == [0, 1, 2, 0, 1]
    assert gathered(rows, 2).tolist() == [0, 1, 2, 0, 1]


def test_one_process_has_everything():
    assert dealt(7, 3) == [range(7)]
    assert dealt(0, 3) == [range(0)]
    assert in_pairs(5) == [0, 1, 2, 3, 4]


def test_batches_are_dealt_out_whole_and_evenly(ranks):
    for (count, batch), shares in ranks[0]["dealt"].items():
        assert [number for share in shares for number in share] == [*range(count)]
        assert all(share.start % batch == 0 for share in shares if share)
        batches = [-(-len(share) // batch) for share in shares]
        assert max(batches) - min(batches) <= 1
        assert len(shares) == len(ranks)
