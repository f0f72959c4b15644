"""Hostile archives: nothing is written anywhere, nothing is inflated beyond what it may be."""

import os
import zipfile

import hostile_archives
import pytest
from bad_files import either, harmless, told
from bad_input import harvest, hold
from fuzz import damaged
from hostile_archives import PICTURE, zipped

from harness.data.prepare import prepare
from harness.data.sources import DataSource, load
from harness.errors import DataError

OVERLAPPING = {
    *("members upon members", "more bytes held than the file has"),
    "without its first half",
}


def source(root, **options):
    return DataSource(type="zip", root=root, resolution=4, **options)


@pytest.fixture
def place(tmp_path):
    """A folder deep inside the one that is watched."""
    inner = tmp_path / "a" / "b" / "c"
    inner.mkdir(parents=True)
    return inner


@pytest.mark.parametrize("case", hostile_archives.refused())
def test_an_archive_of_no_pictures_is_refused(ledger, tmp_path, place, case):
    (place / "set.zip").write_bytes(hostile_archives.refused()[case])
    answer = told(lambda: load(source(place / "set.zip")), tmp_path, ["set.zip", "set: "])
    hold(ledger, "archive", case, answer)
    assert ("members overlap" in answer.lines[0]) == (case in OVERLAPPING)


@pytest.mark.parametrize("case", hostile_archives.taken())
def test_members_cannot_leave_their_folder(ledger, tmp_path, place, case, monkeypatch):
    monkeypatch.chdir(place)
    content, count = hostile_archives.taken()[case]
    (place / "set.zip").write_bytes(content)
    harmless(ledger, "archive", case, told(lambda: load(source(place / "set.zip")), tmp_path))
    assert len(load(source(place / "set.zip")).pixels) == count
    prepare(source(place / "set.zip"), [4], tmp_path / "cache")
    written = [path for path in tmp_path.rglob("*.png*") if path.is_file()]
    assert not written


def test_many_members_are_listed_and_one_is_read(ledger, whole, tmp_path):
    count = 70_000 if whole else 3_000
    (tmp_path / "set.zip").write_bytes(zipped([(f"{n}.png", b"") for n in range(count - 1)]))
    with zipfile.ZipFile(tmp_path / "set.zip", "a") as archive:
        archive.writestr("0-first.png", PICTURE)
    answer = told(lambda: load(source(tmp_path / "set.zip", max_images=1)), tmp_path)
    harmless(ledger, "archive", f"{count:,} members", answer)


@pytest.mark.parametrize("thing", ["folder", "pipe", "missing"])
def test_what_is_no_file_is_no_archive(ledger, tmp_path, thing):
    path = tmp_path / "set.zip"
    {"folder": path.mkdir, "pipe": lambda: os.mkfifo(path), "missing": lambda: None}[thing]()
    hold(ledger, "archive", f"a {thing}", told(lambda: load(source(path)), tmp_path))


def test_a_member_is_inflated_to_its_stated_size_and_no_further(tmp_path, monkeypatch):
    """64 MiB behind a header of 1 KB: what is asked of zlib is bounded."""
    content = hostile_archives.refused()["1 KB that inflate to 64 MiB"]
    (tmp_path / "set.zip").write_bytes(content)
    asked = []
    read = zipfile.ZipExtFile._read1

    def watched(self, most):
        asked.append(most)
        return read(self, most)

    monkeypatch.setattr(zipfile.ZipExtFile, "_read1", watched)
    with pytest.raises(DataError):
        load(source(tmp_path / "set.zip"))
    assert asked
    assert max(asked) <= 1025


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_damaged_archives_are_refused_or_read(ledger, whole, tmp_path, method):
    sound = zipped([(f"{n}.png", PICTURE) for n in range(3)], method)
    with harvest(ledger, "archive", "fuzzer", f"damaged archives of method {method}") as add:
        for number, data in enumerate(damaged(sound, 1500 if whole else 30, seed=str(method))):
            (tmp_path / "set.zip").write_bytes(data)
            answer = told(lambda: load(source(tmp_path / "set.zip")), tmp_path, ["set"])
            add(either(answer), f"method {method}, damage {number}")
