"""Which runs begin alike, and until when: held against training as it is counted out."""

from itertools import islice, zip_longest

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from small_spec import RULE, plan, spec

from harness.engine.loops import ImagesTrainLoop
from harness.engine.schedulers import ReduceLR
from harness.plan.trunks import evaluations, families, fork_images, riders, shared
from harness.spec.schema import Spec

SCALED = {
    "data": {"type": "cifar10"},
    "evaluate__extractor": "inception-v3-compat",
    "model__out_scale": 16,
    "model__base_channels": 64,
    "evaluate__every_kimg": 0.04,
}


def trained(described: Spec):
    """Yield what each iteration is: the images before it, and all that training reads of the spec.

    A batch's stage, size and rate; whether moments are forgotten; what is drawn and written after
    it; whether the run ends.
    """
    growth, train, shown = described.growth, described.train, 0
    scale, own = growth.scales[0], train.optimizer.lr
    while shown < described.total_images:
        before, stage, batch = shown, growth.stage(shown), growth.batch_size(shown)
        entered, scale = stage.scale != scale, stage.scale
        shown += batch
        rate = train.lr_per_scale.get(scale, own)
        forgets = entered and train.reset_optimizer_per_scale
        ends = shown >= described.total_images
        yield before, (stage, batch, rate, forgets, growth.stage(shown), ends)


def first_difference(one: Spec, other: Spec):
    """Return the images before the first iteration that differs; None where none does."""
    for ours, theirs in zip_longest(trained(one), trained(other)):
        if ours is None or theirs is None or ours[1] != theirs[1]:
            return (ours or theirs)[0]
    return None


def specs(images, kimg, sizes):
    scaled = st.fixed_dictionaries(dict.fromkeys((4, 8, 16), st.sampled_from(images)))
    return st.fixed_dictionaries(
        {
            "model__nkimgs_per_scale": scaled,
            "model__transition_kimgs": st.sampled_from([0, 0.02, 0.05]),
            "train__kimg": st.sampled_from(kimg),
            "train__batch_size": st.sampled_from(sizes),
            "train__lr_per_scale": st.sampled_from([{}, {8: 0.002}, {16: 0.003}, {4: 0.003}]),
            "train__reset_optimizer_per_scale": st.booleans(),
        }
    )


def pairs(fields):
    """Draw the fields of two specs that differ in few of them."""

    def drawn(ours, others, names):
        return ours, {**ours, **{name: others[name] for name in names}}

    names = ("model__nkimgs_per_scale", "model__transition_kimgs", "train__kimg")
    names += ("train__batch_size", "train__lr_per_scale", "train__reset_optimizer_per_scale")
    chosen = st.sets(st.sampled_from(names), min_size=1, max_size=2)
    return st.builds(drawn, fields, fields, chosen)


ODD = specs(
    [0.03, 0.05, 0.06, 0.064, 0.1],
    [0.04, 0.11, 0.16, 0.2, 0.25],
    [16, 20, {4: 16, 8: 20}, {4: 16, 16: 8}],
)
EVEN = specs([0.02, 0.06, 0.1], [0.04, 0.1, 0.16], [20, 10, {4: 20, 8: 10}, {4: 20, 16: 10}])
"""Scales and runs that end with a batch."""


@settings(max_examples=100, deadline=None)
@given(pairs(ODD))
def test_two_runs_part_before_the_first_iteration_that_differs(fields):
    ours, theirs = fields
    one, other = spec(**SCALED, **ours), spec(**SCALED, **theirs)
    found, expected = fork_images(one, other), first_difference(one, other)
    assert found == fork_images(other, one)
    if expected is not None:
        assert found is not None
        assert found <= expected
    if found is not None:
        begun = [{shown for shown, _ in trained(each)} for each in (one, other)]
        assert found in begun[0] & begun[1]


@settings(max_examples=60, deadline=None)
@given(pairs(EVEN))
def test_they_part_no_more_than_a_batch_before_it(fields):
    ours, theirs = fields
    one, other = spec(**SCALED, **ours), spec(**SCALED, **theirs)
    found, expected = fork_images(one, other), first_difference(one, other)
    end = sum(batch for _, (_, batch, *_) in trained(one))
    # What differs where training ends differs in nothing.
    assert (end if expected is None else expected) <= (end if found is None else found) + 20


@settings(max_examples=40, deadline=None)
@given(ODD, st.sampled_from([0.01, 0.03, 0.05, 0.5]), st.sampled_from([None, 0.005, 0.02]))
def test_evaluations_are_those_of_the_loop(fields, every, first):
    every = min(every, fields["train__kimg"])
    if first is not None and first >= every:
        first = None
    times = {"evaluate__every_kimg": every, "evaluate__first_kimg": first}
    asked = spec(**(SCALED | fields | times))
    loop = object.__new__(ImagesTrainLoop)
    loop.total_images, loop.eval_images = asked.total_images, round(every * 1000)
    loop.first_eval_images = None if first is None else round(first * 1000)
    taken = [
        shown + batch
        for shown, (_, batch, *_) in trained(asked)
        if loop._evaluates(shown, shown + batch)
    ]
    assert [*evaluations(asked)] == taken


