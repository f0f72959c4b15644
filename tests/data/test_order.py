"""The order of images is one stream, whatever the batches and wherever it is taken up."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from many_processes import together
from torch.utils.data import DataLoader, Dataset

from harness.data.order import ShownImages, indices
from harness.errors import SpecError

SEEDS = st.integers(0, 2**63)
COUNTS = st.integers(1, 40)


class Numbers(Dataset):
    def __len__(self):
        return 10

    def __getitem__(self, index):
        return index


@given(SEEDS, COUNTS, st.integers(0, 10**6))
def test_every_epoch_shows_every_image_once(seed, num_images, epoch):
    shown = indices(seed, num_images, epoch * num_images, num_images)
    assert shown.dtype == np.int64
    assert sorted(shown) == list(range(num_images))


@given(SEEDS, COUNTS, st.integers(0, 200), st.integers(0, 200))
def test_resuming_anywhere_goes_on_with_the_stream(seed, num_images, start, count):
    whole = indices(seed, num_images, 0, start + count)
    np.testing.assert_array_equal(indices(seed, num_images, start, count), whole[start:])


@given(SEEDS, COUNTS, st.integers(0, 100), st.lists(st.integers(1, 60), max_size=10))
def test_any_split_into_batches_gives_the_same_stream(seed, num_images, start, sizes):
    order = ShownImages(num_images, 1, seed, start)
    batches = iter(order)
    shown = []
    for size in sizes:
        order.set_batch_size(size)
        shown.append(next(batches))
    assert [len(batch) for batch in shown] == sizes
    flat = list(itertools.chain(*shown))
    assert flat == indices(seed, num_images, start, sum(sizes)).tolist()
    assert all(type(i) is int for i in flat)
    assert order.shown == start + sum(sizes)


def test_epochs_and_seeds_differ():
    epochs = indices(0, 100, 0, 300).reshape(3, 100)
    assert len({tuple(epoch) for epoch in epochs} | {tuple(indices(1, 100, 0, 100))}) == 4


def test_each_image_comes_first_about_equally_often():
    first = [indices(seed, 4, 0, 1).item() for seed in range(2000)]
    # 500 each; the s.d. of a count is 19.
    assert np.abs(np.bincount(first, minlength=4) - 500).max() < 80


def test_the_stream_is_the_same_on_every_machine():
    epochs = [[2, 0, 9, 7, 5, 4, 6, 8, 3, 1], [1, 5, 8, 9, 6, 4, 7, 2, 0, 3]]
    assert indices(0, 10, 0, 20).tolist() == epochs[0] + epochs[1]


def test_iterating_again_goes_on():
    order = ShownImages(10, 4, seed=3)
    shown = [*next(iter(order)), *next(iter(order)), *next(iter(order))]
    assert shown == indices(3, 10, 0, 12).tolist()


def test_a_late_start_draws_only_its_own_epoch(monkeypatch):
    drawn = []
    philox = np.random.Philox
    monkeypatch.setattr(np.random, "Philox", lambda seed: drawn.append(seed) or philox(seed))
    batches = iter(ShownImages(1000, 10, seed=0, start=25_000_000_500))
    for _ in range(50):
        next(batches)
    assert len(drawn) == 1
    next(batches)
    assert len(drawn) == 2


def test_two_permutations_are_kept_at_most():
    order = ShownImages(10, 4, seed=0)
    for _ in itertools.islice(order, 50):
        assert len(order._epochs._kept) <= 2


def test_a_real_loader_takes_the_batch_size_set_before_each_batch():
    order = ShownImages(10, 8, seed=5)
    loader = iter(DataLoader(Numbers(), batch_sampler=order, collate_fn=list))
    shown = []
    for size in (8, 3, 5, 1, 25):
        order.set_batch_size(size)
        shown.append(next(loader))
        assert order.shown == sum(map(len, shown))
    assert list(map(len, shown)) == [8, 3, 5, 1, 25]
    assert list(itertools.chain(*shown)) == indices(5, 10, 0, 42).tolist()


@settings(max_examples=5)
@given(st.integers(-3, 0))
def test_numbers_out_of_range_are_refused(number):
    with pytest.raises(SpecError, match=f"batch_size: got {number}"):
        ShownImages(10, number, seed=0)
    with pytest.raises(SpecError, match=f"got {number} images"):
        ShownImages(number, 1, seed=0)
    with pytest.raises(SpecError, match=f"start: got {number - 1}"):
        ShownImages(10, 1, seed=0, start=number - 1)


def _batches(rank, divided):
    order = ShownImages(10, 7, seed=3, divided=divided)
    batches = iter(order)
    found = [next(batches) for _ in range(3)]
    order.set_batch_size(4)
    found.append(next(batches))
    return [(list(batch), getattr(batch, "total", None)) for batch in found], order.shown


def test_processes_share_the_batches_of_one(tmp_path):
    ((whole, shown),) = together(1, tmp_path, _batches, True)
    assert [total for _, total in whole] == [None] * 4
    assert [index for batch, _ in whole for index in batch] == indices(3, 10, 0, 25).tolist()
    shares = together(3, tmp_path, _batches, True)
    assert [count for _, count in shares] == [shown] * 3 == [25] * 3
    for number, (batch, _) in enumerate(whole):
        parts = [share[number] for share, _ in shares]
        assert [index for part, _ in parts for index in part] == batch
        assert {total for _, total in parts} == {len(batch)}
    assert [len(batch) for batch, _ in shares[0][0]] == [3, 3, 3, 2]


def test_an_order_that_is_not_divided_is_whole_in_every_process(tmp_path):
    first, second = together(2, tmp_path, _batches, False)
    assert first == second
    assert first[1] == 25
