import math

import pytest
import torch

from harness.errors import SpecError
from harness.metrics.inception_score import inception_score


def test_sure_and_varied_answers_score_the_number_of_classes() -> None:
    logits = 100 * torch.eye(10).repeat(20, 1)
    assert inception_score(logits, splits=1) == pytest.approx(10, rel=1e-12)


def test_undecided_or_equal_answers_score_one() -> None:
    assert inception_score(torch.zeros(50, 10)) == pytest.approx(1, rel=1e-12)
    same = torch.eye(10)[:1].repeat(50, 1) * 100
    assert inception_score(same) == pytest.approx(1, rel=1e-12)


def test_two_images_by_hand() -> None:
    p = torch.tensor([[0.9, 0.1], [0.3, 0.7]], dtype=torch.float64)
    q = [0.6, 0.4]
    kl = sum(float(p[i, k]) * math.log(float(p[i, k]) / q[k]) for i in range(2) for k in range(2))
    assert inception_score(p.log(), splits=1) == pytest.approx(math.exp(kl / 2), rel=1e-12)


def test_every_image_counts_when_splits_do_not_divide() -> None:
    logits = torch.randn(23, 5, generator=torch.Generator().manual_seed(0))
    scores = []
    for changed in range(23):
        other = logits.clone()
        other[changed] += torch.tensor([3.0, 0, 0, 0, 0])
        scores.append(inception_score(other))
    assert inception_score(logits) not in scores


def test_an_impossible_class_gives_no_nan() -> None:
    logits = torch.zeros(20, 3)
    logits[:, 2] = -1e6
    assert inception_score(logits) == pytest.approx(1)


@pytest.mark.parametrize("splits", [0, 11])
def test_fewer_images_than_splits_is_refused(splits: int) -> None:
    with pytest.raises(SpecError, match=rf"splits is {splits}, with 10 images"):
        inception_score(torch.zeros(10, 2), splits=splits)
