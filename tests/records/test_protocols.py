"""Protocols: what two numbers have to share before they are compared."""

import hashlib
import json

import pytest

from harness.errors import RecordsError
from harness.records.protocols import (
    FILE,
    Protocol,
    agreed,
    difference,
    differing,
    named,
    plain,
    read,
    require_same,
    write,
)
from harness.records.quantities import lookup

FACTS = {"metric": "fid", "real_images": 600, "real_sha256": "ab" * 32, "truncation": 0.7}
FID = Protocol(FACTS)
FEWER = Protocol(FACTS | {"real_images": 500})
NAME = "fid[digits-cnn]"


def test_a_fingerprint_is_of_the_facts_as_canonical_json():
    text = json.dumps(FACTS, sort_keys=True, separators=(",", ":"))
    assert FID.fingerprint == hashlib.sha256(text.encode()).hexdigest()[:10]


def test_neither_order_nor_the_way_a_number_is_written_matters():
    assert Protocol(dict(reversed(FACTS.items()))).fingerprint == FID.fingerprint
    assert Protocol(FACTS | {"real_images": 600.0}).fingerprint == FID.fingerprint


@pytest.mark.parametrize(
    "facts",
    [
        *({**FACTS, name: "other"} for name in FACTS),
        FACTS | {"truncation": None},
        FACTS | {"truncation": 0.7000000000000001},
        FACTS | {"real_images": "600"},
        FACTS | {"one": "more"},
        {name: FACTS[name] for name in list(FACTS)[1:]},
    ],
)
def test_any_other_fact_is_another_fingerprint(facts):
    assert Protocol(facts).fingerprint != FID.fingerprint
    assert len(differing(Protocol(facts), FID)) == 1


def test_a_difference_names_facts_and_both_values_in_one_line():
    other = Protocol(FACTS | {"real_images": 500, "real_sha256": "cd" * 32})
    assert difference(other, FID, "was") == (
        "real_images is 500, was 600; real_sha256 is cdcdcdcdcd, was ababababab"
    )
    many = Protocol({f"fact{i}": i for i in range(9)})
    assert difference(many, Protocol({}), "was").endswith("was not stated; and 5 more facts differ")


def test_what_is_written_reads_back_in_order(tmp_path):
    write(tmp_path / FILE, {NAME: FID, "swd": FEWER})
    back = read(tmp_path / FILE)
    assert {name: list(one.facts.items()) for name, one in back.items()} == {
        NAME: list(FID.facts.items()),
        "swd": list(FEWER.facts.items()),
    }
    assert [path.name for path in tmp_path.iterdir()] == [FILE]
    held = json.loads((tmp_path / FILE).read_text())
    assert held["format"] == 1
    assert held["protocols"][NAME]["fingerprint"] == FID.fingerprint


def test_older_records_have_none(tmp_path):
    assert read(tmp_path / FILE) == {}


def test_a_run_goes_on_by_its_protocol_alone(tmp_path):
    path = tmp_path / FILE
    require_same(path, {NAME: FID})  # began before there were protocols
    write(path, {NAME: FID, "is[digits-cnn]": FID, "swd": FID})
    require_same(path, {NAME: FID, "is[digits-cnn]": FID, "swd": FID})
    before = path.read_bytes()
    with pytest.raises(RecordsError) as caught:
        require_same(path, {NAME: FEWER, "is[digits-cnn]": FEWER, "swd": FID})
    (line,) = caught.value.lines
    assert line.startswith(f"{path}: the run would go on by another protocol: ")
    assert f"{NAME}, is[digits-cnn]: real_images is 500, was 600: put back" in line
    assert path.read_bytes() == before
    with pytest.raises(RecordsError, match="swd: metric is not stated, was fid"):
        require_same(path, {NAME: FID, "is[digits-cnn]": FID})


ROWS = {NAME, "swd", "loss/d"}


def test_runs_that_measured_alike_keep_their_names():
    names, protocols = agreed([(ROWS, {NAME: FID, "swd": FEWER})] * 3)
    assert names == [{}, {}, {}]
    assert protocols == {NAME: FID, "swd": FEWER}
    assert agreed([(ROWS, {})] * 2) == ([{}, {}], {})


def test_runs_that_did_not_get_a_name_for_each_protocol_of_that_metric_alone():
    own = [{NAME: FID, "swd": FID}, {NAME: FEWER, "swd": FID}, {"swd": FID}]
    names, protocols = agreed([(ROWS, held) for held in own])
    first, second = (
        f"fid[digits-cnn;protocol={FID.fingerprint}]",
        named(NAME, FEWER),
    )
    assert names == [{NAME: first}, {NAME: second}, {NAME: "fid[digits-cnn;protocol=unknown]"}]
    assert protocols == {first: FID, second: FEWER, "swd": FID}


def test_what_was_not_recorded_is_not_taken_for_what_was():
    (known, unknown), protocols = agreed([(ROWS, {NAME: FID}), (ROWS, {})])
    assert (known, unknown) == ({NAME: named(NAME, FID)}, {NAME: named(NAME, None)})
    assert protocols == {named(NAME, FID): FID}


def test_a_metric_on_further_latents_has_the_protocol_of_the_first():
    rows = {NAME, f"fresh1/{NAME}"}
    (names, other), _ = agreed([(rows, {NAME: FID}), (rows, {NAME: FEWER})])
    assert names == {name: named(name, FID) for name in rows}
    assert set(other) == rows
    assert plain(named(f"fresh1/{NAME}", FID)) == f"fresh1/{NAME}"


def test_a_run_without_rows_of_a_metric_splits_nothing():
    names, protocols = agreed([(ROWS, {NAME: FID}), ({"loss/d"}, {NAME: FEWER})])
    assert names == [{}, {}]
    assert protocols == {NAME: FID}


@pytest.mark.parametrize("quantity", [NAME, "swd", "fid[digits-cnn;truncation=0.7]"])
@pytest.mark.parametrize("protocol", [FID, None])
def test_a_name_with_its_protocol_is_known_and_gives_the_plain_one_back(quantity, protocol):
    name = named(quantity, protocol)
    assert name != quantity
    assert lookup(name) is lookup(quantity)
    assert plain(name) == quantity
    assert plain(quantity) == quantity
