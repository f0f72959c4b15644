"""Each check of the images and of what is kept of them, on files that are really damaged."""

import gzip
import hashlib
import json
import shutil
import zipfile
from pathlib import Path

import numpy as np
import pytest
import sklearn
import torch
from doctored import elsewhere, states
from PIL import Image
from small_spec import content, spec
from torchvision.datasets import CIFAR10

from harness.data import DataSource
from harness.data import prepare as kept
from harness.doctor import State, data
from harness.metrics.reference import write_tensors
from harness.spec.load import validated
from harness.spec.photographs import located, shipped


def test_the_digits_are_those_of_published_numbers():
    states(data.digits(), State.OK, "1797 images, sha256 b1183c06e0c9")


def mirrored(folder, source, *parts):
    """Link a folder's content, but for the file at ``parts``, whose folders are made."""
    folder.mkdir()
    for entry in source.iterdir():
        if entry.name != parts[0]:
            (folder / entry.name).symlink_to(entry)
    if len(parts) > 1:
        return mirrored(folder / parts[0], source / parts[0], *parts[1:])
    return folder / parts[0]


def test_other_digits_are_a_problem(tmp_path):
    package = Path(sklearn.__file__).parent
    place = ("datasets", "data", "digits.csv.gz")
    altered = mirrored(tmp_path / "sklearn", package, *place)
    rows = gzip.decompress(package.joinpath(*place).read_bytes()).decode().splitlines()
    altered.write_bytes(gzip.compress("\n".join(rows[:-1]).encode()))
    (seen,) = elsewhere("from harness.doctor import data; show(data.digits())", first=tmp_path)
    assert seen["state"] == "problem"
    assert seen["text"].startswith("1796 images with sha256 ")
    assert seen["advice"] == "reinstall scikit-learn"


