"""The metrics that evaluators of configs name: MMagic's types and arguments, our numbers."""

from harness.gen_metrics.base import GenerativeMetric
from harness.gen_metrics.feature_metrics import (
    FrechetInceptionDistance,
    InceptionScore,
    KernelInceptionDistance,
    PrecisionAndRecall,
)
from harness.gen_metrics.path_metric import PerceptualPathLength
from harness.gen_metrics.pixel_metrics import (
    MultiScaleStructureSimilarity,
    SlicedWassersteinDistance,
)

__all__ = [
    "FrechetInceptionDistance",
    "GenerativeMetric",
    "InceptionScore",
    "KernelInceptionDistance",
    "MultiScaleStructureSimilarity",
    "PerceptualPathLength",
    "PrecisionAndRecall",
    "SlicedWassersteinDistance",
]
