"""What each recorded quantity means: unit, valid range, and which direction is better.

A unit belongs to a quantity's name, in this one table. A metric's name states its protocol in
brackets (``fid[digits-cnn]``); the part before the bracket is looked up here. A metric measured
again, on the Nth further set of latents, is ``freshN/`` and its name: ``fresh1/fid[digits-cnn]``.
"""

import re
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

from harness.errors import RecordsError
from harness.spec.vocabulary import METRICS


@dataclass(frozen=True, slots=True)
class Quantity:
    """Unit, closed valid range and better direction of one quantity."""

    unit: str
    low: float
    high: float
    better: Literal["lower", "higher", "neither"]
    title: str


_INF = float("inf")
_NAME = re.compile(r"[a-z_/]+(\[[\w.;=\-]+\])?", re.ASCII)
_FRESH = re.compile(r"fresh[1-9][0-9]{0,9}/")

QUANTITIES = {
    "fid": Quantity("", -1e-6, _INF, "lower", "FID"),
    "fid_inf": Quantity("", -_INF, _INF, "lower", "FID-infinity"),
    "is": Quantity("", 1.0 - 1e-6, _INF, "higher", "IS"),
    "kid": Quantity("", -_INF, _INF, "lower", "KID"),
    "precision": Quantity("", 0.0, 1.0, "higher", "precision"),
    "recall": Quantity("", 0.0, 1.0, "higher", "recall"),
    "density": Quantity("", 0.0, _INF, "higher", "density"),
    "coverage": Quantity("", 0.0, 1.0, "higher", "coverage"),
    "ppl_z": Quantity("", 0.0, _INF, "lower", "PPL (z)"),
    "ppl_w": Quantity("", 0.0, _INF, "lower", "PPL (w)"),
    "sifid": Quantity("", -1e-6, _INF, "lower", "SIFID"),
    "sifid_low": Quantity("", -1e-6, _INF, "lower", "SIFID, lower quartile of the samples"),
    "sifid_high": Quantity("", -1e-6, _INF, "lower", "SIFID, upper quartile of the samples"),
    "diversity": Quantity("", 0.0, _INF, "neither", "diversity"),
    "swd": Quantity("1e-3", 0.0, _INF, "lower", "SWD"),
    "ms_ssim": Quantity("", 0.0, 1.0, "neither", "MS-SSIM"),
    "ema_error": Quantity("", 0.0, _INF, "lower", "EMA error"),
    "posthoc_error": Quantity("", 0.0, _INF, "lower", "relative error of the rebuilt average"),
    "posthoc_misfit": Quantity("", 0.0, _INF, "lower", "relative misfit of the rebuilt profile"),
    "loss/d": Quantity("", -_INF, _INF, "neither", "critic loss"),
    "loss/g": Quantity("", -_INF, _INF, "neither", "generator loss"),
    "loss/recon": Quantity("", 0.0, _INF, "lower", "mean squared error of the reconstruction"),
    "loss/penalty": Quantity("", 0.0, _INF, "neither", "gradient penalty"),
    "loss/path": Quantity("", 0.0, _INF, "neither", "path-length penalty"),
    "train/ada_p": Quantity("", 0.0, 1.0, "neither", "probability of augmentation"),
    "train/lr": Quantity("", 0.0, _INF, "neither", "learning rate"),
    "train/scale_px": Quantity("px", 1, _INF, "neither", "resolution"),
    "train/transition_weight": Quantity("", 0.0, 1.0, "neither", "fade-in weight"),
    "reduce_lr/value": Quantity("", -_INF, _INF, "neither", "watched metric"),
    "reduce_lr/best": Quantity("", -_INF, _INF, "neither", "best value so far"),
    "reduce_lr/bad_count": Quantity("", 0, _INF, "neither", "evaluations without improvement"),
    "reduce_lr/old_lr": Quantity("", 0.0, _INF, "neither", "learning rate before"),
    "reduce_lr/new_lr": Quantity("", 0.0, _INF, "neither", "learning rate after"),
    "time/train_sec": Quantity("s", 0.0, _INF, "lower", "training"),
    "time/eval_sec": Quantity("s", 0.0, _INF, "lower", "evaluation"),
    "time/overhead_sec": Quantity("s", 0.0, _INF, "lower", "overhead"),
    "memory/peak_rss_gib": Quantity("GiB", 0.0, _INF, "lower", "peak memory"),
    "memory/peak_gpu_gib": Quantity("GiB", 0.0, _INF, "lower", "peak GPU memory"),
}


FRESH = frozenset([*METRICS, "sifid_low", "sifid_high"])
"""What is measured of generated images, and can be again on fresh latents."""


def fresh(quantity: str, number: int) -> str:
    """Return the name of a metric on the ``number``-th further set of latents, from 1 on."""
    return f"fresh{number}/{quantity}"


@lru_cache(1024)
def lookup(name: str) -> Quantity:
    """Return what ``name`` means, its protocol in brackets and its set of latents left aside.

    Raises:
        RecordsError: if no such quantity is known.
    """
    measured = _FRESH.sub("", name, count=1) if _FRESH.match(name) else name
    base = measured.partition("[")[0]
    quantity = QUANTITIES.get(base)
    known = measured is name or base in FRESH
    if quantity is None or not known or not _NAME.fullmatch(measured):
        raise RecordsError(f"{name}: not a known quantity; known: {', '.join(QUANTITIES)}")
    return quantity
