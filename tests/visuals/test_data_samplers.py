"""Samplers of data, on real loaders."""

import pytest
import torch
from tiny_families import Pairs, Translator, gathered
from torch.utils.data import DataLoader, IterableDataset

from harness.errors import SpecError
from harness.visuals.data_samplers import loaders_of
from harness.visuals.samplers import get_sampler


@pytest.fixture
def runner(make_runner):
    loader = DataLoader(Pairs(), batch_size=4, collate_fn=gathered)
    runner = make_runner(model=Translator(), train_dataloader=loader)
    assert runner.train_loop.iter == 0  # it is built now
    return runner


def numbers(runner, iteration=0, **words):
    runner.train_loop._iter = iteration
    sampler = get_sampler({"type": "Data", "n_samples": 8, **words}, runner)
    return [[sample.number for sample in batch["data_samples"]] for batch in sampler]


def test_w1_batches_are_the_loaders_own_in_a_shuffled_order(runner):
    torch.manual_seed(2)
    state = torch.get_rng_state()
    batches = numbers(runner)
    assert [len(batch) for batch in batches] == [4, 4]
    assert len({number for batch in batches for number in batch}) == 8
    assert batches != [[0, 1, 2, 3], [4, 5, 6, 7]]
    assert torch.equal(torch.get_rng_state(), state)
    assert [len(batch) for batch in numbers(runner, num_batches=3)] == [3, 3, 2]


def test_w1_a_fixed_input_is_the_same_and_another_is_not(runner):
    assert numbers(runner, 1) == numbers(runner, 2)
    first, again, second = (numbers(runner, i, fixed_input=False) for i in (1, 1, 2))
    assert first == again
    assert first != second


def test_w1_every_pass_yields_as_much_as_asked_for(runner):
    sampler = get_sampler({"type": "Data", "n_samples": 25}, runner)
    passes = [[len(batch["data_samples"]) for batch in sampler] for _ in range(3)]
    assert passes == [[4] * 6 + [1]] * 3


def test_batches_of_a_batch_sampler_have_its_size(runner):
    order = torch.utils.data.BatchSampler(range(10), 5, drop_last=False)
    runner.train_loop.dataloader = DataLoader(Pairs(), batch_sampler=order, collate_fn=gathered)
    assert [len(batch) for batch in numbers(runner)] == [5, 3]


class Endless(IterableDataset):
    """Has no indices."""

    def __iter__(self):
        while True:
            yield 1


def test_data_without_indices_are_refused(runner):
    runner.train_loop.dataloader = DataLoader(Endless())
    with pytest.raises(SpecError, match="cannot choose images of the train set: Endless"):
        numbers(runner)


class Loop:
    """A loop over what it is given."""

    def __init__(self, **loaders):
        self.__dict__ |= loaders


def test_w2_a_loop_has_one_loader_or_several_or_none():
    one, two = (DataLoader(Pairs()) for _ in range(2))
    assert loaders_of(Loop(dataloader=one)) == [one]
    assert loaders_of(Loop(dataloader=two, dataloaders=[one, two])) == [one, two]
    assert loaders_of(Loop(dataloader=[])) == []
    assert loaders_of(None) == []
