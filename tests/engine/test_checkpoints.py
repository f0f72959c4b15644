"""Checkpoints are whole or not there: what was damaged is found, what was kept comes back."""

import json
import math
import resource
import shutil
import signal

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from safetensors import safe_open
from safetensors.torch import save_file

from harness.engine import checkpoints
from harness.engine.checkpoints import Torn
from harness.errors import OutputError, RecordsError
from harness.files.pickles import in_parts

SMALL = {"a": torch.arange(3.0), "b": torch.arange(3.0) + 5, "meta": {"iter": 7, 3: (None, "x")}}


def saved(folder, data=SMALL, iteration=7, keep=2):
    checkpoints.save(folder, iteration, data, keep)
    return checkpoints.find(folder)[0]


def bits(data):
    tensors, text = in_parts(data)
    kept = {
        k: (v.dtype, v.shape, v.reshape(-1).view(torch.uint8).tolist()) for k, v in tensors.items()
    }
    return kept, text


def rewritten(path, change):
    """Write the file's parts again, changed by ``change(header, tensors)``."""
    with safe_open(path, "pt") as file:
        header = dict(file.metadata())
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    change(header, tensors)
    save_file(tensors, path, header)


def test_every_changed_byte_is_found(tmp_path):
    path = saved(tmp_path)
    content = path.read_bytes()
    expected = bits(SMALL)
    for place in range(len(content)):
        for change in (0x01, 0xFF):
            damaged = bytearray(content)
            damaged[place] ^= change
            path.write_bytes(damaged)
            try:
                loaded = checkpoints.load(path)
            except Torn:
                continue
            # Blanks that fill up the header mean nothing.
            assert bits(loaded) == expected, (place, change)
            assert content[place : place + 1] == b" "


def test_a_file_cut_anywhere_or_longer_is_found(tmp_path):
    path = saved(tmp_path)
    content = path.read_bytes()
    for length in range(len(content)):
        path.write_bytes(content[:length])
        with pytest.raises(Torn):
            checkpoints.load(path)
    for more in (b"\0", content):
        path.write_bytes(content + more)
        with pytest.raises(Torn):
            checkpoints.load(path)


def swapped(header, tensors):
    tensors["a"], tensors["b"] = tensors["b"], tensors["a"]


def renamed(header, tensors):
    tensors["c"] = tensors.pop("a")


def reshaped(header, tensors):
    tensors["a"] = tensors["a"].reshape(3, 1)


def retyped(header, tensors):
    tensors["a"] = tensors["a"].view(torch.int32)


def one_more(header, tensors):
    tensors["c"] = torch.zeros(1)


def other_text(header, tensors):
    header["data"] = header["data"].replace("7", "8")


def other_format(header, tensors):
    header["format"] = "2"


def without_format(header, tensors):
    del header["format"]


@pytest.mark.parametrize(
    "change",
    [swapped, renamed, reshaped, retyped, one_more, other_text, other_format, without_format],
)
def test_parts_in_other_places_are_found(change, tmp_path):
    path = saved(tmp_path)
    rewritten(path, change)
    with pytest.raises(Torn):
        checkpoints.load(path)


@pytest.mark.parametrize("text", ["[]", "{}", '{"a": 5}', '{"a": []}', '{"a": {"dict": 1}}', "["])
def test_a_right_digest_over_what_is_no_checkpoint_helps_nothing(text, tmp_path):
    path = tmp_path / "iteration-000000001.safetensors"
    tensors = {"a": torch.zeros(1)}
    digest = checkpoints._digest("1", tensors, text)
    save_file(tensors, path, {"format": "1", "sha256": digest, "data": text})
    assert [*checkpoints.sound(tmp_path)] == [] or checkpoints.load(path) == json.loads(text)


def test_what_a_newer_harness_wrote_is_refused_not_put_aside(tmp_path, monkeypatch):
    monkeypatch.setattr(checkpoints, "FORMAT", 2)
    path = saved(tmp_path)
    with pytest.raises(RecordsError, match=r"iteration-000000007\.safetensors: format 2 is not"):
        next(checkpoints.sound(tmp_path))
    assert path.exists()


def test_the_newest_sound_one_is_used_and_torn_ones_are_put_aside(tmp_path):
    for iteration in (5, 30, 200):
        saved(tmp_path, {"iteration": iteration}, iteration, keep=9)
    newest, middle, _ = checkpoints.find(tmp_path)
    newest.write_bytes(newest.read_bytes()[:-1])
    (tmp_path / "notes.safetensors").write_bytes(b"a user's own")
    path, data = next(checkpoints.sound(tmp_path))
    assert (path, data) == (middle, {"iteration": 30})
    assert [p.name for p in sorted(tmp_path.glob("*.unsound"))] == [f"{newest.stem}.unsound"]
    assert (tmp_path / "notes.safetensors").read_bytes() == b"a user's own"


