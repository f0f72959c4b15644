"""Files of statistics that are none: refused in one line, and nothing in them is run."""

import io
import json
import os
import pickle
import zipfile

import numpy as np
import pytest
from bad_files import told
from bad_input import hold
from hostile_pickles import running

from harness.errors import DataError
from harness.metrics.features import load_extractor
from harness.metrics.statistics_file import read_statistics

pytestmark = pytest.mark.timeout(60)

F = 64
MU = np.linspace(-1, 1, F)
SIGMA = np.diag(np.linspace(0.1, 2, F))
STATED = {"extractor": "inception-v3-compat", "extractor_sha256": "0" * 64}


@pytest.fixture(scope="module")
def extractor():
    return load_extractor("digits-cnn")


def npz(**arrays):
    file = io.BytesIO()
    np.savez(file, **{"mu": MU, "sigma": SIGMA, **arrays})
    return file.getvalue()


def spoiled(value):
    sigma = SIGMA.copy()
    sigma[3, 5] = value
    return sigma


def header(shape, kind="<f8"):
    """An npy file that states a shape and holds eight bytes."""
    file = io.BytesIO()
    layout = {"descr": kind, "fortran_order": False, "shape": shape}
    np.lib.format.write_array_header_1_0(file, layout)
    return file.getvalue() + bytes(8)


def zipped(**parts):
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in parts.items():
            archive.writestr(f"{name}.npy", content)
    return file.getvalue()


CASES = {
    "of other features": (npz(mu=np.zeros(2048), sigma=np.eye(2048)), "64 features"),
    "a covariance of another size": (npz(sigma=np.eye(63)), "(63, 63)"),
    "a mean that is a matrix": (npz(mu=MU[None]), "(1, 64)"),
    "a covariance that is its diagonal": (npz(sigma=np.diag(SIGMA)), "sigma of (64,)"),
    "NaN in the mean": (npz(mu=np.full(F, np.nan)), "NaN"),
    "infinity in the covariance": (npz(sigma=spoiled(np.inf)), "NaN or infinite"),
    "not symmetric": (npz(sigma=spoiled(0.5)), "not symmetric"),
    "a little not symmetric": (npz(sigma=spoiled(1e-4)), "not symmetric"),
    "not positive semidefinite": (npz(sigma=SIGMA - 0.2 * np.eye(F)), "eigenvalue is -0.1"),
    "minus a covariance": (npz(sigma=-SIGMA), "eigenvalue is -2"),
    "whole numbers": (npz(mu=np.zeros(F, int)), "not floats"),
    "text": (npz(mu=np.array(["x"] * F)), "not floats"),
    "complex": (npz(sigma=SIGMA.astype(complex)), "not floats"),
    "of another extractor": (npz(protocol=np.array(json.dumps(STATED))), "inception-v3-compat"),
    "no covariance": (zipped(mu=header((F,))[:-8] + MU.tobytes()), "sigma"),
    "objects": (npz(mu=np.array([None] * F, object)), "plain arrays"),
    "a shape larger than any memory": (zipped(mu=header((2**40,)), sigma=header((1,))), "plain"),
    "a shape below zero": (zipped(mu=header((-1,)), sigma=header((1,))), "plain arrays"),
    "an array cut off": (zipped(mu=header((F,)), sigma=header((F, F))), "plain arrays"),
    "empty": (b"", "plain arrays"),
    "an empty archive": (zipped(), "'mu'"),
    "junk": (b"statistics" * 99, "plain arrays"),
    "a single array": (header((1,)), "plain arrays"),
    "cut in the middle": (npz()[:9000], "plain arrays"),
    "a pickle of a list": (pickle.dumps([MU, SIGMA]), "'fid'"),
    "a pickle without fid": (pickle.dumps({"fd_dinov2": {"mu": MU, "sigma": SIGMA}}), "'fid'"),
    "a pickle whose fid is text": (pickle.dumps({"fid": "x"}), "'fid'"),
    "a pickle without sigma": (pickle.dumps({"fid": {"mu": MU}}), "'sigma'"),
    "a pickle cut off": (pickle.dumps({"fid": {"mu": MU, "sigma": SIGMA}})[:2000], "damaged"),
}


@pytest.mark.parametrize("case", CASES)
def test_what_is_no_mean_and_covariance(case, ledger, tmp_path, extractor):
    content, word = CASES[case]
    (tmp_path / "given.npz").write_bytes(content)
    answer = told(lambda: read_statistics(tmp_path / "given.npz", extractor), tmp_path, [word])
    hold(ledger, "statistics", case, answer)
    assert len(answer.lines) == 1
    assert "evaluate.reference: FOLDER/given.npz: " in answer.first


def test_more_than_it_may_hold_is_not_inflated(ledger, tmp_path, extractor):
    bomb = zipped(mu=header((2**25,))[:-8] + bytes(2**28), sigma=header((1,)))
    assert len(bomb) < 2**20
    (tmp_path / "given.npz").write_bytes(bomb)
    answer = told(lambda: read_statistics(tmp_path / "given.npz", extractor), tmp_path, ["256 MiB"])
    hold(ledger, "statistics", "a bomb", answer)


def test_nothing_is_run(ledger, tmp_path, extractor):
    canary = tmp_path.parent / f"{tmp_path.name}-canary"
    for how, content in running(canary).items():
        for wrapped in (content, {"fid": content}):
            (tmp_path / "given.pkl").write_bytes(pickle.dumps(wrapped))
            answer = told(lambda: read_statistics(tmp_path / "given.pkl", extractor), tmp_path)
            hold(ledger, "statistics", f"a pickle: {how}", answer)
            assert not canary.exists()


@pytest.mark.parametrize("kind", ["nothing", "a folder", "a pipe", "a link to itself"])
def test_what_is_no_file(kind, ledger, tmp_path, extractor):
    path = tmp_path / "given.npz"
    if kind == "a folder":
        path.mkdir()
    elif kind == "a pipe":
        os.mkfifo(path)
    elif kind == "a link to itself":
        path.symlink_to(path.name)
    with pytest.raises(DataError, match=r"evaluate\.reference: .*cannot be read"):
        read_statistics(path, extractor)
