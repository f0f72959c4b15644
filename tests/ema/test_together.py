"""Averages updated in one pass are, in every bit, what each is when updated by itself."""

import copy

import pytest
import torch
from torch import nn

from harness.ema import together
from harness.ema.averaging import Average, entries
from harness.ema.together import Together

WEIGHTS = [(0.001, 1.0), (0.3, 0.25), (0.75, 0.5), (1.0, 0.0), (0.0, 1.0)]


class Odd(nn.Module):
    """Entries of every size, layout and kind, of numbers that a seed decides."""

    def __init__(self, seed):
        super().__init__()
        self.draw = torch.Generator().manual_seed(seed)
        self.whole = self.parameter(8, 16)
        self.odd = self.parameter(5, 7, 13)
        self.line = self.parameter(1037)
        self.point = self.parameter()
        self.none = self.parameter(0, 3)
        self.last = self.parameter(6, 5, 3, 3, layout=torch.channels_last)
        self.ones = self.parameter(1, 70, 1, 1, layout=torch.channels_last)
        self.turned = nn.Parameter(self.numbers(31, 9).t())
        self.gaps = nn.Parameter(self.numbers(40, 11)[::2, 1:])
        self.tied = self.whole
        self.narrow = nn.Parameter(self.numbers(300).bfloat16())
        self.wide = nn.Parameter(self.numbers(301).double())
        self.frozen = nn.Parameter(self.numbers(333), requires_grad=False)
        self.register_buffer("mean", self.numbers(129))
        self.register_buffer("scratch", self.numbers(65), persistent=False)
        self.register_buffer("count", torch.randint(9, (3,), generator=self.draw))
        del self.draw

    def numbers(self, *sizes):
        return torch.randn(sizes, generator=self.draw)

    def parameter(self, *sizes, layout=torch.contiguous_format):
        return nn.Parameter(self.numbers(*sizes).contiguous(memory_format=layout))


@pytest.fixture(params=[64, 128, together.PIECE])
def _pieces(monkeypatch, request):
    monkeypatch.setattr(together, "PIECE", request.param)


def alone(network, shadow, weight, nontrainable):
    """Return the entries after the plain formula, a whole tensor at a time."""
    trained = {name for name, value in network.named_parameters() if value.requires_grad}
    news = {}
    for name, old in entries(shadow).items():
        new = entries(network)[name].detach()
        share = weight if name in trained else nontrainable
        if old.is_floating_point():
            new = old.detach().clone().lerp_(new.to(old.dtype), share)
        news[name] = new.clone()
    return news


def same(shadow, expected):
    found = entries(shadow)
    assert found.keys() == expected.keys()
    for name, value in expected.items():
        assert found[name].dtype == value.dtype, name
        assert torch.equal(found[name], value), name


def step(network, seed):
    draw = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for value in entries(network).values():
            noise = torch.randn(value.shape, generator=draw)
            value.add_(noise.to(value.dtype))


@pytest.mark.usefixtures("_pieces")
@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("threads", [1, 2])
def test_averages_together_equal_each_alone(seed, threads):
    network = Odd(seed)
    shadows = [Odd(100 * seed + i) for i in range(1, len(WEIGHTS) + 1)]
    torch.set_num_threads(threads)
    try:
        joint = Together([Average(network, shadow) for shadow in shadows])
        for turn in range(3):
            step(network, turn)
            expected = [alone(network, s, *w) for s, w in zip(shadows, WEIGHTS, strict=True)]
            joint.update(WEIGHTS)
            for shadow, values in zip(shadows, expected, strict=True):
                same(shadow, values)
    finally:
        torch.set_num_threads(1)


@pytest.mark.usefixtures("_pieces")
def test_those_that_are_not_due_stay():
    network, shadows = Odd(0), [Odd(i) for i in range(1, 5)]
    joint = Together([Average(network, shadow) for shadow in shadows])
    for due in ([1, 3], [0], [], [0, 1, 2, 3], [2, 3]):
        weights = [WEIGHTS[i] if i in due else None for i in range(4)]
        expected = [
            alone(network, shadow, *pair) if pair else copy.deepcopy(entries(shadow))
            for shadow, pair in zip(shadows, weights, strict=True)
        ]
        joint.update(weights)
        for shadow, values in zip(shadows, expected, strict=True):
            same(shadow, values)


