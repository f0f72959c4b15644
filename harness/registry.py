"""mmengine registries under the scope ``harness``, with MMagic's type names.

``register_all()`` imports every module that registers something, so that another mmengine project
with ``default_scope='harness'`` builds these types from its configs.
"""

import importlib

from harness import compat  # noqa: F401  (mmengine must be imported through it)

# isort: split
from mmengine import registry as mmengine_registry
from mmengine.registry import Registry

_MODULES = [
    "harness.data.grow_scale",
    "harness.data.singan",
    "harness.engine.log_processor",
    "harness.engine.loops",
    "harness.engine.multi_evaluator",
    "harness.engine.multi_loops",
    "harness.engine.optim_constructors",
    "harness.engine.schedulers",
    "harness.gans.growing",
    "harness.gans.stylegan1",
    "harness.gans.stylegan2",
    "harness.gen_metrics",
    "harness.hooks",
    "harness.networks.pggan",
    "harness.networks.stylegan1",
    "harness.networks.stylegan2",
    "harness.visuals.backends",
    "harness.visuals.concat_visualizer",
    "harness.visuals.visualizer",
]


def _child(name: str, parent: Registry) -> Registry:
    return Registry(name, parent=parent, scope="harness", locations=_MODULES)


HOOKS = _child("hook", mmengine_registry.HOOKS)
MODELS = _child("model", mmengine_registry.MODELS)
LOOPS = _child("loop", mmengine_registry.LOOPS)
DATASETS = _child("dataset", mmengine_registry.DATASETS)
DATA_SAMPLERS = _child("data sampler", mmengine_registry.DATA_SAMPLERS)
PARAM_SCHEDULERS = _child("parameter scheduler", mmengine_registry.PARAM_SCHEDULERS)
OPTIM_WRAPPER_CONSTRUCTORS = _child(
    "optimizer wrapper constructor", mmengine_registry.OPTIM_WRAPPER_CONSTRUCTORS
)
METRICS = _child("metric", mmengine_registry.METRICS)
EVALUATOR = _child("evaluator", mmengine_registry.EVALUATOR)
LOG_PROCESSORS = _child("log processor", mmengine_registry.LOG_PROCESSORS)
VISUALIZERS = _child("visualizer", mmengine_registry.VISUALIZERS)
VISBACKENDS = _child("vis_backend", mmengine_registry.VISBACKENDS)


def register_all() -> None:
    """Register every hook, model, loop and scheduler of this harness."""
    for module in _MODULES:
        importlib.import_module(module)
