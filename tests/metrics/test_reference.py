import hashlib
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor

from harness.errors import DataError, OutputError, SpecError
from harness.metrics import reference
from harness.metrics.extractor import Features
from harness.metrics.fid import covariance_root, frechet_distance, statistics_of
from harness.metrics.inception_score import inception_score
from harness.metrics.reference import EXTRACT_BATCH, Reference, load_reference


class Pooled:
    """An extractor of 4 features that counts how many images it has looked at."""

    name = "pooled"
    device = torch.device("cpu")
    num_features = num_classes = 4

    def __init__(self, digest: str = "a" * 64) -> None:
        self.digest = digest
        self.seen = 0

    def __call__(self, images: Tensor) -> Features:
        self.seen += len(images)
        assert len(images) <= EXTRACT_BATCH
        quarters = torch.nn.functional.avg_pool2d(images.float().mean(1), images.shape[-1] // 2)
        return Features(quarters.flatten(1), quarters.flatten(1) / 32)


def digits(n: int = 300, size: int = 16) -> Tensor:
    draws = torch.Generator().manual_seed(n)
    return torch.randint(256, (n, 3, size, size), generator=draws, dtype=torch.uint8)


def assert_equal(first: Reference, second: Reference) -> None:
    for name in ("features", "root"):
        assert torch.equal(getattr(first, name), getattr(second, name))
    for name in ("mean", "cov", "count"):
        values = (getattr(each.statistics, name) for each in (first, second))
        torch.testing.assert_close(*values, rtol=0, atol=0)
    assert all(map(torch.equal, first.patches, second.patches))
    assert len(first.patches) == len(second.patches)
    assert first.fid_floor == second.fid_floor
    assert first.inception_score == second.inception_score
    assert first.digest == second.digest


def test_a_reference_holds_what_the_metrics_would_compute(tmp_path: Path) -> None:
    images = digits()
    real = load_reference(images, Pooled(), cache_dir=tmp_path, swd_images=20)
    features, logits = (torch.cat(c) for c in zip(*map(Pooled(), images.split(100)), strict=True))
    torch.testing.assert_close(real.features, features)
    torch.testing.assert_close(real.statistics.cov, statistics_of(features).cov)
    torch.testing.assert_close(real.root, covariance_root(real.statistics.cov))
    assert real.inception_score == pytest.approx(inception_score(logits))
    assert [len(level) for level in real.patches] == [20 * 128]


def test_neighbours_are_kept_and_leave_all_else_as_it_was(tmp_path: Path) -> None:
    extractor = Pooled()
    plain = load_reference(digits(), extractor, cache_dir=tmp_path)
    assert plain.neighbours.shape == (300, 0)
    for _ in range(2):
        real = load_reference(digits(), extractor, cache_dir=tmp_path, neighbours=5)
        distances = torch.cdist(real.features.double(), real.features.double()).sort(dim=1).values
        torch.testing.assert_close(real.neighbours.double(), distances[:, 1:6], rtol=1e-6, atol=0)
    assert extractor.seen == 300
    assert_equal(replace(real, digest=plain.digest), plain)


def test_files_of_before_there_were_neighbours_are_found(tmp_path: Path) -> None:
    real = load_reference(digits(20), Pooled(), cache_dir=tmp_path, swd_images=5)
    protocol = "reference 1: is splits 10; floor 5 halvings; swd 5; pooled " + "a" * 64
    named = hashlib.sha256(f"{protocol}; 20x3x16x16".encode() + digits(20).numpy().tobytes())
    assert real.digest == named.hexdigest()


def test_what_metrics_add_needs_no_second_look_and_is_what_it_was(tmp_path: Path) -> None:
    extractor, asked = Pooled(), [(0, 3), (5, 0), (5, 3), (0, 0)]
    found = [
        load_reference(digits(), extractor, cache_dir=tmp_path, swd_images=n, neighbours=k)
        for n, k in asked
    ]
    assert extractor.seen == 300
    alone = load_reference(digits(), Pooled(), cache_dir=tmp_path / "b", swd_images=5, neighbours=3)
    assert_equal(found[2], alone)
    assert torch.equal(found[2].neighbours, alone.neighbours)
    assert torch.equal(found[0].neighbours, alone.neighbours)
    assert all(map(torch.equal, found[1].patches, alone.patches))
    for each in found:
        assert_equal(replace(each, digest="", patches=()), replace(alone, digest="", patches=()))


def test_the_floor_is_a_distance_between_halves(tmp_path: Path) -> None:
    real = load_reference(digits(), Pooled(), cache_dir=tmp_path)
    halves = real.features.split(150)
    once = frechet_distance(*map(statistics_of, halves))
    assert 0.1 * once < real.fid_floor < 10 * once


def test_the_second_time_nothing_is_computed(tmp_path: Path) -> None:
    extractor = Pooled()
    first = load_reference(digits(), extractor, cache_dir=tmp_path / "new", swd_images=5)
    assert extractor.seen == 300
    second = load_reference(digits(), extractor, cache_dir=tmp_path / "new", swd_images=5)
    assert extractor.seen == 300
    assert_equal(first, second)


def test_other_pixels_shapes_weights_or_protocols_are_other_references(tmp_path: Path) -> None:
    changed = digits()
    changed[7, 1, 2, 3] ^= 1
    asked = [
        (digits(), Pooled(), 0, 0),
        (changed, Pooled(), 0, 0),
        (digits().view(75, 3, 32, 32), Pooled(), 0, 0),
        (digits(), Pooled("b" * 64), 0, 0),
        (digits(), Pooled(), 3, 0),
        (digits(), Pooled(), 0, 3),
        (digits(), Pooled(), 0, 5),
    ]
    digests = [
        load_reference(
            images, extractor, cache_dir=tmp_path, swd_images=n, neighbours=neighbours
        ).digest
        for images, extractor, n, neighbours in asked
    ]
    assert len(set(digests)) == len(asked) == len(list(tmp_path.glob("*.reference")))


@pytest.mark.parametrize("damage", ["truncated", "flipped", "empty"])
def test_a_damaged_file_is_computed_anew(tmp_path: Path, damage: str) -> None:
    first = load_reference(digits(), Pooled(), cache_dir=tmp_path)
    (path,) = tmp_path.glob("*.reference")
    whole = path.read_bytes()
    flipped = whole[:-9] + bytes([whole[-9] ^ 1]) + whole[-8:]
    path.write_bytes({"truncated": whole[:-40], "flipped": flipped, "empty": b""}[damage])
    extractor = Pooled()
    assert_equal(first, load_reference(digits(), extractor, cache_dir=tmp_path))
    assert extractor.seen == 300
    assert path.read_bytes() == whole


def test_nothing_half_written_is_left(tmp_path: Path) -> None:
    load_reference(digits(), Pooled(), cache_dir=tmp_path)
    assert {path.suffix for path in tmp_path.iterdir()} <= {".reference", ".lock"}


def test_threads_compute_once(tmp_path: Path) -> None:
    extractor = Pooled()
    with ThreadPoolExecutor(4) as pool:
        asked = [
            pool.submit(load_reference, digits(), extractor, cache_dir=tmp_path) for _ in range(4)
        ]
        references = [answer.result(timeout=60) for answer in asked]
    assert extractor.seen == 300
    for other in references[1:]:
        assert_equal(references[0], other)


PROCESS = """
import sys, time
from pathlib import Path
sys.path.insert(0, {here!r})
from test_reference import Pooled, digits
from harness.metrics.reference import load_reference

folder = Path({folder!r})
class Slow(Pooled):
    def __call__(self, images):
        with open(folder / "looked", "a") as log:
            log.write("x")
        time.sleep(0.5)
        return super().__call__(images)

(folder / ("ready" + sys.argv[1])).touch()
while len(list(folder.glob("ready*"))) < 2:
    time.sleep(0.01)
asked = {{}} if {alike} else {{"a": {{"swd_images": 5}}, "b": {{"neighbours": 5}}}}[sys.argv[1]]
print(load_reference(digits(), Slow(), cache_dir=folder / "cache", **asked).fid_floor)
"""


@pytest.mark.parametrize("alike", [True, False])
def test_processes_compute_once(alike: bool, tmp_path: Path) -> None:
    code = PROCESS.format(here=str(Path(__file__).parent), folder=str(tmp_path), alike=alike)
    running = [
        subprocess.Popen(
            [sys.executable, "-c", code, name],
            stdout=subprocess.PIPE,
            text=True,
            cwd=Path(__file__).parents[2],
        )
        for name in "ab"
    ]
    answers = [process.communicate(timeout=60)[0] for process in running]
    assert [process.returncode for process in running] == [0, 0]
    assert answers[0] == answers[1] != ""
    assert (tmp_path / "looked").read_text() == "xx"  # 300 images are two batches


def test_too_few_or_too_small_images_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="at least 10 real images, got 9"):
        load_reference(digits(9), Pooled(), cache_dir=tmp_path)
    with pytest.raises(DataError, match="swd_images is 21, there are 20"):
        load_reference(digits(20), Pooled(), cache_dir=tmp_path, swd_images=21)
    with pytest.raises(DataError, match=r"20 neighbours .* choose 0\.\.19"):
        load_reference(digits(20), Pooled(), cache_dir=tmp_path, neighbours=20)
    with pytest.raises(SpecError, match="8x8"):
        load_reference(digits(20, size=8), Pooled(), cache_dir=tmp_path, swd_images=20)


def test_a_cache_that_cannot_be_written_is_said_so(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(OutputError, match="choose a writable folder"):
        load_reference(digits(), Pooled(), cache_dir=tmp_path / "file" / "below")


def test_images_known_by_their_digest_find_the_same_file_unread(tmp_path, monkeypatch):
    plain = load_reference(digits(), Pooled(), cache_dir=tmp_path)
    files = {path.name for path in tmp_path.glob("*.reference")}
    named = {"cache_dir": tmp_path, "pixels_digest": "d" * 64}
    assert load_reference(digits(), Pooled(), **named).digest == plain.digest
    with monkeypatch.context() as patch:
        patch.setattr(reference, "_digest", lambda *_: pytest.fail("pixels were read"))
        assert load_reference(digits(), Pooled(), **named).digest == plain.digest
    assert {path.name for path in tmp_path.glob("*.reference")} == files
    for note in tmp_path.glob("*.name"):
        note.write_text("0" * 64 + " " + "1" * 64)
    assert load_reference(digits(), Pooled(), **named).digest == plain.digest
    changed = digits()
    changed[7, 1, 2, 3] ^= 1
    other = load_reference(changed, Pooled(), cache_dir=tmp_path, pixels_digest="e" * 64)
    assert other.digest != plain.digest
