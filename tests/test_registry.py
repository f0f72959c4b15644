"""Types are built from configs, here and in another mmengine project."""

import pytest
from mmengine import registry as mmengine_registry

from harness import hooks, registry
from harness.engine.schedulers import ReduceLR
from harness.networks.pggan import PGGANGenerator
from harness.registry import HOOKS, LOOPS, MODELS, PARAM_SCHEDULERS, register_all

MMAGICS = {
    "HOOKS": "ExponentialMovingAverageHook IterTimerHook PGGANFetchDataHook PickleDataHook "
    "ReduceLRSchedulerHook BasicVisualizationHook VisualizationHook",
    "MODELS": "PGGANGenerator PGGANDiscriminator ProgressiveGrowingGAN SinGAN "
    "SinGANMultiScaleGenerator SinGANMultiScaleDiscriminator",
    "DATASETS": "GrowScaleImgDataset SinGANDataset",
    "LOOPS": "MultiValLoop MultiTestLoop",
    "METRICS": "FrechetInceptionDistance FID InceptionScore IS SlicedWassersteinDistance SWD "
    "MultiScaleStructureSimilarity MS_SSIM PrecisionAndRecall PR PerceptualPathLength PPL",
    "EVALUATOR": "Evaluator",
    "LOG_PROCESSORS": "LogProcessor",
    "PARAM_SCHEDULERS": "ReduceLR LinearLrInterval",
    "OPTIM_WRAPPER_CONSTRUCTORS": "PGGANOptimWrapperConstructor SinGANOptimWrapperConstructor "
    "MultiOptimWrapperConstructor",
    "VISUALIZERS": "Visualizer ConcatImageVisualizer",
    "VISBACKENDS": "VisBackend TensorboardVisBackend WandbVisBackend",
}
"""Types that configs of MMagic name, by kind of registry."""


def test_register_all_makes_every_type_known():
    register_all()
    assert set(hooks.__all__) <= set(HOOKS.module_dict)
    for kind, names in MMAGICS.items():
        known = getattr(registry, kind)
        assert {name for name in names.split() if name not in known.module_dict} == set()
    assert {"ImagesTrainLoop", "EvaluationLoop"} <= set(LOOPS.module_dict)
    assert PARAM_SCHEDULERS.get("ReduceLR") is ReduceLR


@pytest.mark.parametrize("kind", MMAGICS)
def test_another_project_finds_every_kind_by_scope(kind):
    """By the name of the scope alone, with nothing registered by hand."""
    for name in MMAGICS[kind].split():
        found = getattr(mmengine_registry, kind).get(f"harness.{name}")
        assert found is getattr(registry, kind).get(name)
        assert found.__module__.startswith("harness.")


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
