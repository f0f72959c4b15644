"""Types are built from configs, here and in another mmengine project."""

import pytest
from mmengine import registry as mmengine_registry

from harness import hooks
from harness.engine.schedulers import ReduceLR
from harness.networks.pggan import PGGANGenerator
from harness.registry import HOOKS, LOOPS, MODELS, PARAM_SCHEDULERS, register_all


def test_register_all_makes_every_type_known():
    register_all()
    own = set(hooks.__all__)
    assert own <= set(HOOKS.module_dict)
    assert {"PGGANGenerator", "PGGANDiscriminator", "ProgressiveGrowingGAN"} <= set(
        MODELS.module_dict
    )
    assert {"ImagesTrainLoop", "EvaluationLoop"} <= set(LOOPS.module_dict)
    assert PARAM_SCHEDULERS.get("ReduceLR") is ReduceLR


def test_hooks_of_other_scopes_are_still_found():
    assert HOOKS.get("CheckpointHook").__module__.startswith("mmengine.")


@pytest.mark.parametrize("name", ["IterTimerHook", "VisualizationHook"])
def test_another_project_finds_them_by_scope(name):
    register_all()
    assert mmengine_registry.HOOKS.get(f"harness.{name}") is getattr(hooks, name)


def test_mmengines_own_timer_keeps_its_name():
    assert mmengine_registry.HOOKS.get("IterTimerHook") is not hooks.IterTimerHook
    assert HOOKS.get("IterTimerHook") is hooks.IterTimerHook


def test_a_network_is_built_from_a_config():
    config = {
        "type": "PGGANGenerator",
        "noise_size": 4,
        "out_scale": 8,
        "base_channels": 16,
        "max_channels": 4,
    }
    network = MODELS.build(config)
    assert isinstance(network, PGGANGenerator)
    assert network.noise_size == 4
    assert config["type"] == "PGGANGenerator"
