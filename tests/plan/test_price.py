"""What a plan is predicted to cost."""

from itertools import pairwise

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from small_spec import RULE, plan, spec
from torch.utils.flop_counter import FlopCounterMode

from harness.engine.families import gan
from harness.plan import price as prices
from harness.plan.expand import expand
from harness.plan.price import best_jobs, price, training_cost
from harness.plan.work import macs_per_image

SCALES = {4: 1, 8: 1, 16: 1}


def larger(**fields):
    return spec(
        data={"type": "cifar10"},
        evaluate__extractor="inception-v3-compat",
        model__out_scale=16,
        model__nkimgs_per_scale=SCALES,
        model__base_channels=64,
        **fields,
    )


def test_multiply_adds_against_a_count_by_hand():
    """Z = 8; widths 8 at 4x4, 8 at 8x8. Table 2 of arXiv 1710.10196, fused upsampling."""
    model = spec().model
    first = 16 * 8 * 8 + 16 * 9 * 8 * 8
    generator_8 = first + 64 * (4 * 8 * 8 + 9 * 8 * 8) + 64 * 3 * 8
    assert macs_per_image(model, 4)[0] == first + 16 * 3 * 8
    assert macs_per_image(model, 8)[0] == generator_8
    head = 16 * 9 * 9 * 8 + 16 * 8 * 8 + 8
    critic_8 = 64 * 3 * 8 + 64 * 2 * (9 * 8 * 8) + head
    assert macs_per_image(model, 4)[1] == 16 * 3 * 8 + head
    assert macs_per_image(model, 8)[1] == critic_8


def multiply_adds(network, *inputs, scale):
    with FlopCounterMode(display=False) as counter:
        network(*inputs, curr_scale=scale)
    return counter.get_total_flops() / 2


@pytest.mark.parametrize("fused", [True, False])
@pytest.mark.parametrize("paper_form", [True, False])
@pytest.mark.parametrize("scale", SCALES)
def test_multiply_adds_are_those_of_the_networks(fused, paper_form, scale):
    """Counted between 2 images and 6: what is done to the weights once a step cancels."""
    described = larger(model__fused=fused, model__paper_form=paper_form)
    model = gan(described, 0)
    latents, images = torch.zeros(6, 8), torch.zeros(6, 3, scale, scale)
    for network, inputs, expected in zip(
        (model.generator, model.discriminator),
        (latents, images),
        macs_per_image(described.model, scale),
        strict=True,
    ):
        counts = [multiply_adds(network, inputs[:count], scale=scale) for count in (2, 6)]
        assert (counts[1] - counts[0]) / 4 == expected


@settings(max_examples=30, deadline=None)
@given(st.lists(st.integers(0, 3000), min_size=2, max_size=6))
def test_the_share_of_training_rises_from_nought_to_one(shown):
    described = larger(train__kimg=3)
    assert training_cost(described, 0) == 0
    assert training_cost(described, 3000) == 1
    shares = [training_cost(described, images) for images in sorted(shown)]
    assert all(0 <= a <= b <= 1 for a, b in pairwise(shares))


def test_images_of_a_larger_scale_cost_more():
    described = larger(train__kimg=3)
    assert training_cost(described, 1000) < 0.32
    assert training_cost(described, 2000) < 0.65


def test_runs_take_the_first_free_place():
    assert prices._makespan([3, 1, 1, 1], 2) == 3
    assert prices._makespan([1, 1, 3], 2) == 4
    assert prices._makespan([1, 2, 3], 9) == 3
    assert prices._makespan([1, 2, 3], 1) == 6


def test_a_run_more_and_a_shadow_more_cost_more():
    one, two = price(plan(seeds=[0]), "cpu", 1), price(plan(), "cpu", 1)
    assert two.minutes == pytest.approx(2 * one.minutes)
    assert two.disk_gib == pytest.approx(2 * one.disk_gib)
    assert price(plan(), "cpu", 2).minutes == pytest.approx(one.minutes)
    more = price(plan(observers__ema={"a": {}, "b": {}}), "cpu", 1)
    assert more.minutes > two.minutes
    assert more.disk_gib > two.disk_gib


