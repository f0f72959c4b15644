"""Everything the metrics need of the real images, computed once and kept in one file.

The file's name is a hash of the pixels, the extractor's weights and the protocol, so changed images
can never be scored against old statistics. Processes that ask at the same time wait for one of
them to compute; a lock ends with its process, so a killed one blocks nobody.
"""

import contextlib
import hashlib
import math
from dataclasses import dataclass
from pathlib import Path

import safetensors.torch
import torch
from filelock import FileLock
from safetensors import SafetensorError
from torch import Tensor

from harness.errors import DataError, OutputError
from harness.metrics.extractor import Extractor, Features, require_rgb
from harness.metrics.fid import Statistics, covariance_root, frechet_distance, statistics_of
from harness.metrics.inception_score import inception_score
from harness.metrics.precision_recall import nearest_distances
from harness.metrics.swd import patches
from harness.seeding import generator

EXTRACT_BATCH = 250  # even, so that no pair of ms_ssim is divided
"""Images an extractor looks at at once: fixed, since float32 features depend on it a little."""

_PROTOCOL = "reference 1: is splits 10; floor 5 halvings"
_FLOOR_HALVINGS = 5
_SEED = 0
FLOOR = f"mean FID of {_FLOOR_HALVINGS} seeded halvings of the real images"
"""What the real images' own FID is, for a protocol."""


@dataclass(frozen=True, kw_only=True)
class Reference:
    """What real images look like to an extractor.

    Args:
        features: NF float32, on the extractor's device like all tensors here.
        statistics: of the features.
        root: FF float64, symmetric root of the covariance.
        inception_score: of the real images, 10 splits; what a perfect generator would reach. NaN
            for an extractor without classes.
        fid_floor: FID between random halves of the real images, mean of 5 halvings; differences
            below it say little.
        patches: one tensor a pyramid level, of ``swd_images`` images; empty without swd.
        swd_images: real images that swd compares with as many fake ones.
        neighbours: Nk float32, rising: distances of each real image's features to those of its k
            nearest others; k is 0 where no metric needs them.
        extractor: the extractor's name.
        extractor_digest: sha256 of its weights.
        digest: of the pixels, the extractor's weights and the protocol.
    """

    features: Tensor
    statistics: Statistics
    root: Tensor
    inception_score: float
    fid_floor: float
    patches: tuple[Tensor, ...]
    swd_images: int
    neighbours: Tensor
    extractor: str
    extractor_digest: str
    digest: str


def load_reference(
    images: Tensor,
    extractor: Extractor,
    *,
    cache_dir: Path,
    swd_images: int = 0,
    neighbours: int = 0,
    pixels_digest: str = "",
) -> Reference:
    """Read the reference of real images from the cache, or compute and keep it.

    The extractor looks at images once, whatever is asked of them: what swd and neighbours need is
    added to the plain reference, which is kept, too.

    Args:
        images: uint8 N3HW, N >= 10, in any fixed order.
        extractor: what looks at them.
        cache_dir: folder of the cache; made where it is missing. A file that is damaged is
            computed anew.
        swd_images: how many randomly chosen images give patches for swd, 0 for none. Each takes
            75 KB a pyramid level.
        neighbours: to how many neighbours of each image distances are wanted, fewer than N.
        pixels_digest: tells these images from all others; spares reading every pixel for the
            cache's name once that is known.

    Raises:
        DataError: images are of the wrong type or too few.
        SpecError: patches are wanted of images under 16 pixels.
        OutputError: the cache cannot be written.
    """
    require_rgb(images)
    _check_counts(len(images), swd_images, neighbours)
    try:
        cache_dir.mkdir(parents=True, exist_ok=True)
        digest, tensors = _kept(images, extractor, cache_dir, pixels_digest, swd_images, neighbours)
    except OSError as error:
        raise OutputError(
            f"cannot keep a reference in {cache_dir} ({error.strerror}): choose a writable folder"
        ) from error
    return _assemble(tensors, extractor, swd_images, digest)


def extract(images: Tensor, extractor: Extractor) -> Features:
    """Look at uint8 N3HW images in batches of ``EXTRACT_BATCH``."""
    parts = [extractor(batch) for batch in images.split(EXTRACT_BATCH)]
    features, logits = (torch.cat(column) for column in zip(*parts, strict=True))
    return Features(features, logits)


def _check_counts(images: int, swd_images: int, neighbours: int) -> None:
    if images < 10:
        raise DataError(f"a reference needs at least 10 real images, got {images}: add images")
    if not 0 <= swd_images <= images:
        raise DataError(
            f"swd_images is {swd_images}, there are {images} real images: choose 0..{images}"
        )
    if not 0 <= neighbours < images:
        raise DataError(
            f"{neighbours} neighbours are wanted of each of {images} real images: choose "
            f"0..{images - 1}"
        )


def _known_digest(images: Tensor, protocol: str, cache_dir: Path, pixels_digest: str) -> str:
    """Return ``_digest``, from the cache where it was found for the same images before."""
    if not pixels_digest:
        return _digest(images, protocol)
    name = hashlib.sha256(f"{protocol}; pixels {pixels_digest}".encode()).hexdigest()
    path = cache_dir / f"{name[:32]}.name"
    with contextlib.suppress(FileNotFoundError, UnicodeDecodeError):
        digest, _, seal = path.read_text("ascii").partition(" ")
        if seal == _seal(name, digest):
            return digest
    digest = _digest(images, protocol)
    path.write_text(f"{digest} {_seal(name, digest)}", "ascii")  # sealed: half of it is none
    return digest


