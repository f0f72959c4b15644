"""Growth counted in images, against training one batch at a time."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.spec.growth import GrowthSchedule, Stage

SCALES = (4, 8, 16, 32)


@st.composite
def schedules(draw):
    count = draw(st.integers(1, 4))
    images = draw(st.lists(st.integers(1, 60), min_size=count, max_size=count))
    batches = draw(st.lists(st.integers(1, 90), min_size=count, max_size=count))
    return GrowthSchedule(SCALES[:count], tuple(images), draw(st.integers(0, 50)), tuple(batches))


def naive(schedule, total):
    """Train one batch at a time; return (scale, weight, batch) of each."""
    steps, shown = [], 0
    while shown < total:
        index, into = 0, shown
        while index < len(schedule.scales) - 1 and into >= schedule.images[index]:
            into -= schedule.images[index]
            index += 1
        fading = index > 0 and into < schedule.transition_images
        weight = into / schedule.transition_images if fading else 1.0
        steps.append((shown, schedule.scales[index], weight, schedule.batch_sizes[index]))
        shown += schedule.batch_sizes[index]
    return steps


@given(schedules(), st.integers(1, 400))
def test_stages_and_batches_are_those_of_a_naive_loop(schedule, total):
    for shown, scale, weight, batch in naive(schedule, total):
        assert schedule.stage(shown) == Stage(scale, weight)
        assert schedule.batch_size(shown) == batch


@given(schedules(), st.integers(1, 400))
def test_segments_and_iterations_are_those_of_a_naive_loop(schedule, total):
    steps = naive(schedule, total)
    assert schedule.iterations(total) == len(steps)
    expected = [
        (
            scale,
            sum(batch for _, at, _, batch in steps if at == scale),
            sum(at == scale for _, at, _, _ in steps),
        )
        for scale in schedule.scales
    ]
    assert list(schedule.segments(total)) == expected


def test_a_batch_that_crosses_several_stages_lands_in_the_right_one():
    schedule = GrowthSchedule((4, 8, 16, 32), (10, 10, 10, 10), 4, (100, 7, 7, 7))
    assert schedule.stage(0) == Stage(4, 1.0)
    assert schedule.stage(100) == Stage(32, 1.0)
    assert list(schedule.segments(110)) == [(4, 100, 1), (8, 0, 0), (16, 0, 0), (32, 14, 2)]


def test_the_fade_in_begins_at_nought_and_ends_at_one():
    schedule = GrowthSchedule((4, 8), (100, 100), 50, (10, 10))
    weights = [schedule.stage(shown).transition_weight for shown in (99, 100, 125, 149, 150, 999)]
    assert weights == [1.0, 0.0, 0.5, 0.98, 1.0, 1.0]


def test_without_a_fade_in_a_scale_is_whole_at_once():
    assert GrowthSchedule((4, 8), (100, 100), 0, (10, 10)).stage(100) == Stage(8, 1.0)


def test_a_thousand_million_images_are_counted_exactly():
    schedule = GrowthSchedule.from_kimgs({4: 333_333.333, 8: 666_666.667}, 0.001, 1)
    assert schedule.images == (333_333_333, 666_666_667)
    assert schedule.stage(333_333_332).scale == 4
    assert schedule.stage(333_333_333) == Stage(8, 0.0)
    assert schedule.stage(333_333_334) == Stage(8, 1.0)
    assert schedule.iterations(10**9) == 10**9


@pytest.mark.parametrize(
    ("given_sizes", "expected"),
    [
        (7, (7, 7, 7)),
        ({4: 9, 16: 3}, (9, 9, 3)),
        ({8: 5}, (5, 5, 5)),
        ({16: 1, 4: 8, 8: 2}, (8, 2, 1)),
    ],
)
def test_batch_sizes_left_out_are_those_of_the_scale_below(given_sizes, expected):
    schedule = GrowthSchedule.from_kimgs({16: 1, 4: 1, 8: 1}, 0, given_sizes)
    assert schedule.scales == (4, 8, 16)
    assert schedule.batch_sizes == expected
