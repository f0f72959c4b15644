import pytest
from small_spec import plan, spec

from harness.plan.film import film_gib, tiles
from harness.plan.price import Place, price


@pytest.mark.parametrize(
    ("size", "count"),
    [((8, 8), 16), ((128, 128), 16), ((166, 250), 6), ((256, 256), 4), ((1024, 1024), 4)],
)
def test_of_large_images_few_are_kept(size, count):
    assert tiles(*size) == count


def test_a_film_takes_its_tiles_at_every_evaluation():
    """Two evaluations of raw and one shadow, 16 tiles of 8 px."""
    assert film_gib(spec()) * 2**30 == 2 * 2 * 16 * 3 * 64
    longer = spec(train__kimg=0.7, observers__ema={"a": {}, "b": {}})
    assert film_gib(longer) * 2**30 == 3 * 3 * 16 * 3 * 64


def test_a_plan_counts_it():
    """At most all of it, at the least a fifth: how far pictures compress is for training to say."""
    often = price(plan(evaluate__every_kimg=0.1), Place("cpu", 1)).disk
    seldom = price(plan(), Place("cpu", 1)).disk
    more = 2 * (6 - 2) * 2 * 16 * 3 * 64
    assert (often.high - seldom.high) * 2**30 == pytest.approx(more)
    assert (often.low - seldom.low) * 2**30 == pytest.approx(more / 5)
