"""A small question on one shipped photograph, trained in seconds."""

from pathlib import Path
from typing import Any

import torch
from keepers import keeper_of

from harness.engine.build import train
from harness.plan.expand import Run, expand
from harness.records.store import RunFolder
from harness.records.types import Outcome, Status
from harness.spec.load import apply_override, validated
from harness.spec.schema import Spec
from harness.spec.yaml_text import parse

CPU = torch.device("cpu")
TEXT = """\
question: Does a shadow of SinGAN look more like the image?
model:
  type: SinGAN
  base_channels: 4
  min_feat_channels: 4
  min_size: 18
  max_size: 40
  scale_factor_init: 0.75
  iters_per_scale: 15
  discriminator_steps: 1
  generator_steps: 1
data: {type: image, root: "shipped:coffee"}
train: {log_every_kimg: 0.015, optimizer: {lr: 0.01, betas: [0.5, 0.999]}}
evaluate:
  {every_kimg: 0.015, extractor: random-conv-64, fake_images: 5, metrics: [sifid, diversity]}
seeds: [0]
observers:
  ema:
    m0.5: {interp_cfg: {momentum: 0.5}}
"""


def singan_spec(**fields: Any) -> Spec:
    """Return the spec; a field's dots are written as two underscores."""
    content: dict[str, Any] = parse(TEXT)[0]
    for name, value in fields.items():
        content = apply_override(content, name.replace("__", "."), value)
    return validated(content)


def singan_run(path: Path, **fields: Any) -> tuple[Run, RunFolder]:
    """Train the question's one run into a folder."""
    (run,) = expand("singan", "quick", singan_spec(**fields)).runs
    folder = RunFolder(path)
    folder.begin(run.settings, {})
    iterations = train(run, keeper_of(run, folder), CPU, path / "cache")
    folder.end(Outcome(Status.FINISHED, iteration=iterations))
    return run, folder
