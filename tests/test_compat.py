"""mmengine's checkpoints load with weights_only on, and nothing that runs code does."""

import collections
import io
import os
import pickle
import subprocess

import numpy as np
import pytest
import torch
from mmengine.logging import HistoryBuffer

from harness.compat import _history_method


def test_a_checkpoint_of_mmengine_loads_by_torchs_default(make_runner, tmp_path):
    runner = make_runner([], 4)
    runner.train()
    runner.message_hub.update_scalar("train/loss", 0.25)
    runner.save_checkpoint(str(tmp_path), "half.pth", by_epoch=False)
    loaded = torch.load(tmp_path / "half.pth")
    history = loaded["message_hub"]["log_scalars"]["train/loss"]
    assert isinstance(history, HistoryBuffer)
    assert history.current() == 0.25
    values, counts = history.data
    assert values[-1] == 0.25
    assert counts[-1] == 1
    kept = runner.model.state_dict()
    assert all(torch.equal(value, kept[name]) for name, value in loaded["state_dict"].items())


def test_a_history_keeps_its_statistics():
    history = HistoryBuffer()
    for value in (1.0, 4.0, 2.0):
        history.update(value)
    buffer = io.BytesIO()
    torch.save(history, buffer)
    buffer.seek(0)
    again = torch.load(buffer)
    assert (again.max(), again.min(), again.current()) == (4.0, 1.0, 2.0)
    np.testing.assert_array_equal(again.data[0], history.data[0])


class Calls:
    """Pickles as a call."""

    def __init__(self, function, *arguments):
        self.call = function, arguments

    def __reduce__(self):
        return self.call


def kept(value, path):
    torch.save({"state_dict": {}, "value": value}, path)
    return path


@pytest.mark.parametrize(
    "value",
    [
        lambda ran: Calls(os.system, f"touch {ran}"),
        lambda ran: Calls(eval, f"open({str(ran)!r}, 'w')"),
        lambda ran: Calls(subprocess.Popen, ["touch", str(ran)]),
        lambda ran: Calls(getattr, HistoryBuffer, "__init__"),
        lambda ran: Calls(getattr, HistoryBuffer, "register_statistics"),
        lambda ran: Calls(getattr, HistoryBuffer, "__globals__"),
        lambda ran: Calls(getattr, np.ndarray, "tofile"),
        lambda ran: Calls(getattr, collections.OrderedDict, "fromkeys"),
    ],
    ids=["system", "eval", "Popen", "init", "register", "globals", "ndarray", "dict"],
)
def test_a_checkpoint_that_would_run_code_does_not_load(value, tmp_path):
    ran = tmp_path / "ran"
    path = kept(value(ran), tmp_path / "bad.pth")
    with pytest.raises((pickle.UnpicklingError, TypeError)):
        torch.load(path)
    assert not ran.exists()


def test_the_same_files_would_run_code_without_the_guard(tmp_path):
    """Otherwise the test above shows nothing."""
    ran = tmp_path / "ran"
    path = kept(Calls(os.system, f"touch {ran}"), tmp_path / "bad.pth")
    torch.load(path, weights_only=False)
    assert ran.exists()


@pytest.mark.parametrize("name", ["current", "max", "mean", "min"])
def test_a_historys_own_methods_are_looked_up(name):
    assert _history_method(HistoryBuffer, name) is getattr(HistoryBuffer, name)
