"""Archives that are not what they say, made byte by byte: what a user may be sent."""

import io
import stat
import struct
import tarfile
import zipfile
import zlib
from functools import cache

from hostile_images import encoded

PICTURE = encoded("PNG", 8)
_LOCAL, _CENTRAL, _END = b"PK\3\4", b"PK\1\2", b"PK\5\6"


def zipped(members, method=zipfile.ZIP_DEFLATED) -> bytes:
    """Return a zip of names and their contents."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", method) as archive:
        for name, content in members:
            archive.writestr(name, content)
    return file.getvalue()


def handmade(name: bytes, content: bytes, size: int | None = None, method=8, flags=0, **more):
    """Return a zip of one member, whose headers say what they are told to say."""
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    packed = packer.compress(content) + packer.flush() if method == 8 else content
    size = len(content) if size is None else size
    crc = more.get("crc", zlib.crc32(content))
    held = more.get("held", len(packed))
    numbers = struct.pack("<HHHHHIII", 20, flags, method, 0, 0, crc, held, size)
    local = _LOCAL + numbers + struct.pack("<HH", len(name), 0) + name + packed
    entry = _CENTRAL + struct.pack("<H", 20) + numbers
    entry += struct.pack("<HHHHHII", len(name), 0, 0, 0, 0, 0, more.get("at", 0)) + name
    count, told = more.get("count", 1), more.get("told", len(entry))
    entries = entry * more.get("repeats", 1)
    end = _END + struct.pack("<HHHHIIH", 0, 0, count, count, told, len(local), 0)
    return local + entries + end


def overlapping(count: int) -> bytes:
    """Return a zip whose members all lie upon the first one (Fifield, 2019)."""
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    content = bytes(2**24)
    packed = packer.compress(content) + packer.flush()
    numbers = struct.pack(
        "<HHHHHIII", 20, 0, 8, 0, 0, zlib.crc32(content), len(packed), len(content)
    )
    names = [b"%05d.png" % number for number in range(count)]
    local = _LOCAL + numbers + struct.pack("<HH", 9, 0) + names[0] + packed
    head = _CENTRAL + struct.pack("<H", 20) + numbers + struct.pack("<HHHHHII", 9, *[0] * 6)
    entries = b"".join(head + name for name in names)
    end = _END + struct.pack("<HHHHIIH", 0, 0, count, count, len(entries), len(local), 0)
    return local + entries + end


def _link(target: str) -> bytes:
    info = zipfile.ZipInfo("link.png")
    info.create_system, info.external_attr = 3, (stat.S_IFLNK | 0o777) << 16
    return zipped([(info, target)])


def _tar(compression: str = "") -> bytes:
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode=f"w:{compression}") as archive:
        info = tarfile.TarInfo("../../evil.png")
        info.size = len(PICTURE)
        archive.addfile(info, io.BytesIO(PICTURE))
    return file.getvalue()


def _zip64(**fields: int) -> bytes:
    """Return a zip with a record of large archives, whose numbers are nonsense."""
    whole = zipped([("a.png", PICTURE)])
    record = {"size": 44, "count": 1, "length": 51, "start": 0, **fields}
    begin = len(whole) - 22
    large = b"PK\6\6" + struct.pack(
        "<QHHIIQQQQ",
        record["size"],
        45,
        45,
        0,
        0,
        *[record["count"]] * 2,
        record["length"],
        record["start"],
    )
    locator = b"PK\6\7" + struct.pack("<IQI", 0, fields.get("at", begin), 1)
    end = _END + struct.pack("<HHHHIIH", 0, 0, 0xFFFF, 0xFFFF, 0xFFFFFFFF, 0xFFFFFFFF, 0)
    return whole[:begin] + large + locator + end


@cache
def refused() -> dict[str, bytes]:
    """Return archives that no set of images can be read from, by what they are."""
    whole = zipped([("a.png", PICTURE), ("b.png", PICTURE)])
    directory = whole.index(_CENTRAL)
    bomb = bytes(2**26)
    return {
        "empty": b"",
        "text": b"not an archive at all" * 9,
        "a tar by another name": _tar(),
        "a packed tar by another name": _tar("gz"),
        "a member's header alone": _LOCAL + bytes(26),
        "no members": zipped([]),
        "a name above the folder": zipped([("../../evil.png", PICTURE)]),
        "a name far above the folder": zipped([("../" * 200 + "evil.png", PICTURE)]),
        "a name with backslashes": zipped([("..\\..\\evil.png", PICTURE)]),
        "no pictures": zipped([("readme.txt", "text"), ("x.png/", "")]),
        "hidden pictures alone": zipped([(".a.png", PICTURE), ("__MACOSX/b.png", PICTURE)]),
        "a picture of no bytes": zipped([("a.png", b"")]),
        "a picture of text": zipped([("a.png", b"text")]),
        "cut off in the first member": whole[:60],
        "cut off before the directory": whole[:directory],
        "cut off in the directory": whole[: directory + 50],
        "cut off in its last record": whole[:-10],
        "without its first half": whole[len(whole) // 2 :],
        "a directory that begins elsewhere": whole[:-6] + b"\xff\xff\xff\x7f\0\0",
        "a directory of 4 GiB": whole[:-10] + b"\xff\xff\xff\xff" + whole[-6:],
        "a member behind the end": handmade(b"a.png", PICTURE, at=10**6),
        "a member of another name in its own header": whole.replace(b"a.png", b"z.png", 1),
        "a wrong checksum": handmade(b"a.png", PICTURE, crc=1),
        "bytes that are not deflated": handmade(b"a.png", PICTURE, method=8)
        .replace(b"\x78", b"\x79")
        .replace(b"a.png", b"a.png")[:35]
        + b"\xff" * 80
        + handmade(b"a.png", PICTURE)[115:],
        "an encrypted member": handmade(b"a.png", PICTURE, flags=1),
        "strongly encrypted": handmade(b"a.png", PICTURE, flags=0x41),
        "patched data": handmade(b"a.png", PICTURE, flags=0x20),
        "packed by bzip2": zipped([("a.png", bytes(2**22))], zipfile.ZIP_BZIP2),
        "packed by LZMA": zipped([("a.png", bytes(2**22))], zipfile.ZIP_LZMA),
        "packed by a method of 1989": handmade(b"a.png", PICTURE, method=6),
        "packed by no method": handmade(b"a.png", PICTURE, method=0xFFFF),
        "1 KB that inflate to 64 MiB": handmade(b"a.png", bomb, size=1024),
        "512 MiB in 64 KB": handmade(b"a.png", bomb, size=2**29),
        "4 GiB by its header, 200 bytes in truth": handmade(b"a.png", PICTURE, size=2**32 - 2),
        "255 MiB by its header, 200 bytes in truth": handmade(b"a.png", PICTURE, size=255 << 20),
        "more bytes held than the file has": handmade(b"a.png", PICTURE, held=2**31),
        "members upon members": overlapping(1000),
        "an archive by the name of a picture": zipped([("a.png", zipped([("b.png", PICTURE)]))]),
        "a link by its mode": _link("/etc/passwd"),
        "a link out of the folder": _link("../../../etc/passwd"),
        "64 bits: a directory of 2^63 bytes": _zip64(length=2**63),
        "64 bits: a directory at 2^62": _zip64(start=2**62),
        "64 bits: a record that lies elsewhere": _zip64(at=2**60),
        "a name that is no text": handmade(b"\xff\xfe\xfd", PICTURE, flags=0x800),
        "a name of 60,000 characters": zipped([("x" * 60_000 + ".png", b"x")]),
        "a name with an escape": zipped([("a\x1b[2J.png", b"x")]),
        "a name with a line break": zipped([("a\nharness: fine.png", b"x")]),
        "a name of markup": zipped([("<script>alert(1)</script>.png", b"x")]),
    }


@cache
def taken() -> dict[str, tuple[bytes, int]]:
    """Return odd archives whose pictures are read, with how many: nothing of them is written."""
    names = {
        "an absolute name": "/tmp/evil.png",
        "a name on a drive": "C:\\Windows\\evil.png",
        "a name on another machine": "\\\\host\\share\\evil.png",
        "a name of a device": "CON.png",
    }
    odd = {case: (zipped([(name, PICTURE)]), 1) for case, name in names.items()}
    return odd | {
        "two members of one name": (_twice(), 1),
        "a comment that is not there": (zipped([("a.png", PICTURE)])[:-2] + b"\xff\xff", 1),
        "junk before it": (b"#!/bin/sh\nexit\n" * 99 + zipped([("a.png", PICTURE)]), 1),
        "a comment of 64 KB": (_commented(), 1),
        "a count of 65535 members": (handmade(b"a.png", PICTURE, count=0xFFFF), 1),
        "a folder by the name of a picture": (zipped([("x.png/", ""), ("a.png", PICTURE)]), 1),
    }


def _twice() -> bytes:
    first = handmade(b"a.png", PICTURE)
    directory = first.index(_CENTRAL)
    entry = first[directory:-22]
    end = _END + struct.pack("<HHHHIIH", 0, 0, 2, 2, 2 * len(entry), 2 * directory, 0)
    second = entry[:42] + struct.pack("<I", directory) + entry[46:]
    return first[:directory] * 2 + entry + second + end


def _commented() -> bytes:
    return zipped([("a.png", PICTURE)])[:-2] + b"\xff\xff" + b"PK" * 32767 + b"x"
