"""The hooks of ``mmagic.engine.hooks``, same names and signatures, and what records and proves."""

from harness.hooks.basic_visualization import BasicVisualizationHook
from harness.hooks.certificate import EMACertificateHook
from harness.hooks.ema import ExponentialMovingAverageHook
from harness.hooks.iter_timer import IterTimerHook
from harness.hooks.pggan_fetch_data import PGGANFetchDataHook
from harness.hooks.pickle_data import PickleDataHook
from harness.hooks.posthoc import PosthocEMAHook
from harness.hooks.record import RecordHook
from harness.hooks.reduce_lr import ReduceLRSchedulerHook
from harness.hooks.visualization import VisualizationHook

__all__ = [
    "BasicVisualizationHook",
    "EMACertificateHook",
    "ExponentialMovingAverageHook",
    "IterTimerHook",
    "PGGANFetchDataHook",
    "PickleDataHook",
    "PosthocEMAHook",
    "RecordHook",
    "ReduceLRSchedulerHook",
    "VisualizationHook",
]
