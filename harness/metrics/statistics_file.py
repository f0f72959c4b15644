"""Statistics of real images as pytorch-fid, edm and edm2 keep them: mean and covariance in a file.

An npz with ``mu`` (F) and ``sigma`` (FF, divided by N - 1), or edm2's pickle
``{"fid": {"mu", "sigma"}}``. What is written holds the facts of its protocol beside, as JSON.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from harness.errors import DataError, printable
from harness.files import plain
from harness.files.pickles import DAMAGED, DataUnpickler
from harness.metrics.extractor import Extractor
from harness.metrics.fid import Statistics, covariance_root
from harness.records.files import written_atomically
from harness.records.protocols import Facts

_MOST_BYTES = 2**28
"""Of a file, inflated: 2048 features take 34 MB."""
_PICKLE = b"\x80"
_ROUNDING = 1e-6
"""Of float32 sums over 2048 features, as a share of the largest entry or eigenvalue."""


@dataclass(frozen=True, kw_only=True)
class Given:
    """Statistics that came from a file.

    Args:
        statistics: float64, on the extractor's device; ``count`` is 0 where no file states it.
        root: ``covariance_root`` of the covariance.
        facts: of a protocol: the content's digest, and what the file states of itself.
    """

    statistics: Statistics
    root: Tensor
    facts: Facts


def write_statistics(path: Path, statistics: Statistics, facts: Facts) -> None:
    """Write an npz that pytorch-fid and edm read: ``mu``, ``sigma``, and ``protocol`` beside.

    The same statistics give the same bytes.

    Raises:
        OutputError: if it cannot be written.
    """
    mu, sigma = (value.cpu().numpy() for value in (statistics.mean, statistics.cov))
    stated = np.array(json.dumps(dict(facts)))
    with written_atomically(path) as temporary, temporary.open("wb") as file:
        np.savez(file, mu=mu, sigma=sigma, protocol=stated)


def read_statistics(path: Path, extractor: Extractor) -> Given:
    """Read statistics to measure FID against.

    Args:
        path: of an npz, or a pickle of edm2.
        extractor: whose features they have to be of.

    Raises:
        DataError: if there is no such file, or it holds no mean and covariance of these features.
    """
    try:
        held = _arrays(path)
        mean, cov = (np.asarray(held[name]) for name in ("mu", "sigma"))
        stated = _stated(held.get("protocol"))
        _check(mean, cov, stated, extractor)
    except (OSError, plain.NoArrays) as error:
        reason = error.strerror if isinstance(error, OSError) else str(error)
        raise _refused(path, f"cannot be read ({reason})") from None
    except KeyError as error:
        raise _refused(path, f"holds no {error}") from None
    except ValueError as error:
        raise _refused(path, str(error)) from None
    content = [np.ascontiguousarray(array, "<f8") for array in (mean, cov)]
    digest = hashlib.sha256(b"".join(array.tobytes() for array in content)).hexdigest()
    mu, sigma = (torch.from_numpy(array.copy()).to(extractor.device) for array in content)
    sigma = (sigma + sigma.T) / 2
    count = stated.get("real_images")
    count = count if type(count) is int else 0
    statistics = Statistics(mean=mu, cov=sigma, count=count)
    facts = {"reference_sha256": digest, "reference_images": count or "not stated"}
    return Given(statistics=statistics, root=covariance_root(sigma), facts=facts)


def _refused(path: Path, why: str) -> DataError:
    return DataError(
        f"evaluate.reference: {path}: {printable(why, 200)}: give statistics as pytorch-fid, edm "
        "or `harness reference export` write them"
    )


def _arrays(path: Path) -> Mapping[str, Any]:
    with plain.opened(path) as file:
        start = file.read(len(_PICKLE))
    if start != _PICKLE:
        return plain.read_arrays(path, _MOST_BYTES)
    try:
        content = DataUnpickler(plain.read(path, _MOST_BYTES), path).load()
    except DAMAGED:
        raise ValueError("is a damaged pickle") from None
    found = content.get("fid") if isinstance(content, dict) else None
    if not isinstance(found, dict):
        raise ValueError("is a pickle without edm2's entry 'fid'")
    return found


def _stated(protocol: Any) -> dict[str, Any]:
    """Return what a file says of itself; nothing where another tool wrote it."""
    try:
        content = json.loads(str(protocol))
    except (ValueError, RecursionError):
        return {}
    return content if isinstance(content, dict) else {}


def _check(
    mean: np.ndarray, cov: np.ndarray, stated: Mapping[str, Any], extractor: Extractor
) -> None:
    """Refuse what is not a mean and a covariance of an extractor's features.

    Raises:
        ValueError: saying why.
    """
    F = extractor.num_features
    if mean.shape != (F,) or cov.shape != (F, F):
        shapes = f"mu of {mean.shape} and sigma of {cov.shape}"
        raise ValueError(f"holds {shapes}, {extractor.name} has {F} features")
    if not all(array.dtype.kind == "f" for array in (mean, cov)):
        raise ValueError(f"holds {mean.dtype} and {cov.dtype}, not floats")
    if not (np.isfinite(mean).all() and np.isfinite(cov).all()):
        raise ValueError("holds NaN or infinite values")
    made_by = stated.get("extractor_sha256", extractor.digest)
    if made_by != extractor.digest:
        weights = f"{stated.get('extractor')} with weights {str(made_by)[:10]}"
        raise ValueError(f"is of {weights}, not of {extractor.name} {extractor.digest[:10]}")
    cov = cov.astype(np.float64)
    if (gap := np.abs(cov - cov.T).max()) > _ROUNDING * np.abs(cov).max():
        raise ValueError(f"sigma is not symmetric: entries differ by {gap:.3g}")
    values = np.linalg.eigvalsh(cov)
    if not values[0] >= -_ROUNDING * max(values[-1], 0.0):
        raise ValueError(f"sigma is no covariance: an eigenvalue is {values[0]:.3g}")
