"""One table says what every recorded number means."""

import math
import re
from pathlib import Path

import pytest

from harness.errors import RecordsError
from harness.records.quantities import FRESH, QUANTITIES, fresh, lookup

PACKAGE = Path(__file__).parents[2] / "harness"


def test_a_protocol_in_brackets_is_left_aside():
    assert lookup("fid[digits-cnn]") is lookup("fid[inception-v3-compat]") is QUANTITIES["fid"]


def test_an_unknown_name_is_refused_with_the_known_ones():
    with pytest.raises(
        RecordsError, match=r"^fidd: not a known quantity; known: fid, fid_inf, is, kid"
    ):
        lookup("fidd")


def test_directions():
    better = {name: lookup(name).better for name in ("fid", "kid", "swd", "is", "ms_ssim")}
    assert better == {
        "fid": "lower",
        "kid": "lower",
        "swd": "lower",
        "is": "higher",
        "ms_ssim": "neither",
    }


@pytest.mark.parametrize("name", QUANTITIES)
def test_each_range_and_unit_fits_the_name(name):
    quantity = QUANTITIES[name]
    assert quantity.low < quantity.high
    assert not math.isnan(quantity.low)
    assert quantity.title
    suffix = re.search(r"_(sec|gib|px)$", name)
    assert quantity.unit == (
        {"sec": "s", "gib": "GiB", "px": "px"}[suffix[1]] if suffix else quantity.unit
    )
    assert suffix or quantity.unit in {"", "1e-3"}


def test_every_quantity_that_is_recorded_is_in_the_table():
    text = (PACKAGE / "hooks" / "record.py").read_text()
    written = set(re.findall(r'"((?:loss|train|time|memory|reduce_lr)/\w+)"', text))
    assert written <= set(QUANTITIES)
    assert {name for name in QUANTITIES if "/" in name} == written


@pytest.mark.parametrize("name", ["fid[digits-cnn]", "swd", "sifid_low[random-conv-64]", "fid_inf"])
@pytest.mark.parametrize("number", [1, 2, 12])
def test_a_metric_on_fresh_latents_means_what_the_metric_does(name, number):
    assert fresh(name, number) == f"fresh{number}/{name}"
    assert lookup(fresh(name, number)) is lookup(name)


@pytest.mark.parametrize(
    "name",
    [
        *("fresh0/fid", "fresh01/fid", "fresh/fid", "fresh1/loss/d", "fresh1/ema_error"),
        *("fresh1/fidd", "fresh1/fresh2/fid", "fresh1fid", "fresh1/", "freshone/fid"),
        *("fresh1/fid[<b>]", f"fresh{10**10}/fid", "fresh\u0661/fid"),
    ],
)
def test_what_cannot_be_measured_again_has_no_such_name(name):
    with pytest.raises(RecordsError, match="not a known quantity"):
        lookup(name)


def test_what_can_be_measured_again_is_known():
    assert set(QUANTITIES) > FRESH > {"fid", "is", "diversity", "sifid_high"}
    assert not any("/" in name or "error" in name for name in FRESH)
