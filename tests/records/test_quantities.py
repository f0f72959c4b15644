"""One table says what every recorded number means."""

import math
import re
from pathlib import Path

import pytest

from harness.errors import RecordsError
from harness.records.quantities import QUANTITIES, lookup

PACKAGE = Path(__file__).parents[2] / "harness"


def test_a_protocol_in_brackets_is_left_aside():
    assert lookup("fid[digits-cnn]") is lookup("fid[inception-v3-compat]") is QUANTITIES["fid"]


def test_an_unknown_name_is_refused_with_the_known_ones():
    with pytest.raises(RecordsError, match=r"^fidd: not a known quantity; known: fid, is, kid"):
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