def test_every_shipped_photograph_is_decoded(tmp_path):
    states(data.photographs(shipped()), State.OK, f"{len(shipped())} shipped")
    for name in ("china", "coffee", "astronaut"):
        shutil.copy(located(f"shipped:{name}"), tmp_path)
    files = {path.stem: path for path in sorted(tmp_path.iterdir())}
    whole = files["coffee"].read_bytes()
    files["coffee"].write_bytes(whole[: len(whole) // 2])
    states(data.photographs(files), State.WARNING, "1 of 3 cannot be decoded: coffee")
    states(data.photographs({}), State.WARNING, "none")


@pytest.fixture
def cifar(tmp_path, monkeypatch):
    """A root with small files in the place of CIFAR-10's, and torchvision's digests of them."""
    folder = tmp_path / CIFAR10.base_folder
    folder.mkdir()
    files = [name for name, _ in CIFAR10.train_list + CIFAR10.test_list]
    for name in [*files, "batches.meta"]:
        (folder / name).write_bytes(name.encode())
    train = [[name, hashlib.md5(name.encode()).hexdigest()] for name in files]
    monkeypatch.setattr(CIFAR10, "train_list", train)
    monkeypatch.setattr(CIFAR10, "test_list", [])
    meta = CIFAR10.meta | {"md5": hashlib.md5(b"batches.meta").hexdigest()}
    monkeypatch.setattr(CIFAR10, "meta", meta)
    return folder


def test_cifar10_is_whole_cut_off_or_not_here(cifar, tmp_path):
    states(data.cifar10(tmp_path, False), State.OK, "7 files as published")
    states(data.cifar10(tmp_path / "nowhere", False), State.NOTE, "not here")
    states(data.cifar10(tmp_path / "nowhere", True), State.WARNING, "not here")
    (cifar / "data_batch_3").write_bytes(b"data_batch")
    (cifar / "batches.meta").unlink()
    words = "missing or not as published: data_batch_3, batches.meta"
    states(data.cifar10(tmp_path, False), State.WARNING, words)
    states(data.cifar10(tmp_path, True), State.PROBLEM, words)
    assert not (tmp_path / "nowhere").exists()


def images(folder, count=12, side=16):
    folder.mkdir(exist_ok=True)
    draws = np.random.default_rng(0)
    for i in range(count):
        pixels = draws.integers(256, size=(side, side, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(folder / f"{i:02}.png")
    return folder


def cut(path):
    path.write_bytes(path.read_bytes()[:100])


def source(root, **options):
    return DataSource(**{"type": "image_folder", "root": root, "resolution": 16, **options})


def test_a_folder_is_listed_and_its_first_images_decoded(tmp_path):
    root = images(tmp_path / "set")
    states(data.folder_or_archive(source(root)), State.OK, "12 images, the first 8 decode")
    states(data.folder_or_archive(source(root, max_images=3)), State.OK, "3 images, the first 3 ")
    cut(root / "05.png")
    states(data.folder_or_archive(source(root)), State.PROBLEM, "'05.png'")
    skipping = data.folder_or_archive(source(root, broken="skip"))
    states(skipping, State.WARNING, "12 images, the first 8", "skipped: 05.png")
    states(data.folder_or_archive(source(root, resolution=32)), State.PROBLEM, "do not fit")


def test_a_folder_that_is_missing_or_empty_is_a_problem(tmp_path):
    states(data.folder_or_archive(source(tmp_path / "nowhere")), State.PROBLEM, "is missing")
    states(data.folder_or_archive(source(tmp_path)), State.PROBLEM, "holds no image")


def test_an_archive_is_looked_at_as_a_folder_is(tmp_path):
    path = tmp_path / "set.zip"
    with zipfile.ZipFile(path, "w") as archive:
        for image in sorted(images(tmp_path / "set").iterdir()):
            archive.write(image, image.name)
    states(data.folder_or_archive(source(path, type="zip")), State.OK, "12 images")
    cut(path)
    states(data.folder_or_archive(source(path, type="zip")), State.PROBLEM, "as a zip")


def test_the_one_image_of_a_spec_is_decoded_whole(tmp_path):
    path = tmp_path / "one.png"
    shutil.copy(located("shipped:coffee"), path)
    values = content(data={"type": "image", "root": str(path)})
    values["model"] = {"type": "SinGAN", "min_size": 25, "max_size": 50}
    values["train"] = {}
    values["evaluate"] |= {"extractor": "random-conv-64", "metrics": ["sifid"], "fake_images": 8}
    asked = validated(values)
    states(data.one_image(asked), State.OK, "600 x 400 px")
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    states(data.one_image(asked), State.PROBLEM, "one.png")


def prepared(tmp_path):
    wanted = source(images(tmp_path / "set"))
    kept.prepare(wanted, [8, 16], tmp_path / "cache")
    (entry,) = (tmp_path / "cache").iterdir()
    return wanted, entry


def test_prepared_sets_are_held_against_their_checks(tmp_path):
    states(data.prepared(tmp_path / "cache"), State.OK, "none are kept yet")
    _, entry = prepared(tmp_path)
    states(data.prepared(tmp_path / "cache"), State.OK, "1 kept, 11.5 KiB, all sound")
    whole = (entry / "8.npy").read_bytes()
    (entry / "8.npy").write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
    states(data.prepared(tmp_path / "cache"), State.WARNING, f"{entry.name}: 8.npy")
    (entry / "16.npy").unlink()
    states(data.prepared(tmp_path / "cache"), State.WARNING, "8.npy, 16.npy")
    (entry / "entry.json").write_text("{}")
    states(data.prepared(tmp_path / "cache"), State.WARNING, "entry.json")


def test_large_sets_are_read_only_where_a_spec_asks(tmp_path, monkeypatch):
    wanted, entry = prepared(tmp_path)
    cut(entry / "8.npy")
    monkeypatch.setattr(data, "LARGEST_GIB", 1 / 2**30)
    states(data.prepared(tmp_path / "cache"), State.NOTE, "1 larger than")
    other = source(wanted.root, max_images=3)
    states(data.prepared(tmp_path / "cache", other), State.NOTE, "1 larger than")
    states(data.prepared(tmp_path / "cache", wanted), State.WARNING, "8.npy")
    gone = source(tmp_path / "nowhere")
    states(data.prepared(tmp_path / "cache", gone), State.NOTE, "1 larger than")


def test_references_are_held_against_their_digests(tmp_path, monkeypatch):
    states(data.references(tmp_path / "nowhere"), State.OK, "none")
    for name in ("a", "b"):
        write_tensors(tmp_path / f"{name}.reference", {"mean": torch.ones(3)})
    states(data.references(tmp_path), State.OK, "2 kept", "all sound")
    whole = (tmp_path / "b.reference").read_bytes()
    (tmp_path / "b.reference").write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
    found = data.references(tmp_path)
    states(found, State.WARNING, "b.reference")
    assert "a.reference" not in found.text
    monkeypatch.setattr(data, "LARGEST_GIB", 0.0)
    states(data.references(tmp_path), State.NOTE, "2 larger than")


def test_the_pinned_digits_are_what_a_run_prepares(tmp_path):
    asked = spec()
    made = kept.prepare(DataSource(type="digits", resolution=8), asked.growth.scales, tmp_path)
    assert made.digest == data.DIGITS_SHA256
    (entry,) = tmp_path.iterdir()
    assert json.loads((entry / "entry.json").read_text().partition("\n")[2])["count"] == 1797