@pytest.mark.usefixtures("_pieces")
def test_shadows_of_other_types_layouts_and_networks():
    networks = Odd(0), Odd(50)
    shadows = [Odd(i) for i in range(1, 8)]
    shadows[1].double()
    shadows[3].double()
    shadows[2].last = nn.Parameter(shadows[2].last.detach().contiguous())
    shadows[4].odd = nn.Parameter(torch.zeros(13, 7, 5).permute(2, 1, 0))
    sources = [networks[i % 5 == 4] for i in range(7)]
    weights = [(0.1 * i, 0.05 * i) for i in range(1, 8)]
    joint = Together([Average(n, s) for n, s in zip(sources, shadows, strict=True)])
    expected = [
        alone(*pair, *share) for *pair, share in zip(sources, shadows, weights, strict=True)
    ]
    joint.update(weights)
    for shadow, values in zip(shadows, expected, strict=True):
        same(shadow, values)


def test_what_one_network_froze_later_is_not_joined_with_what_trains():
    """The same tensors take another weight where an average was made while they were frozen."""
    network, shadows = nn.Linear(9, 9), [nn.Linear(9, 9) for _ in range(3)]
    averages = [Average(network, shadows[0])]
    network.weight.requires_grad_(False)
    averages += [Average(network, shadow) for shadow in shadows[1:]]
    expected = [alone(network, shadow, 0.1, 0.2) for shadow in shadows]
    before = shadows[0].weight.detach().clone()
    Together(averages).update([(0.1, 0.2)] * 3)
    for shadow, values in zip(shadows[1:], expected[1:], strict=True):
        same(shadow, values)
    assert torch.equal(shadows[0].weight, before.lerp(network.weight, 0.1))


def test_an_average_of_another_average_takes_its_turn():
    """In the order given, as updates one after another would."""
    network, first, second = (nn.Linear(300, 2) for _ in range(3))
    averages = [Average(network, first), Average(first, second)]
    expected = alone(network, first, 0.5, 1.0)["weight"]
    then = second.weight.detach().clone().lerp_(expected, 0.25)
    Together(averages).update([(0.5, 1.0), (0.25, 1.0)])
    assert torch.equal(first.weight, expected)
    assert torch.equal(second.weight, then)


def test_changes_in_place_are_followed():
    network, shadows = Odd(0), [Odd(1), Odd(2)]
    joint = Together([Average(network, shadow) for shadow in shadows])
    joint.update(WEIGHTS[:2])
    network.load_state_dict(Odd(7).state_dict())
    shadows[0].load_state_dict(Odd(8).state_dict())
    expected = [alone(network, s, *w) for s, w in zip(shadows, WEIGHTS[:2], strict=True)]
    joint.update(WEIGHTS[:2])
    for shadow, values in zip(shadows, expected, strict=True):
        same(shadow, values)


@pytest.mark.usefixtures("_pieces")
def test_theta_is_read_a_piece_for_all_before_the_next(monkeypatch):
    network, shadows = Odd(0), [Odd(1), Odd(2), Odd(3)]
    calls = []
    lerp = torch._foreach_lerp_

    def seen(old, new, weight):
        calls.append(([t.data_ptr() for t in new], [t.numel() for t in new]))
        lerp(old, new, weight)

    monkeypatch.setattr(torch, "_foreach_lerp_", seen)
    Together([Average(network, shadow) for shadow in shadows]).update(WEIGHTS[:3])
    places, sizes = calls[0]
    assert places[::3] == places[1::3] == places[2::3]
    lines = [size for place, size in zip(places, sizes, strict=True) if size and place][::3]
    beginning = network.line.data_ptr()
    own = [
        (place - beginning) // 4
        for place in places[::3]
        if 0 <= place - beginning < 4 * network.line.numel()
    ]
    assert own == list(range(0, network.line.numel(), together.PIECE))
    # What has gaps between its numbers goes as a whole.
    assert max(lines) <= max(together.PIECE, network.gaps.numel())
    # One call for each dtype and kind: float32, bfloat16, float64; frozen ones and buffers.
    assert len(calls) == 4
