"""AdaptiveAugment's controller (arXiv 2006.06676, section 3.1)."""

import pytest
import torch

from harness.gans.augment import AdaptiveAugment


def _run(augment, scores, iterations=4, begin=0):
    for iteration in range(begin, begin + iterations):
        augment.observe(torch.tensor(scores).view(-1, 1))
        augment.end_of_iteration(iteration)
    return augment.p


def test_p_rises_for_a_critic_that_knows_its_images_and_falls_for_one_that_does_not():
    augment = AdaptiveAugment(8, target=0.6, adjust_kimg=0.1, initial_p=0.5)
    step = 4 * 4 / 100  # four batches of four, of a hundred images
    assert _run(augment, [1.0, 2.0, 0.1, 3.0]) == pytest.approx(0.5 + step)  # r_t = 1
    assert _run(augment, [1.0, 2.0, 0.1, -3.0]) == pytest.approx(0.5)  # r_t = 0.5
    assert _run(augment, [-1.0, -2.0, -1.0, -3.0]) == pytest.approx(0.5 - step)


def test_r_t_is_the_mean_sign_over_the_interval_and_not_the_last_batchs():
    augment = AdaptiveAugment(8, target=0.5, adjust_kimg=1, initial_p=0.5)
    for iteration in range(4):
        augment.observe(torch.full((4, 1), 9.0 if iteration == 0 else -0.001))
        augment.end_of_iteration(iteration)
        assert augment.p == (0.5 if iteration < 3 else 0.5 - 16 / 1000)
    # At the target itself, p stays; three quarters of the signs are positive.
    assert _run(augment, [1.0, 1.0, 1.0, -1.0], begin=4) == 0.5 - 16 / 1000


def test_p_goes_from_0_to_1_in_adjust_kimg_and_stays_in_between():
    augment = AdaptiveAugment(8, adjust_kimg=0.064, interval=2)
    for iteration in range(16):
        augment.observe(torch.ones(4))
        augment.end_of_iteration(iteration)
    assert augment.p == pytest.approx(1.0)
    assert _run(augment, [1.0] * 4) == 1.0
    augment.p = 0.01
    assert _run(augment, [-1.0] * 4) == 0.0


def test_a_fixed_p_stays():
    augment = AdaptiveAugment(8, adjust_kimg=0.001, initial_p=0.25, fixed=True)
    assert _run(augment, [1.0] * 4) == 0.25


def test_the_state_goes_on_in_the_middle_of_an_interval():
    def controllers():
        return AdaptiveAugment(8, adjust_kimg=0.1, initial_p=0.5)

    whole, part = controllers(), controllers()
    _run(whole, [1.0, 1.0, 1.0, 1.0], 2)
    _run(part, [1.0, 1.0, 1.0, 1.0], 2)
    resumed = controllers()
    resumed.p = 0.0
    resumed.load_state_dict(part.state_dict())
    for augment in (whole, resumed):
        _run(augment, [1.0, -1.0, -1.0, -1.0], 2, begin=2)  # alone, these would lower p
        _run(augment, [1.0] * 4, 4, begin=4)
    assert resumed.p == whole.p == pytest.approx(0.5 - 0.16 + 0.16)


def test_images_are_augmented_at_the_controllers_p():
    augment, images = AdaptiveAugment(8), torch.randn(4, 3, 8, 8)
    assert augment(images, torch.Generator()) is images
    augment.p = 1.0
    once = augment(images, torch.Generator().manual_seed(1))
    assert torch.equal(once, augment.pipeline(images, 1.0, torch.Generator().manual_seed(1)))
    assert not torch.equal(once, images)
