"""Shares of a batch: who has which rows, and what looks across all of them is derived through."""

import pytest
import torch
from many_processes import together
from torch import nn

from harness.errors import HarnessError
from harness.networks.minibatch_stddev import minibatch_stddev
from harness.ranks.shares import TOTAL, Share, shard, sum_gradients


@pytest.mark.parametrize(
    ("total", "ranks", "counts"), [(32, 3, [11, 11, 10]), (8, 4, [2] * 4), (3, 3, [1] * 3)]
)
def test_rows_are_dealt_out_evenly_and_in_order(total, ranks, counts):
    shares = [shard(total, rank, ranks) for rank in range(ranks)]
    assert [rows.stop - rows.start for rows in shares] == counts
    assert [row for rows in shares for row in range(total)[rows]] == list(range(total))


def test_a_batch_with_less_than_one_row_each_is_refused():
    with pytest.raises(HarnessError, match="2 images cannot be divided among 3 processes"):
        shard(2, 0, 3)


def test_one_process_computes_nothing_for_it():
    share = Share.own(5)
    rows = torch.randn(5, 2, requires_grad=True)
    for same in (share.take, share.gather, share.part, share.summed):
        assert same(rows) is rows
    assert share.alone
    assert share == share.resized(5) == Share.of({"inputs": rows})
    assert share.totals({"loss": rows})["loss"] is rows
    rows.grad = torch.ones(5, 2)
    before = rows.grad
    sum_gradients([rows])
    assert rows.grad is before


def derived(share, group_size):
    """Return a loss that looks across the batch, and its gradient's gradient by the weights.

    The critic is smooth, so that all derivatives are: scores, a penalty on their gradient, and a
    penalty on that one's.
    """
    torch.set_default_dtype(torch.float64)
    torch.manual_seed(0)
    first, last = nn.Conv2d(2, 3, 3, padding=1), nn.Linear(4 * 9, 1)
    images = share.take(torch.randn(share.total, 2, 3, 3)).requires_grad_()
    features = minibatch_stddev(torch.tanh(first(images)), group_size, share)
    scores = torch.tanh(last(features.flatten(1)))
    (once,) = torch.autograd.grad(scores.sum(), images, create_graph=True)
    (twice,) = torch.autograd.grad(once.square().sum(), images, create_graph=True)
    norms = once.flatten(1).norm(dim=1)
    parts = [scores.square().mean(), (norms - 1).square().mean(), twice.square().mean()]
    loss = share.part(sum(parts))
    weights = [*first.parameters(), *last.parameters()]
    gradients = torch.autograd.grad(loss, weights)
    for weight, gradient in zip(weights, gradients, strict=True):
        weight.grad = gradient.clone()
    sum_gradients(weights)
    total = share.totals({"loss": loss.detach()})["loss"]
    own = [share.gather(value.detach()) for value in (scores, once, twice)]
    return [total, *own, *(weight.grad for weight in weights)]


@pytest.mark.parametrize("group_size", [None, 4])
@pytest.mark.parametrize("count", [2, 3])
def test_what_looks_across_the_batch_has_the_derivatives_of_one_process(
    count, group_size, tmp_path
):
    expected = together(1, tmp_path, lambda rank: derived(Share.own(7), group_size))[0]
    assert all(float(value.abs().max()) > 1e-8 for value in expected)
    for found in together(count, tmp_path, lambda rank: derived(Share.own(7), group_size)):
        torch.testing.assert_close(found, expected, rtol=1e-10, atol=1e-14)


def gather_checked(rank):
    """Check gather against differences; every process moves its own rows in turn with others'."""
    share = Share.own(3)
    rows = torch.randn(share.count, 2, dtype=torch.float64, requires_grad=True)
    weights = torch.arange(6.0, dtype=torch.float64).view(3, 2) + 1
    whole = share.gather(rows)
    (once,) = torch.autograd.grad((whole**3 * weights).sum(), rows, create_graph=True)
    (twice,) = torch.autograd.grad(once.sum(), rows)
    own = weights[share.rows]
    # Each of two processes adds the same function of all rows.
    return [
        (once.detach(), 2 * 3 * own * rows.detach() ** 2),
        (twice, 2 * 6 * own * rows.detach()),
        (whole.detach()[share.rows], rows.detach()),
    ]


def test_gather_is_derived_twice(tmp_path):
    for pairs in together(2, tmp_path, gather_checked):
        for found, expected in pairs:
            torch.testing.assert_close(found, expected, rtol=1e-12, atol=0)


def _of_batches(rank):
    shares = [Share.own(5), Share.whole(5), Share.of({"inputs": [0] * 3})]
    shares.append(Share.of({"inputs": [0] * (3 - rank), TOTAL: 5}))
    return shares, Share.own(8).resized(4), shares[1].resized(4)


def test_a_batch_is_divided_only_if_it_says_so(tmp_path):
    first, second = together(2, tmp_path, _of_batches)
    assert [share.rows for share in first[0]] == [
        slice(0, 3),
        slice(0, 5),
        slice(0, 3),
        slice(0, 3),
    ]
    assert second[0][0] == second[0][3] == Share(5, slice(3, 5))
    assert second[0][1].alone
    assert (second[1], second[2]) == (Share(4, slice(2, 4)), Share(4, slice(0, 4)))
