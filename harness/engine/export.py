"""The statistics of a spec's real images, in a file that other tools measure FID against."""

import os
from pathlib import Path

import torch

from harness.engine.build import prepared
from harness.engine.evaluation import ArmsEvaluator
from harness.errors import OutputError, SpecError
from harness.metrics.extractor import identity
from harness.metrics.fid import FORM
from harness.metrics.reference import EXTRACT_BATCH
from harness.metrics.statistics_file import write_statistics
from harness.records.protocols import Facts
from harness.spec.schema import SinGAN, Spec


def export(spec: Spec, out: Path, cache_dir: Path, device: str) -> str:
    """Write mean and covariance of the real images' features, float64; return what was written.

    Args:
        spec: names images and extractor.
        out: a new file, ``*.npz``.
        cache_dir: holds prepared images and features.
        device: ``cpu`` or ``cuda``.

    Raises:
        SpecError: a model of one image has no such statistics, or the file is no npz.
        OutputError: the file exists, or cannot be written.
        HarnessError: images or weights are missing.
    """
    if isinstance(spec.model, SinGAN):
        raise SpecError(["model: SinGAN has one image: its SIFID is of positions, not of images"])
    if out.suffix != ".npz":
        raise SpecError([f"{out}: is not *.npz, by which pytorch-fid knows statistics: name it so"])
    if os.path.lexists(out):
        raise OutputError(f"{out}: is there already: name a new file")
    own = spec.evaluate.model_copy(update={"reference": None})
    spec = spec.model_copy(update={"evaluate": own})
    _, evaluator = prepared(spec, 0, torch.device(device), cache_dir)
    assert isinstance(evaluator, ArmsEvaluator)
    facts = _facts(evaluator)
    write_statistics(out, evaluator.reference.statistics, facts)
    return (
        f"{out}: mu and sigma of {facts['real_images']} real images, {facts['features']} features "
        f"of {facts['extractor']}"
    )


def _facts(evaluator: ArmsEvaluator) -> Facts:
    extractor = evaluator.extractor
    return {
        "statistics": FORM,
        **identity(extractor),
        **extractor.sight,
        "extractor_batch": EXTRACT_BATCH,
        **evaluator.real_facts,
    }
