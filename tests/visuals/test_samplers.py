"""Samplers of noise and of arguments, on a real Runner of a small PGGAN."""

import pytest
import torch
from tiny_gan import NOISE_SIZE, gan_settings, tiny_gan

from harness.errors import SpecError
from harness.spec.vis_kwargs import SAMPLER_TYPES, VIS_KWARGS_MAPPING
from harness.visuals.entries import entry_of
from harness.visuals.samplers import SAMPLERS, get_sampler


@pytest.fixture
def runner(make_runner):
    runner = make_runner(**gan_settings(tiny_gan(3)))
    assert runner.train_loop.iter == 0  # it is built now
    return runner


def inputs(runner, index=0, **words):
    entry = entry_of({"type": "Noise", "n_samples": 10, "num_batches": 4, **words}, {}, index)
    return [batch["inputs"] for batch in get_sampler(entry, runner)]


def latents(runner, iteration=0, index=0, **words):
    runner.train_loop._iter = iteration
    return torch.cat([batch["noise"] for batch in inputs(runner, index, **words)])


def test_batches_hold_all_latents_once(runner):
    batches = inputs(runner, sample_model="ema/orig", forward_kwargs={"truncation": 0.7})
    assert [batch["noise"].shape for batch in batches] == [
        (count, NOISE_SIZE) for count in (4, 4, 2)
    ]
    assert [batch["num_batches"] for batch in batches] == [4, 4, 2]
    assert {batch["sample_model"] for batch in batches} == {"ema/orig"}
    assert {batch["truncation"] for batch in batches} == {0.7}
    assert "sample_model" not in inputs(runner)[0]


def test_latents_do_not_depend_on_batches_or_on_the_global_stream(runner):
    torch.manual_seed(1)
    state = torch.get_rng_state()
    assert torch.equal(latents(runner), latents(runner, num_batches=10))
    assert torch.equal(torch.get_rng_state(), state)


def test_latents_are_normally_distributed(runner):
    drawn = latents(runner, n_samples=2000)
    assert drawn.mean().abs() < 0.05
    assert (drawn.std() - 1).abs() < 0.05


def test_fixed_latents_are_the_same_at_every_step_and_others_are_not(runner):
    assert torch.equal(latents(runner, 1), latents(runner, 2))
    first, again, second = (latents(runner, i, fixed_input=False) for i in (1, 1, 2))
    assert torch.equal(first, again)
    assert not torch.equal(first, second)


def test_seeds_names_and_entries_have_streams_of_their_own(runner):
    first = latents(runner)
    assert not torch.equal(first, latents(runner, index=1))
    assert not torch.equal(first, latents(runner, name="other"))
    runner.model.seed = 4
    assert not torch.equal(first, latents(runner))


def test_arguments_are_handed_over_until_there_are_enough(runner):
    words = {"type": "Arguments", "forward_kwargs": {"mode": "rand"}}
    assert inputs(runner, **words) == [{"mode": "rand", "num_batches": n} for n in (4, 4, 2)]


def test_a_sampler_goes_through_its_batches_again_and_again(runner):
    sampler = get_sampler({"type": "GAN", "n_samples": 3}, runner)
    first, second = ([batch["inputs"]["noise"] for batch in sampler] for _ in range(2))
    assert len(first) == 1
    assert torch.equal(first[0], second[0])


def test_every_alias_stands_for_a_sampler_that_there_is():
    assert set(SAMPLERS) == set(SAMPLER_TYPES)
    assert {words["type"] for words in VIS_KWARGS_MAPPING.values()} == set(SAMPLERS)


def test_v5_types_are_looked_up(runner):
    with pytest.raises(SpecError, match=r"vis_kwargs_list.type: 'print\(1\)' is not one of GAN, "):
        get_sampler({"type": "print(1)"}, runner)