@pytest.mark.parametrize("keep", [1, 2, 3])
def test_as_many_are_kept_as_was_asked_the_newest(keep, tmp_path):
    for iteration in (9, 10, 99, 100, 1_000_000_000):  # one more digit than names have
        saved(tmp_path, {}, iteration, keep)
    kept = [int(path.stem.partition("-")[2]) for path in checkpoints.find(tmp_path)]
    assert kept == [1_000_000_000, 100, 99][:keep]


def test_a_failing_disk_leaves_those_before_and_nothing_half(tmp_path):
    first = saved(tmp_path, iteration=1)
    content = first.read_bytes()
    blocked = tmp_path / "blocked"
    blocked.write_text("a file where the folder should be")
    with pytest.raises(OutputError, match="make room there"):
        checkpoints.save(blocked, 2, SMALL, 1)
    assert first.read_bytes() == content
    assert sorted(p.name for p in tmp_path.iterdir()) == ["blocked", first.name]


def test_a_full_disk_leaves_those_before_and_nothing_half(tmp_path):
    first = saved(tmp_path, iteration=1)
    content = first.read_bytes()
    big = {"a": torch.zeros(2**16)}
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (2**14, before[1]))
    try:
        with pytest.raises(OutputError):
            checkpoints.save(tmp_path, 2, big, 1)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, handler)
    assert [p.name for p in tmp_path.iterdir()] == [first.name]
    assert first.read_bytes() == content


shared = torch.arange(12.0).reshape(3, 4)
PAYLOADS = torch.tensor([0x7FC00001, 0x7F800001, -1, -0x80000000], dtype=torch.int32)
VALUES = {
    "NaN payloads and -0.0": PAYLOADS.view(torch.float32),
    "bfloat16": torch.tensor([1.5, math.inf, -0.0], dtype=torch.bfloat16),
    "float64": torch.tensor([1e-310, math.pi], dtype=torch.float64),
    "uint8": torch.arange(5, dtype=torch.uint8),
    "bool": torch.tensor([True, False]),
    "empty": torch.zeros(0, 3),
    "scalar": torch.tensor(2.5),
    "transposed": shared.T,
    "channels last": torch.randn(2, 3, 4, 5).to(memory_format=torch.channels_last),
    "a slice": shared[:, 1],
    "one storage twice": [shared, shared[1:], shared.view(-1)],
    "needs a gradient": torch.nn.Parameter(torch.ones(2)),
    "integer keys": {0: {1: torch.ones(1)}, 2: (1, [2.5, None, True, "ü\n\0"])},
    "floats": [math.inf, -math.inf, 1e-320, 0.1, -0.0],
    "long": 2**70,
    "a dot.in.a.name": {"x.y": torch.zeros(1), "x": {"y": torch.ones(1)}},
}


@pytest.mark.parametrize("name", VALUES)
def test_values_come_back_bit_for_bit(name, tmp_path):
    data = {name: VALUES[name]}
    loaded = checkpoints.load(saved(tmp_path, data))
    assert bits(loaded) == bits(data)
    assert repr(in_parts(loaded)[1]) == repr(in_parts(data)[1])


@pytest.mark.parametrize("value", [object(), {1, 2}, b"bytes", {(1, 2): 3}, lambda: 0])
def test_what_cannot_be_kept_is_refused_before_anything_is_written(value, tmp_path):
    with pytest.raises(TypeError, match="of_a_hook"):
        checkpoints.save(tmp_path, 1, {"of_a_hook": value}, 1)
    assert not [*tmp_path.iterdir()]


numbers = st.floats(allow_nan=False) | st.integers() | st.booleans() | st.none() | st.text()
kinds = st.sampled_from([torch.float32, torch.float64, torch.int64, torch.bfloat16])
shapes = st.lists(st.integers(0, 3), max_size=3)
arrays = st.builds(lambda shape, kind: (torch.randn(shape) * 9).to(kind), shapes, kinds)
nested = st.recursive(
    numbers | arrays,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.lists(inner, max_size=3).map(tuple)
        | st.dictionaries(st.text(max_size=3) | st.integers() | st.none(), inner, max_size=3)
    ),
    max_leaves=8,
)


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(data=st.dictionaries(st.text(max_size=4), nested, max_size=4))
def test_any_nesting_comes_back(data, tmp_path):
    folder = tmp_path / "drawn"
    shutil.rmtree(folder, ignore_errors=True)
    loaded = checkpoints.load(saved(folder, data))
    assert bits(loaded) == bits(data)
