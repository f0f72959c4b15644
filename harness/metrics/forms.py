"""What each metric computes: gathered for protocols, stated where it is computed."""

from collections.abc import Mapping
from types import MappingProxyType

from harness.metrics import (
    density_coverage,
    fid,
    fid_infinity,
    inception_score,
    kid,
    ms_ssim,
    precision_recall,
    swd,
)

FORMS: Mapping[str, str] = MappingProxyType(
    {
        "fid": fid.FORM,
        "fid_inf": fid_infinity.FORM,
        "is": inception_score.FORM,
        "kid": kid.FORM,
        "swd": swd.FORM,
        "ms_ssim": ms_ssim.FORM,
        "precision": f"of generated images: {precision_recall.FORM}",
        "recall": f"of real images: {precision_recall.FORM}",
        "density": f"number over k, {density_coverage.FORM}",
        "coverage": f"share of the {density_coverage.FORM}",
    }
)
