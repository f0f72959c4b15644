import pytest
import torch

from harness.errors import SpecError
from harness.visuals.samplers import ALIASES, NoiseSampler, sampler_name


def sampler(**settings):
    usual = {
        "noise_size": 5,
        "n_samples": 10,
        "fixed_input": True,
        "batch_size": 4,
        "sample_model": "ema/orig",
        "seed": 3,
        "name": "0 fake_img",
        "device": torch.device("cpu"),
    }
    return NoiseSampler(**(usual | settings))


def drawn(step=0, **settings):
    return torch.cat([batch["noise"] for batch in sampler(**settings).inputs(step)])


def test_batches_hold_all_latents_once():
    batches = list(sampler().inputs(7))
    assert [len(batch["noise"]) for batch in batches] == [4, 4, 2]
    assert [batch["num_batches"] for batch in batches] == [4, 4, 2]
    assert {batch["sample_model"] for batch in batches} == {"ema/orig"}
    assert torch.equal(torch.cat([b["noise"] for b in batches]), sampler().latents(0))


def test_latents_do_not_depend_on_batches_or_on_the_global_stream():
    torch.manual_seed(1)
    state = torch.get_rng_state()
    first = drawn(batch_size=4)
    assert torch.equal(first, drawn(batch_size=10))
    assert torch.equal(torch.get_rng_state(), state)


def test_latents_are_normally_distributed():
    latents = drawn(n_samples=2000)
    assert latents.mean().abs() < 0.05
    assert (latents.std() - 1).abs() < 0.05


def test_fixed_latents_are_the_same_at_every_step_and_others_are_not():
    assert torch.equal(drawn(1), drawn(2))
    assert not torch.equal(drawn(1, fixed_input=False), drawn(2, fixed_input=False))
    assert torch.equal(drawn(2, fixed_input=False), drawn(2, fixed_input=False))


@pytest.mark.parametrize("other", [{"seed": 4}, {"name": "1 fake_img"}])
def test_seeds_and_names_have_streams_of_their_own(other):
    assert not torch.equal(drawn(), drawn(**other))


def test_aliases_are_looked_up():
    assert {alias: sampler_name(alias) for alias in ALIASES} == {"GAN": "Noise", "Noise": "Noise"}
    with pytest.raises(SpecError, match=r"type: 'Data' is not one of GAN, Noise"):
        sampler_name("Data")
