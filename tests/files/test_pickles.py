"""Reading pickled data runs no code, whatever the file says."""

import os
import pickle
import struct

import numpy as np
import pytest
import torch
from safetensors.torch import save

from harness.errors import DataError
from harness.files.pickles import load_pickled_data, to_safetensors


class Malicious:
    def __init__(self, function, *arguments):
        self.call = (function, arguments)

    def __reduce__(self):
        return self.call


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_k5_a_pickle_that_would_run_code_is_refused_and_runs_none(tmp_path, protocol):
    touched = tmp_path / "touched"
    data = {"curr_stage": [Malicious(os.system, f"touch {touched}")]}
    (path := tmp_path / "iter_1.pkl").write_bytes(pickle.dumps(data, protocol))
    with pytest.raises(DataError, match=r"iter_1.pkl: names \w+\.system, which could run code"):
        load_pickled_data(path)
    assert not touched.exists()
    pickle.loads(path.read_bytes())
    assert touched.exists()


@pytest.mark.parametrize(
    ("value", "named"),
    [
        (Malicious(eval, "1"), "eval"),
        (Malicious(getattr, np.ndarray, "tofile"), "getattr"),
        (Malicious(np.fromfile, "x"), "fromfile"),
        (torch.zeros(1), "_rebuild_tensor_v2"),
    ],
    ids=["eval", "getattr", "fromfile", "tensor"],
)
def test_k5_all_but_arrays_and_containers_is_refused(tmp_path, value, named):
    (path := tmp_path / "a.pkl").write_bytes(pickle.dumps({"value": value}))
    with pytest.raises(DataError, match=rf"names [\w.]*\.{named}, which could run code"):
        load_pickled_data(path)


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_arrays_numbers_and_containers_of_any_protocol_are_read(tmp_path, protocol):
    data = {
        "arrays": [np.arange(6.0).reshape(2, 3), np.zeros((1, 0), np.float16), np.array(True)],
        "fortran": np.asfortranarray(np.arange(6).reshape(2, 3)),
        "scalars": (np.float32(0.5), np.int64(3), 1, 2.5, None, True, "word", 1j),
        "sets": {1, 2},
        "bytes": b"\x00\xff",
    }
    (path := tmp_path / "a.pkl").write_bytes(pickle.dumps(data, protocol))
    read = load_pickled_data(path)
    assert list(read) == list(data)
    for name in ("scalars", "sets", "bytes"):
        assert read[name] == data[name]
    for ours, theirs in zip(
        [*read["arrays"], read["fortran"]], [*data["arrays"], data["fortran"]], strict=True
    ):
        assert ours.dtype == theirs.dtype
        np.testing.assert_array_equal(ours, theirs)


@pytest.mark.parametrize("kept", [0, 3, 30, -1])
@pytest.mark.parametrize("suffix", [".pkl", ".safetensors"])
def test_a_file_cut_off_is_named(tmp_path, suffix, kept):
    data = {"a": np.zeros(9)}
    content = to_safetensors(data) if suffix == ".safetensors" else pickle.dumps(data)
    (path := tmp_path / f"a{suffix}").write_bytes(content[:kept])
    with pytest.raises(DataError, match=rf"a{suffix}: is damaged"):
        load_pickled_data(path)


@pytest.mark.parametrize("suffix", [".pkl", ".safetensors"])
def test_a_file_that_is_missing_is_named(tmp_path, suffix):
    with pytest.raises(DataError, match=rf"none{suffix}: cannot be read \(No such file"):
        load_pickled_data(tmp_path / f"none{suffix}")


def test_a_pickle_of_something_else_is_refused(tmp_path):
    (path := tmp_path / "a.pkl").write_bytes(pickle.dumps([1]))
    with pytest.raises(DataError, match="holds a list, must be a dict of names"):
        load_pickled_data(path)


@pytest.mark.parametrize("tree", ["5", '{"a": {}}', '{"a": {"tensor": "b"}}', "["])
def test_a_tree_that_is_not_ours_is_damaged(tmp_path, tree):
    content = save({"a": torch.zeros(1)}, {"harness_tree": tree})
    (path := tmp_path / "a.safetensors").write_bytes(content)
    with pytest.raises(DataError, match="is damaged"):
        load_pickled_data(path)


def test_tensors_of_other_programs_are_read_by_their_names(tmp_path):
    (path := tmp_path / "a.safetensors").write_bytes(save({"x.0": torch.ones(2)}))
    assert load_pickled_data(path)["x.0"].tolist() == [1, 1]


def test_the_safetensors_header_holds_dotted_names(tmp_path):
    content = to_safetensors({"noises": [torch.zeros(2), {"deep": torch.ones(1)}], "stage": 3})
    (length,) = struct.unpack("<Q", content[:8])
    header = content[8 : 8 + length].decode()
    assert '"noises.0"' in header
    assert '"noises.1.deep"' in header