def _seal(name: str, digest: str) -> str:
    return hashlib.sha256(f"{name} {digest}".encode()).hexdigest()


def _protocol(images: Tensor, extractor: Extractor, swd_images: int, neighbours: int) -> str:
    shape = "x".join(map(str, images.shape))
    protocol = f"{_PROTOCOL}; swd {swd_images}; {extractor.name} {extractor.digest}; {shape}"
    # Named only where it is there, so that files without it are found as before.
    return protocol + (f"; neighbours {neighbours}" if neighbours else "")


def _digest(images: Tensor, protocol: str) -> str:
    digest = hashlib.sha256(protocol.encode())
    digest.update(images.cpu().contiguous().numpy().data)
    return digest.hexdigest()


def _kept(
    images: Tensor,
    extractor: Extractor,
    cache_dir: Path,
    pixels_digest: str,
    swd_images: int,
    neighbours: int,
) -> tuple[str, dict[str, Tensor]]:
    """Return digest and tensors of one file; where it is not there, compute and write it."""
    protocol = _protocol(images, extractor, swd_images, neighbours)
    digest = _known_digest(images, protocol, cache_dir, pixels_digest)
    path = cache_dir / f"{extractor.name}-{digest[:32]}.reference"
    with FileLock(f"{path}.lock"):
        tensors = read_tensors(path)
        if tensors is None and (swd_images or neighbours):
            _, tensors = _kept(images, extractor, cache_dir, pixels_digest, 0, 0)
            features = tensors["features"].to(extractor.device)
            tensors |= _more(images, features, swd_images, neighbours)
            write_tensors(path, tensors)
        elif tensors is None:
            tensors = _compute(images, extractor)
            write_tensors(path, tensors)
    return digest, tensors


def _compute(images: Tensor, extractor: Extractor) -> dict[str, Tensor]:
    features, logits = extract(images, extractor)
    statistics = statistics_of(features)
    return {
        "features": features,
        "mean": statistics.mean,
        "cov": statistics.cov,
        "root": covariance_root(statistics.cov),
        "inception_score": torch.tensor(_score(logits), dtype=torch.float64),
        "fid_floor": torch.tensor(fid_floor(features), dtype=torch.float64),
    }


def _more(images: Tensor, features: Tensor, swd_images: int, neighbours: int) -> dict[str, Tensor]:
    """Return what swd and neighbours need beside what is always there."""
    tensors: dict[str, Tensor] = {}
    if swd_images > 0:
        draws = generator(_SEED, "real patches")
        chosen = images[torch.randperm(len(images), generator=draws)[:swd_images]]
        for level, descriptors in enumerate(patches(chosen, draws)):
            tensors[f"patches.{level}"] = descriptors
    if neighbours > 0:
        tensors["neighbours"] = nearest_distances(features, neighbours)
    return tensors


def _score(logits: Tensor) -> float:
    return inception_score(logits) if logits.shape[1] else math.nan


def fid_floor(features: Tensor) -> float:
    """Return the mean FID between the halves of 5 seeded random divisions of features, NF."""
    draws = generator(_SEED, "fid floor")
    half = len(features) // 2
    distances = []
    for _ in range(_FLOOR_HALVINGS):
        order = torch.randperm(len(features), generator=draws).to(features.device)
        first, second = features[order[:half]], features[order[half : 2 * half]]
        distances.append(frechet_distance(statistics_of(first), statistics_of(second)))
    return sum(distances) / len(distances)


def _assemble(
    tensors: dict[str, Tensor], extractor: Extractor, swd_images: int, digest: str
) -> Reference:
    kept = {name: tensor.to(extractor.device) for name, tensor in tensors.items()}
    features = kept["features"]
    return Reference(
        features=features,
        statistics=Statistics(mean=kept["mean"], cov=kept["cov"], count=len(features)),
        root=kept["root"],
        inception_score=float(kept["inception_score"]),
        fid_floor=float(kept["fid_floor"]),
        patches=tuple(kept[name] for name in sorted(kept) if name.startswith("patches.")),
        swd_images=swd_images,
        neighbours=kept.get("neighbours", features.new_empty(len(features), 0)),
        extractor=extractor.name,
        extractor_digest=extractor.digest,
        digest=digest,
    )


def read_tensors(path: Path) -> dict[str, Tensor] | None:
    """Return the tensors of a cache file; None where it is missing or damaged."""
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        return None
    checksum, payload = content[:32], content[32:]
    if hashlib.sha256(payload).digest() != checksum:
        return None
    try:
        return safetensors.torch.load(payload)
    except SafetensorError:
        return None


def write_tensors(path: Path, tensors: dict[str, Tensor]) -> None:
    """Put the file in place whole or not at all; the caller holds its lock."""
    payload = safetensors.torch.save({k: v.cpu().contiguous() for k, v in tensors.items()})
    temporary = path.with_name(f"{path.name}.tmp")  # one name: of a killed process, too
    try:
        temporary.write_bytes(hashlib.sha256(payload).digest() + payload)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