def test_families_have_all_in_common_but_what_acts_late():
    def levels(**factors):
        paths = {name.replace("__", "."): {"a": a, "b": b} for name, (a, b) in factors.items()}
        return [len(family) for family in families(plan(factors=paths, seeds=[0]).runs)]

    assert levels(train__kimg=(0.6, 0.4)) == [2]
    assert levels(train__lr_per_scale=({}, {8: 0.1})) == [2]
    assert levels(model__transition_kimgs=(0.1, 0.05)) == [2]
    assert levels(reduce_lr=(None, RULE)) == [2]
    assert levels(train__optimizer__lr=(0.001, 0.002)) == [1, 1]
    assert levels(train__loss__penalty_weight=(1, 10)) == [1, 1]
    assert levels(train__log_every_kimg=(0.1, 0.2)) == [1, 1]
    assert levels(model__mbstd_group=(4, 2)) == [1, 1]
    assert levels(data__max_images=(100, 200)) == [1, 1]


def test_seeds_share_nothing():
    asked = plan(factors={"reduce_lr": {"off": None, "on": RULE}})
    assert [[run.seed for run in family] for family in families(asked.runs)] == [[0, 0], [1, 1]]
    assert [len(riders(run, asked.runs[:1])) for run in asked.runs[:1]] == [0]


def test_averages_that_follow_the_final_batch_keep_runs_apart():
    sizes = {"train.batch_size": {"a": {4: 20, 8: 20}, "b": {4: 20, 8: 10}}}
    by_momentum = plan(factors=sizes, seeds=[0])
    assert [len(family) for family in families(by_momentum.runs)] == [2]
    half_life = {"h": {"interp_cfg": {"half_life_kimg": 0.1}}}
    by_half_life = plan(factors=sizes, seeds=[0], observers__ema=half_life)
    assert [len(family) for family in families(by_half_life.runs)] == [1, 1]


def test_what_differs_from_the_start_rides_with_none():
    sizes = {"train.batch_size": {"a": {4: 20, 8: 20}, "b": {4: 10, 8: 20}}}
    asked = plan(factors=sizes, seeds=[0])
    assert riders(asked.runs[0], asked.runs) == ()
    assert shared(asked.runs) == {}


@settings(max_examples=40, deadline=None)
@given(
    st.integers(0, 3),
    st.integers(1, 3),
    st.sampled_from(["min", "max"]),
    st.sampled_from(["rel", "abs"]),
    st.lists(st.floats(-1e3, 1e3), min_size=40, max_size=40),
)
def test_no_rule_acts_before_what_the_plan_says(patience, interval, mode, threshold_mode, values):
    scheduler = {"patience": patience, "mode": mode, "threshold_mode": threshold_mode}
    rule = {**RULE, "interval": interval, "scheduler": scheduler}
    asked = plan(
        factors={"reduce_lr": {"off": None, "on": rule}}, seeds=[0], evaluate__every_kimg=0.02
    )
    least, most = shared(asked.runs)[asked.runs[1].name]
    assert most == 600
    times = [*evaluations(asked.spec)]
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=1.0)
    own = ReduceLR(optimizer, **asked.runs[1].reduce_lr.scheduler.model_dump(exclude={"type"}))
    looks = [sum(values[i : i + interval]) for i in range(0, len(times), interval)]
    for number, value in enumerate(looks[: len(times) // interval], 1):
        own.watch(value)
        if optimizer.param_groups[0]["lr"] < 1:
            assert times[number * interval - 1] >= least
            break


def test_the_earliest_act_is_one_that_can_happen():
    """A first value, then worse ones: patience 1 is over at the third look."""
    rule = {**RULE, "interval": 2, "scheduler": {"patience": 1}}
    asked = plan(
        factors={"reduce_lr": {"off": None, "on": rule}}, seeds=[0], evaluate__every_kimg=0.04
    )
    assert shared(asked.runs) == {asked.runs[1].name: (240, 600)}
    assert [*islice(evaluations(asked.spec), 6)][-1] == 240
    endless = {**RULE, "scheduler": {"patience": 100}}
    asked = plan(factors={"reduce_lr": {"off": None, "on": endless}}, seeds=[0])
    assert shared(asked.runs) == {asked.runs[1].name: (600, 600)}


def test_what_two_branches_share_is_counted_for_the_second():
    """40, 60 and 80 kimg with and without a rule: each begins where its best trunk ends."""
    asked = plan(
        factors={
            "train.kimg": {"a": 0.4, "b": 0.6, "c": 0.8},
            "reduce_lr": {"off": None, "on": {**RULE, "scheduler": {"patience": 100}}},
        },
        seeds=[0],
    )
    found = {run.level: shared(asked.runs).get(run.name) for run in asked.runs}
    assert [*found.values()] == [
        *(None, (400, 400), (380, 380), (600, 600), (580, 580), (800, 800)),
    ]


@pytest.mark.parametrize("kind", ["StyleGAN2", "SinGAN"])
def test_models_that_do_not_grow_share_what_their_rules_let_them(kind):
    from stateful_specs import SPECS

    from harness.plan.expand import expand
    from harness.spec.load import validated

    metric = "fid[digits-cnn]/raw" if kind == "StyleGAN2" else "sifid[random-conv-64]/raw"
    rules = {"off": None, "on": {"val_metric": metric, "scheduler": {"patience": 1}}}
    asked = expand("q", "quick", validated({**SPECS[kind], "factors": {"reduce_lr": rules}}))
    ((name, (least, most)),) = shared(asked.runs).items()
    assert name == asked.runs[1].name
    assert 0 < least < most
