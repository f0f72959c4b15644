"""A small question as a user writes it, and the specs that stand for it."""

from pathlib import Path
from typing import Any

from harness.plan.expand import Plan, expand
from harness.spec.load import apply_override, validated
from harness.spec.schema import Spec
from harness.spec.yaml_text import parse

TEXT = """\
question: Which average is best?
model:
  type: PGGAN
  noise_size: 8
  out_scale: 8
  base_channels: 32
  max_channels: 8
  nkimgs_per_scale: {4: 0.2, 8: 0.4}
  transition_kimgs: 0.1
data: {type: digits}
train:
  kimg: 0.6
  batch_size: 20
  log_every_kimg: 0.1
evaluate:
  every_kimg: 0.3
  extractor: digits-cnn
  fake_images: 600
  metrics: [fid]
seeds: [0, 1]
observers:
  ema:
    m0.1: {interp_cfg: {momentum: 0.1}}
tiers:
  gpu:
    train: {kimg: 2}
"""
RULE = {"val_metric": "fid[digits-cnn]/raw", "scheduler": {"patience": 0}}


def write(folder: Path, text: str | bytes = TEXT) -> Path:
    """Write a spec's file into a folder."""
    path = folder / "question.yaml"
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return path


def content(**fields: Any) -> dict[str, Any]:
    """Return the spec's plain values; a field's dots are written as two underscores."""
    values: dict[str, Any] = parse(TEXT)[0]
    for name, value in fields.items():
        values = apply_override(values, name.replace("__", "."), value)
    return values


def spec(**fields: Any) -> Spec:
    return validated(content(**fields))


SCALES = {4: 1, 8: 1, 16: 1}


def larger(**fields: Any) -> Spec:
    """Return the question at 16 px on CIFAR-10 with Inception."""
    return spec(
        data={"type": "cifar10"},
        evaluate__extractor="inception-v3-compat",
        model__out_scale=16,
        model__nkimgs_per_scale=SCALES,
        model__base_channels=64,
        **fields,
    )


def plan(**fields: Any) -> Plan:
    return expand("question", "quick", spec(**fields))
