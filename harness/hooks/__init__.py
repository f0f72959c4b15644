"""The hooks of ``mmagic.engine.hooks``, same names and signatures, and the record hook."""

from harness.hooks.ema import ExponentialMovingAverageHook
from harness.hooks.iter_timer import IterTimerHook
from harness.hooks.pggan_fetch_data import PGGANFetchDataHook
from harness.hooks.posthoc import PosthocEMAHook
from harness.hooks.record import RecordHook
from harness.hooks.reduce_lr import ReduceLRSchedulerHook
from harness.hooks.visualization import VisualizationHook

__all__ = [
    "ExponentialMovingAverageHook",
    "IterTimerHook",
    "PGGANFetchDataHook",
    "PosthocEMAHook",
    "RecordHook",
    "ReduceLRSchedulerHook",
    "VisualizationHook",
]
