"""How often everything takes place, held to a training loop that is walked step by step."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from small_spec import larger, spec
from tiny import ROOT
from tiny_singan import singan_spec

from harness.plan.schedule import BESTS, cycle, drawings, looks, passes, phases
from harness.spec.load import load

POSTHOC = {"every_kimg": 0.05, "rebuild": [0.03, 0.08, 0.25]}


def walked(described):
    """Train in thought, as ImagesTrainLoop does: each step's stage, each evaluation's scales."""
    growth, total = described.growth, described.total_images
    every, first = round(described.evaluate.every_kimg * 1000), described.evaluate.first_kimg
    first = None if first is None else round(first * 1000)
    shown, steps, looked = 0, [], []
    while shown < total:
        before, stage = shown, growth.stage(shown)
        shown += growth.batch_size(shown)
        steps.append((stage.scale, stage.transition_weight < 1, shown - before))
        regular = shown // every > before // every
        if regular or (first is not None and before < first <= shown) or shown >= total:
            looked.append((stage.scale, growth.stage(shown).scale))
    return steps, looked


@settings(max_examples=150, deadline=None)
@given(
    kimg=st.integers(1, 900).map(lambda n: n / 1000),
    batch=st.sampled_from([1, 7, 20, {4: 20, 8: 6}]),
    fading=st.sampled_from([0, 0.05, 0.1, 0.2]),
    every=st.integers(1, 400).map(lambda n: n / 1000),
    first=st.none() | st.floats(0.01, 0.99),
)
def test_steps_and_evaluations_are_those_of_the_loop(kimg, batch, fading, every, first):
    every = min(every, kimg)
    first = None if first is None or every < 0.002 else max(0.001, round(first * every, 4))
    described = spec(
        train__kimg=kimg,
        train__batch_size=batch,
        model__transition_kimgs=fading,
        evaluate__every_kimg=every,
        evaluate__first_kimg=first,
    )
    steps, looked = walked(described)
    found = phases(described)
    flat = [
        (p.scale, p.fading, p.images // p.iterations) for p in found for _ in range(p.iterations)
    ]
    assert flat == steps
    begin = 0
    for phase in found:
        assert phase.begin == begin
        begin += phase.images
    counted = [pair for look in looks(described) for pair in pairs(look)]
    assert counted == looked


def pairs(look):
    return [(look.scale, look.scale)] * look.within + [(look.scale, look.next_scale)] * look.after


def test_a_singan_has_a_phase_a_scale():
    described = singan_spec()
    assert [(p.scale, p.iterations) for p in phases(described)] == [
        (scale, 15) for scale in described.growth.scales
    ]
    steps, looked = walked(described)
    assert len(steps) == 15 * len(described.growth.scales)
    assert [pair for look in looks(described) for pair in pairs(look)] == looked


def test_each_arm_has_a_pass_at_each_evaluation():
    """0.6 kimg, evaluated every 0.1, the first two at 4 px: the second one's images are of 8 px."""
    described = spec(evaluate__every_kimg=0.1)
    found = passes(described)
    assert {scale: count.value for scale, count in found.arms.items()} == {4: 2 * 1, 8: 2 * 5}
    assert all(count.low == count.high for count in found.arms.values())
    assert (found.frames, found.rebuilt) == (6, 0)


def test_fresh_latents_are_expected_between_the_fewest_new_bests_and_all():
    """Three evaluations at 8 px before the end; two arms; five sets at the end."""
    count = passes(spec(evaluate__every_kimg=0.1, evaluate__fresh=5)).arms[8]
    assert BESTS == 0.9
    assert (count.low, count.value, count.high) == (
        10 + 10 + 2 * 1,
        10 + 10 + 2 * 3 * BESTS,
        10 + 10 + 2 * 3,
    )


def test_only_what_has_a_better_direction_can_be_best():
    """At 16 px five evaluations before the end, of FID or of MS-SSIM; two arms, five sets."""
    asked = {"train__kimg": 5, "evaluate__every_kimg": 0.5, "evaluate__fresh": 5}
    fid, alike = (
        passes(larger(**asked, evaluate__metrics=[name])).arms[16] for name in ("fid", "ms_ssim")
    )
    assert (alike.low, alike.value, alike.high) == (24, 24, 24)
    assert (fid.low, fid.high) == (24 + 2 * 1, 24 + 2 * 5)


def test_one_evaluation_at_the_final_resolution_leaves_no_best_before_it():
    count = passes(spec(evaluate__every_kimg=0.6, evaluate__fresh=2)).arms[8]
    assert (count.low, count.value, count.high) == (6, 6, 6)


def test_a_run_that_ends_early_is_measured_where_it_ended():
    """It ends with the last batch of 4 px: what is drawn then is of 8 px, and none is a best."""
    found = passes(spec(train__kimg=0.2, evaluate__every_kimg=0.1, evaluate__fresh=1))
    assert {scale: count.value for scale, count in found.arms.items()} == {4: 2, 8: 2 + 2}


def test_rebuilt_averages_are_measured_once_and_on_every_fresh_set():
    fields = {"observers__posthoc": POSTHOC, "seeds": [0]}
    bare, rebuilt = passes(spec()).arms[8].value, passes(spec(**fields)).arms[8].value
    assert rebuilt - bare == 3
    fresh = passes(spec(**fields, evaluate__fresh=4)).arms[8].value
    assert fresh - passes(spec(evaluate__fresh=4)).arms[8].value == 3 * (1 + 4)


def test_grids_are_drawn_at_every_interval():
    one = {"type": "VisualizationHook", "vis_kwargs_list": {"type": "GAN", "name": "x"}}
    assert drawings(spec()) == 0
    assert drawings(spec(hooks=[{**one, "interval": 7}])) == 30 // 7
    assert drawings(spec(hooks=[{**one, "interval": 7}, {**one, "interval": 30}])) == 4 + 1
    assert drawings(spec(hooks=[{**one, "interval": -1}])) == 0


@pytest.mark.parametrize(
    ("fields", "steps"),
    [({}, 16), ({"path_weight": 0}, 16), ({"r1_interval": 3}, 24), ({"r1_gamma": 0}, 8)],
)
def test_lazy_penalties_come_round(fields, steps):
    path = ROOT / "experiments" / "stylegan2-ema.yaml"
    overrides = [f"train.loss.{name}={value}" for name, value in fields.items()]
    assert cycle(load(path, overrides=overrides)) == steps
    assert cycle(spec()) == 1
