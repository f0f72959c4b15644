"""Checks of VisualizationHook's words before a run, and what an alias stands for."""

import pytest
from small_spec import plan

from harness.errors import SpecError
from harness.spec.vis_checks import hook_problems
from harness.spec.vis_kwargs import full_type, resolved
from harness.spec.yaml_text import dotted


def problems(**arguments):
    return [f"{dotted(path)}: {text}" for path, text in hook_problems(arguments)]


GAN = {"type": "GAN"}


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        ({"interval": "often"}, "interval: 'often' is not a whole number"),
        ({"vis_kwargs_list": [3]}, "vis_kwargs_list.0: 3 is not a mapping"),
        ({"vis_kwargs_list": {"type": "GEN"}}, "vis_kwargs_list.type: 'GEN' is not one of GAN, "),
        ({"vis_kwargs_list": [GAN | {"fps": -1}]}, "vis_kwargs_list.0.fps: -1 is not above 0"),
        ({"sampler_kwargs_list": GAN | {"draw_gt": 1}}, "draw_gt: 1 is not true or false"),
        (
            {"vis_kwargs_list": GAN | {"target_mean": [1, 2]}},
            "target_mean: [1, 2] is not a number or three, one a channel",
        ),
        ({"vis_kwargs_list": GAN | {"target_std": 0}}, "target_std: 0 is not above 0"),
        ({"vis_kwargs_list": GAN | {"color_order": "gbr"}}, "'gbr' is not 'rgb' or 'bgr'"),
        ({"message_hub_vis_kwargs": {"name": "a"}}, "key: an entry has no key"),
        (
            {"vis_kwargs_list": GAN, "sampler_kwargs_list": GAN},
            "sampler_kwargs_list: is another name of vis_kwargs_list: give one of them",
        ),
    ],
)
def test_each_check_gives_one_line(arguments, problem):
    (found,) = problems(**arguments)
    assert problem in found


@pytest.mark.parametrize(
    "arguments",
    [
        {},
        {"interval": -1, "n_samples": None, "wait_time": 1},
        {"vis_kwargs_list": [{"type": "ddpmdenoising", "fps": 2, "n_row": None}]},
        {"message_hub_vis_kwargs": ["a", {"key": "b", "vis_mode": "gif"}]},
    ],
)
def test_what_can_be_drawn_passes(arguments):
    assert problems(**arguments) == []


def test_a_spec_is_refused_before_a_run_starts():
    with pytest.raises(SpecError, match=r"hooks.0.interval: 'often' is not a whole number"):
        plan(hooks=[{"type": "VisualizationHook", "interval": "often"}])


def test_aliases_are_found_in_any_case_and_never_evaluated():
    assert [full_type(name) for name in ("gan", "NOISE", "valdata")] == ["GAN", "Noise", "ValData"]
    assert full_type("eval") is full_type("TestDataSampler") is None


def test_the_users_words_stand_above_the_aliass_and_those_above_the_hooks():
    hook = {"n_samples": 64, "n_row": 2, "fixed_input": True}
    entry = {"type": "DDPMDenoising", "num_samples": 3, "forward_kwargs": {"forward_mode": "x"}}
    full = resolved(entry, hook)
    assert (full["type"], full["n_samples"], full["n_row"]) == ("Arguments", 3, 4)
    assert (full["fixed_input"], full["name"]) == (True, "ddpm_sample")
    assert full["forward_kwargs"] == {
        "forward_mode": "x",
        "sample_kwargs": {"save_intermedia": True},
    }
    assert resolved({"type": "Noise"}, hook) == {
        **hook,
        "type": "Noise",
        "name": "Noise",
        "forward_kwargs": {},
    }