def test_path_lengths_cost_two_images_a_step_and_alone_nothing_else():
    def drawn(*metrics, **fields):
        described = spec(evaluate__metrics=list(metrics), **fields)
        return prices._images_drawn(described.evaluate)

    assert drawn("fid") == drawn("fid", "recall", "density") == 600
    assert drawn("fid", "ppl_z") == 600 + 2 * 1000
    assert drawn("ppl_z") == 2 * 1000
    assert drawn("ppl_z", evaluate__ppl_pairs=70) == 140
    more = price(plan(evaluate__metrics=["fid", "ppl_z"]), "cpu", 1)
    rate = prices.RATES["cpu"].extract_images_per_sec
    arms, evaluations = 2, 2
    seconds = 2 * arms * evaluations * 2000 / rate
    assert more.minutes - price(plan(), "cpu", 1).minutes == pytest.approx(seconds / 60)


def test_fresh_latents_cost_a_pass_for_each_set_at_the_end_and_one_a_best_before():
    """0.6 kimg, 0.4 of them at 8 px, evaluated every 0.1: four times at 8 px, two arms."""
    asked = {"evaluate__every_kimg": 0.1, "seeds": [0]}
    bare, more = (
        price(plan(**asked, **fields), "cpu", 1) for fields in ({}, {"evaluate__fresh": 5})
    )
    passes = 2 * (5 + 3)
    rate = prices.RATES["cpu"].extract_images_per_sec
    assert more.run_sec[0] - bare.run_sec[0] == pytest.approx(passes * 600 / rate)


def test_every_run_has_its_seconds_in_the_plan_s_order():
    planned = plan(factors={"train.kimg": {"short": 0.6, "long": 60}}, seeds=[0])
    short, long = price(planned, "cpu", 1).run_sec
    assert long > 2 * short


def test_an_earlier_report_of_the_question_takes_the_rates_place(tmp_path):
    table = "level,sec_per_kimg,run_sec\noff,1.5,100\non,1.7,300\n"
    (tmp_path / "timing.csv").write_text(table)
    planned = plan(factors={"reduce_lr": {"off": None, "on": RULE}})
    found = price(planned, "cpu", 1, earlier=tmp_path)
    assert found.run_sec == pytest.approx([200] * 4)
    assert found.minutes == pytest.approx(800 / 60)
    assert found.source == f"the runs reported in {tmp_path}"


@pytest.mark.parametrize(
    "table", [None, "", "level,run_sec\n", "level,run_sec\na,fast\n", "a,b\n1,2\n"]
)
def test_a_report_without_seconds_is_not_used(table, tmp_path):
    if table is not None:
        (tmp_path / "timing.csv").write_text(table)
    assert price(plan(), "cpu", 1, earlier=tmp_path) == price(plan(), "cpu", 1)


def test_rates_that_were_not_measured_are_said_to_be():
    assert price(plan(), "cpu", 1).source == "cpu's measured rates"
    assert price(plan(), "cuda", 1).source == "cuda's rates, not measured"


def test_the_disk_holds_generator_critic_and_shadows():
    described = larger(observers__ema={"a": {}}, model__max_channels=256)
    described = described.model_copy(
        update={"model": described.model.model_copy(update={"base_channels": 512})}
    )
    model = gan(described, 0)
    networks = (model.generator, model.generator, model.discriminator)
    size = 4 * sum(weights.numel() for one in networks for weights in one.parameters())
    predicted = price(expand("q", "quick", described), "cpu", 1).disk_gib * 2**30
    assert predicted / 2 == pytest.approx(size, rel=0.02)


@pytest.mark.parametrize(("runs", "jobs"), [(1, 1), (2, 2), (3, 3), (4, 2), (9, 3)])
def test_two_cores_do_not_idle(runs, jobs):
    assert best_jobs(runs, 2) == jobs


def test_runs_that_share_a_core_take_as_much_longer():
    alone, shared = (price(plan(), "cpu", 2, shared) for shared in (1.0, 2.0))
    assert shared.minutes == pytest.approx(2 * alone.minutes)
