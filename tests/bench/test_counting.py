"""Work is counted as it is by hand, and as torch's own formulas say where those hold."""

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from harness.bench.counting import CONVOLUTIONS, PRODUCTS, REST, Count, ceilings


def counted(action):
    with Count() as count:
        action()
    return count.work


def test_products_and_convolutions_are_those_of_torch():
    x, weight, square = torch.randn(2, 3, 8, 8), torch.randn(5, 3, 3, 3), torch.randn(8, 8)

    def action():
        y = torch.conv2d(x, weight, stride=2, padding=1)
        torch.conv_transpose2d(y, weight, stride=2)
        torch.addmm(square, square, square)
        torch.bmm(x[0], x[1].transpose(1, 2))

    with FlopCounterMode(display=False) as torchs:
        action()
    work = counted(action)
    assert work[CONVOLUTIONS].flop + work[PRODUCTS].flop == torchs.get_total_flops()
    assert work[CONVOLUTIONS].calls == work[PRODUCTS].calls == 2


def test_a_depthwise_gradient_costs_what_its_pass_does():
    """Torch's formula counts every pair of channels there."""
    x = torch.randn(2, 6, 8, 8, requires_grad=True)
    weight = torch.randn(6, 1, 3, 3, requires_grad=True)
    one = 2 * (2 * 6 * 8 * 8) * 9
    work = counted(lambda: torch.conv2d(x, weight, padding=1, groups=6).sum().backward())
    assert work[CONVOLUTIONS].flop == 3 * one


def test_a_gradient_that_is_not_wanted_is_not_counted():
    x, weight = torch.randn(1, 3, 8, 8), torch.randn(4, 3, 3, 3, requires_grad=True)
    work = counted(lambda: torch.conv2d(x, weight, padding=1).sum().backward())
    assert work[CONVOLUTIONS].flop == 2 * 2 * (4 * 8 * 8) * 27


@pytest.mark.parametrize(
    ("action", "numbers"),
    [
        (lambda a, b: a + b, 300),
        (lambda a, b: a.add_(b), 300),
        (lambda a, b: torch._foreach_lerp_([a, a], [b, b], 0.5), 600),
        (lambda a, b: torch.add(a, b, out=torch.empty(100)), 300),
        (lambda a, b: a.view(10, 10).t(), 0),
        (lambda a, b: torch.empty(1000), 0),
        (lambda a, b: b[:1].expand(100).clone(), 101),
    ],
)
def test_bytes_are_what_is_read_and_written(action, numbers):
    work = counted(lambda: action(torch.ones(100), torch.ones(100)))
    ones = counted(lambda: (torch.ones(100), torch.ones(100)))
    assert work[REST].bytes - ones[REST].bytes == 4 * numbers


def test_a_machine_has_rates():
    assert all(rate > 1e6 for rate in ceilings(torch.device("cpu")))
