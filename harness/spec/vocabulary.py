"""The words of a spec: what may be named in it, and how settings of one meaning convert.

Nothing here imports torch: the names are checked before anything heavy is loaded.
"""

import math
import re

from harness.spec.vis_kwargs import HOOK_KINDS, PICKLE_KINDS

METRICS = {
    "fid": "Fréchet distance of features (arXiv 1706.08500)",
    "fid_inf": "FID extrapolated to infinitely many generated images (arXiv 1911.07023)",
    "is": "inception score (arXiv 1606.03498)",
    "kid": "kernel distance of features (arXiv 1801.01401)",
    "precision": "generated images on the real ones' manifold of 3 neighbours (arXiv 1904.06991)",
    "recall": "real images on the generated ones' manifold of 3 neighbours (arXiv 1904.06991)",
    "density": "real images' balls of 5 neighbours around each generated image (arXiv 2002.09797)",
    "coverage": "real images with a generated one in their ball of 5 neighbours (arXiv 2002.09797)",
    "swd": "sliced Wasserstein distance of Laplacian patches (arXiv 1710.10196, section 5)",
    "ms_ssim": "multi-scale structural similarity between generated images (diversity)",
    "ppl_z": "perceptual path length in Z (arXiv 1812.04948, equation 2)",
    "ppl_w": "perceptual path length in W (arXiv 1812.04948, equation 3)",
    "sifid": "Fréchet distance of one image's local features (arXiv 1905.01164, section 3)",
    "diversity": "spread of pixels over samples, by the real image's (arXiv 1905.01164, section 3)",
}
EXTRACTED_METRICS = frozenset(
    [
        *("fid", "fid_inf", "is", "kid", "precision", "recall", "density", "coverage"),
        *("ppl_z", "ppl_w", "sifid"),
    ]
)
"""Metrics that are measured on an extractor's features and carry its name."""

FEATURE_METRICS = frozenset({"kid", "precision", "recall", "density", "coverage"})
"""Metrics that compare the features of single real images, which no statistics stand for."""
PATH_METRICS = frozenset({"ppl_z", "ppl_w"})
"""Metrics of steps in latent space, which draw images of their own."""
ONE_IMAGE_METRICS = frozenset({"sifid", "diversity"})
"""Metrics that hold samples against one image; all others want a set of them."""

FEATURES = {"digits-cnn": 64, "inception-v3-compat": 2048, "random-conv-64": 64}
"""Features of an image, by extractor."""
FEWEST_PER_FEATURE = 4
"""Generated images a feature that an extrapolation of FID needs."""
NATIVE_IMAGES = {"digits": 1797, "cifar10": 50_000}
NATIVE_RESOLUTION = {"digits": 8, "cifar10": 32}
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.\-]{0,39}")
NAMES = "up to 40 letters, digits, '_', '-' and '.', first a letter or digit"
"""What a shadow, a level or a tier may be called: it becomes the name of a file or a folder."""

RAW = "raw"
"""The arm that is the trained generator itself, beside its EMA shadows."""

HOOKS: dict[str, frozenset[str]] = {
    "VisualizationHook": frozenset(HOOK_KINDS),
    "PickleDataHook": frozenset(PICKLE_KINDS),
}
"""Hooks that a spec's ``hooks`` may list, with their arguments."""

HOOKS_ELSEWHERE = {
    "ExponentialMovingAverageHook": "an EMA shadow is an observer: name it under observers.ema",
    "PosthocEMAHook": "a post-hoc EMA is an observer: name it under observers.posthoc",
    "ReduceLRSchedulerHook": "a ReduceLR rule changes training: name it under factors.reduce_lr",
    "EMACertificateHook": "it is in every run",
    "IterTimerHook": "it is in every run",
    "PGGANFetchDataHook": "it is in every progressive run",
    "BasicVisualizationHook": "it draws what a validation answers, which here are numbers: "
    "use VisualizationHook",
}
"""Hooks of every run, or that have a heading of their own."""

INTERP_MODES: dict[str, frozenset[str]] = {
    "lerp": frozenset({"momentum", "decay", "half_life_kimg", "momentum_nontrainable"}),
    "warmup": frozenset(
        {"momentum", "decay", "half_life_kimg", "momentum_nontrainable", "inv_gamma", "power"}
    ),
    "ramp": frozenset({"half_life_kimg", "momentum_nontrainable", "rampup"}),
    "power": frozenset({"sigma_rel", "momentum_nontrainable"}),
    "uniform": frozenset({"momentum_nontrainable"}),
}
"""EMA interpolation modes with the settings each of them takes."""


def momentum_from_half_life(half_life_kimg: float, images_per_update: int) -> float:
    """Return the weight of the new value so that an old one halves in ``half_life_kimg``."""
    return -math.expm1(-math.log(2) * images_per_update / (half_life_kimg * 1000))


def half_life_kimg(momentum: float, images_per_update: int) -> float:
    """Return after how many thousand images a weight in the average has halved."""
    return math.log(0.5) / math.log1p(-momentum) * images_per_update / 1000


def closest(word: str, known: "list[str]") -> str:
    """Return ``; did you mean 'x'?`` for a near miss, else nothing."""
    import difflib  # costs a start-up only when something is wrong

    near = difflib.get_close_matches(word, known, n=1)
    return f"; did you mean {near[0]!r}?" if near else ""
