"""A set's name is found again without reading its files, unless one of them may have changed."""

import os
import zipfile
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from harness.data import DataSource, stamps
from harness.data.prepare import prepare
from harness.data.sources import opened
from harness.data.stamps import key, known_key


@pytest.fixture(autouse=True)
def _settled(monkeypatch):
    monkeypatch.setattr(stamps, "_SETTLED_NS", 0)


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "images").mkdir()
    for number in range(3):
        Image.new("RGB", (4, 4), (number, 0, 0)).save(tmp_path / "images" / f"{number}.bmp")
    return tmp_path / "images"


def source_of(folder, **fields):
    return DataSource(type="image_folder", root=folder, resolution=4, **fields)


def named(source, cache, read=None):
    with opened(source) as listing:
        return known_key(listing if read is None else replace(listing, read=read), source, cache)


def unread(name):
    raise AssertionError(f"{name} was read again")


def test_files_that_stand_as_they_were_are_not_read_again(folder, tmp_path):
    source = source_of(folder)
    with opened(source) as listing:
        expected = key(listing, source)
    assert named(source, tmp_path) == expected
    assert named(source, tmp_path, unread) == expected


def test_other_bytes_of_the_same_size_and_time_have_another_name(folder, tmp_path):
    source, path = source_of(folder), folder / "1.bmp"
    first, at = named(source, tmp_path), os.stat(path)
    content = path.read_bytes()
    path.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    os.utime(path, ns=(at.st_atime_ns, at.st_mtime_ns))
    assert os.stat(path).st_size == at.st_size
    assert named(source, tmp_path) != first


def test_a_file_more_and_other_options_are_other_names(folder, tmp_path):
    names = {named(source_of(folder), tmp_path), named(source_of(folder, crop="center"), tmp_path)}
    names.add(named(source_of(folder, max_images=2), tmp_path))
    (folder / "2.bmp").rename(folder / "3.bmp")
    names.add(named(source_of(folder), tmp_path))
    assert len(names) == 4


def test_a_change_of_this_moment_is_not_trusted(folder, tmp_path, monkeypatch):
    monkeypatch.setattr(stamps, "_SETTLED_NS", 3_600_000_000_000)
    source = source_of(folder)
    named(source, tmp_path)
    with pytest.raises(AssertionError, match="read again"):
        named(source, tmp_path, unread)


@pytest.mark.parametrize("damage", [b"", b"0" * 32, b"0" * 32 + b" " + b"1" * 64, b"\xff"])
def test_a_note_that_is_damaged_is_made_again(folder, tmp_path, damage):
    source = source_of(folder)
    expected = named(source, tmp_path)
    [note] = tmp_path.glob("*.key")
    note.write_bytes(damage)
    assert named(source, tmp_path) == expected
    assert named(source, tmp_path, unread) == expected


def test_an_archive_that_was_replaced_is_prepared_anew(tmp_path):
    source = DataSource(type="zip", root=tmp_path / "a.zip", resolution=4)
    digests = set()
    for number in range(2):
        Image.fromarray(np.full((4, 4, 3), number, np.uint8)).save(tmp_path / "x.png")
        with zipfile.ZipFile(source.root, "w") as archive:
            archive.write(tmp_path / "x.png", "x.png")
        digests.add(prepare(source, [4], tmp_path / "cache").digest)
    assert len(digests) == 2
