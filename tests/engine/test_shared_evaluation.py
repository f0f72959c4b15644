"""Evaluation by one, two and three processes: the same bits, and each image drawn once."""

import pytest
import torch
from rank_groups import in_groups
from shared_evaluation import OF_FEATURES, measure

from harness.metrics.reference import EXTRACT_BATCH

DIGITS = 1797
MEASURED = ("every_metric", "larger", "stylegan2", "few")


@pytest.fixture(scope="module")
def alone(tmp_path_factory):
    return measure(1, tmp_path_factory.mktemp("alone"))


@pytest.fixture(scope="module")
def together(tmp_path_factory):
    return in_groups(measure, tmp_path_factory.mktemp("together"))


@pytest.fixture(params=[2, 3])
def ranks(request, together):
    """What each process of a group found."""
    return together[request.param]


@pytest.mark.parametrize("case", MEASURED)
def test_values_are_those_of_one_process_in_every_process(case, ranks, alone):
    expected, _ = alone[case]
    assert len(expected) >= 4
    assert all(rank[case][0] == expected for rank in ranks)


def test_every_metric_there_is_was_measured(alone):
    named = {name.partition("[")[0].partition("/")[0] for c in MEASURED for name in alone[c][0]}
    assert named == {*OF_FEATURES, "swd", "ms_ssim", "ppl_z", "ppl_w"}


@pytest.mark.parametrize("case", MEASURED)
def test_each_image_is_drawn_once_and_looked_at_once_in_batches_of_one_size(case, ranks, alone):
    counts = [rank[case][1] for rank in ranks]
    assert sum(count["drawn"] for count in counts) == alone[case][1]["drawn"]
    looked = sorted(size for count in counts for size in count["looked"])
    assert looked == sorted(alone[case][1]["looked"])


def test_work_is_shared(ranks, alone):
    fair = alone["every_metric"][1]["drawn"] / len(ranks)
    # Of 11 batches and 3 groups of pairs.
    assert all(abs(rank["every_metric"][1]["drawn"] / fair - 1) < 0.3 for rank in ranks)
    assert alone["every_metric"][1]["looked"] == 2 * [EXTRACT_BATCH, EXTRACT_BATCH, 101]


@pytest.mark.parametrize("case", ["global_streams", "fresh", "rebuilt"])
def test_what_is_drawn_anywhere_does_not_depend_on_who_draws(case, ranks, alone):
    assert all(rank[case] == alone[case] for rank in ranks)


def test_fresh_sets_were_due(alone):
    best, end = alone["fresh"]
    assert any(name.startswith("fresh1/") for name in best)
    assert not any(name.startswith("fresh2/") for name in best)
    assert any(name.startswith("fresh2/") for name in end)


def test_pictures_are_written_by_the_main_process_alone_and_are_those_of_one(ranks, alone):
    values, files = alone["film"]
    assert list(files) == ["film-000000004.npz", "neighbours.npz"]
    assert all(rank["film"][0] == values for rank in ranks)
    assert [rank["film"][1] for rank in ranks] == [files] + [{}] * (len(ranks) - 1)


def test_one_image_is_measured_alike(ranks, alone):
    values, samples = alone["single_image"]
    assert len(values) == 4
    assert all(rank["single_image"][0] == values for rank in ranks)
    assert (ranks[0]["single_image"][1] == samples).all()


def test_batches_are_those_of_one_process_to_the_image(ranks, alone):
    for asked, expected in alone["rebatched"].items():
        found = [batch for rank in ranks for batch in rank["rebatched"][asked]]
        assert sorted(found) == expected
        assert [number for _, batch in expected for number in batch] == [*range(asked[0])]


def test_a_cold_cache_is_filled_by_the_main_process_alone(ranks, alone):
    floors, looked = alone["cold"]
    assert looked == DIGITS
    assert all(rank["cold"][0] == floors for rank in ranks)
    assert [rank["cold"][1] for rank in ranks] == [DIGITS] + [0] * (len(ranks) - 1)


def test_caches_of_one_key_and_of_several_lock_nobody_out_in_any_order(ranks, alone):
    assert all(rank["opposite_orders"] == alone["opposite_orders"] for rank in ranks)
    assert len({digest for digest, _ in alone["opposite_orders"].values()}) == 2


def test_processes_were_asked_for_one_thread(alone):
    assert torch.get_num_threads() == 1
