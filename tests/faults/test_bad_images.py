"""Hostile images: refused by one line, or read; nothing hangs, nothing fills the memory."""

import os
import resource
import socket
import subprocess
import sys
import textwrap

import hostile_images
import pytest
from bad_files import either, harmless, placed, told
from bad_input import harvest, hold, refused
from fuzz import damaged
from hostile_images import SIDE, encoded, png
from tiny_singan import singan_run

from harness.data.sources import DataSource, load

NAMES = {
    "a line break": "a\nharness: all is well.png",
    "an escape": "a\x1b[2J\x1b]0;title\x07.png",
    "markup": "<script>alert(1)<&sol;script>.png",
    "bytes that are no text": os.fsdecode(b"\xff\xfe.png"),
    "255 characters": "x" * 251 + ".png",
    "right to left": "\u202egnp.evil.png",
    "a format string": "%s%n{0.__class__}.png",
    "a quote": "a'b\"c.png",
    "spaces alone": "  .png",
}
SAMPLE = [*hostile_images.refused()][::8]
LIMITED = """
    import resource, sys
    from pathlib import Path
    from harness.data.sources import DataSource, load
    from harness.errors import DataError
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    try:
        load(DataSource(type="image_folder", root=Path(sys.argv[1]), resolution=4))
    except DataError as error:
        print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) // 1024, error)
"""


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return singan_run(tmp_path_factory.mktemp("singan"), model__iters_per_scale=1)[1].path


def loaded(root, **options):
    return lambda: load(DataSource(type="image_folder", root=root, resolution=4, **options))


@pytest.mark.parametrize("case", hostile_images.refused())
def test_a_file_that_is_no_picture_is_refused(run, ledger, whole, tmp_path, case):
    (tmp_path / "bad.png").write_bytes(hostile_images.refused()[case])
    hold(ledger, "image", f"{case}, in a folder", told(loaded(tmp_path), tmp_path, ["'bad.png'"]))
    if whole or case in SAMPLE:
        asked = ["singan", run, "editing", "--image", tmp_path / "bad.png", "--out", tmp_path / "o"]
        hold(ledger, "image", f"{case}, as --image", refused(asked, tmp_path))


@pytest.mark.parametrize("case", hostile_images.taken())
def test_an_odd_file_of_a_picture_is_read(ledger, tmp_path, case):
    (tmp_path / "odd.png").write_bytes(hostile_images.taken()[case])
    harmless(ledger, "image", case, told(loaded(tmp_path), tmp_path))
    assert loaded(tmp_path)().pixels.shape == (1, 3, 4, 4)


@pytest.mark.parametrize("name", NAMES)
def test_any_name_is_shown_safely(run, ledger, tmp_path, name):
    (tmp_path / NAMES[name]).write_bytes(b"x")
    answer = told(loaded(tmp_path), tmp_path, ["1 of 1 images"])
    hold(ledger, "image", f"a name of {name}, in a folder", answer)
    asked = ["singan", run, "editing", "--image", tmp_path / NAMES[name], "--out", tmp_path / "o"]
    hold(ledger, "image", f"a name of {name}, as --image", refused(asked, tmp_path, ["FOLDER/"]))


def _pipe(path):
    os.mkfifo(path)


def _loop(path):
    path.symlink_to(path)


def _socket(path):
    with socket.socket(socket.AF_UNIX) as one:
        one.bind(str(path))


THINGS = {
    "a pipe that nobody writes to": _pipe,
    "a link to itself": _loop,
    "a link to nothing": lambda path: path.symlink_to("nowhere"),
    "a link to an endless device": lambda path: path.symlink_to("/dev/zero"),
    "a socket": _socket,
    "a folder": lambda path: path.mkdir(),
    "a file of 1 TiB without content": lambda path: os.truncate(path, 2**40),
}


@pytest.mark.timeout(60)
@pytest.mark.parametrize("case", THINGS)
def test_what_is_no_plain_file_is_refused_and_waited_for_by_nobody(run, ledger, tmp_path, case):
    inner = tmp_path / "images"
    inner.mkdir()
    if "1 TiB" in case:
        (inner / "x.png").touch()
    THINGS[case](inner / "x.png")
    beside = tmp_path / "watched"
    beside.mkdir()
    answer = told(loaded(inner), beside, ["x.png", "holds no image"])
    hold(ledger, "image", f"{case}, in a folder", placed(answer, tmp_path))
    asked = ["singan", run, "editing", "--image", inner / "x.png", "--out", beside / "out"]
    answer = placed(refused(asked, beside, ["x.png"]), tmp_path)
    hold(ledger, "image", f"{case}, as --image", answer)


def test_links_that_lead_in_circles_end(ledger, tmp_path):
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "up").symlink_to(tmp_path)
    (tmp_path / "a" / "x.png").write_bytes(png())
    harmless(ledger, "image", "folders linked in a circle", told(loaded(tmp_path), tmp_path))
    assert len(loaded(tmp_path)().pixels) == 1


@pytest.mark.parametrize(
    ("case", "content"),
    [
        ("65535 x 65535 px of one colour", hostile_images.bomb),
        ("50 texts of 64 MiB each, deflated", hostile_images.texts),
    ],
)
def test_a_bomb_takes_little_memory(ledger, tmp_path, case, content):
    (tmp_path / "bomb.png").write_bytes(content())
    code = textwrap.dedent(LIMITED)
    done = subprocess.run(
        [sys.executable, "-c", code, tmp_path],
        capture_output=True,
        text=True,
        timeout=120,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_AS, (2**32, 2**32)),
    )
    mebibytes, _, message = done.stdout.partition(" ")
    fine = mebibytes.isdigit() and int(mebibytes) < 200 and "'bomb.png'" in message
    ledger.add(
        "inputs",
        kind="image",
        case=f"{case}, {2**32 >> 30} GiB of memory in all",
        found_by="by hand",
        answer="refused" if fine else "WRONG",
        message=message.strip(),
    )
    assert fine, done


FUZZED = ("PNG", "JPEG", "WEBP", "BMP", "PPM")


@pytest.mark.parametrize("kind", FUZZED)
def test_damaged_files_are_refused_or_read(ledger, whole, tmp_path, kind):
    sound = encoded(kind, SIDE // 2)
    with harvest(ledger, "image", "fuzzer", f"damaged {kind} files") as add:
        for number, data in enumerate(damaged(sound, 1000 if whole else 20, seed=kind)):
            (tmp_path / "x.png").write_bytes(data)
            answer = told(loaded(tmp_path), tmp_path, ["'x.png'"])
            add(either(answer), f"{kind}, damage {number}")
