"""Image files that are not what they say, made byte by byte: what a user may be sent."""

import io
import struct
import zlib
from functools import cache

import numpy as np
from PIL import Image

_SIGNATURE = b"\x89PNG\r\n\x1a\n"
SIDE = 32


def chunk(kind: bytes, body: bytes, length: int | None = None, crc: int | None = None) -> bytes:
    crc = zlib.crc32(kind + body) if crc is None else crc
    return (
        struct.pack(">I", len(body) if length is None else length)
        + kind
        + body
        + struct.pack(">I", crc)
    )


def png(width=SIDE, height=SIDE, depth=8, colour=2, data=None, before=b"", end=True) -> bytes:
    """Return a PNG of one colour; ``data`` is what its IDAT chunk holds."""
    channels = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}.get(colour, 1)
    row = b"\0" * (1 + width * channels * max(depth, 8) // 8) if data is None else b""
    data = zlib.compress(row * height) if data is None else data
    head = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0))
    return _SIGNATURE + head + before + chunk(b"IDAT", data) + (chunk(b"IEND", b"") if end else b"")


def encoded(kind: str, side: int = SIDE, mode: str = "RGB", **options) -> bytes:
    """Return a sound file of noise."""
    pixels = np.random.default_rng(1).integers(0, 256, (side, side, 3), np.uint8)
    file = io.BytesIO()
    Image.fromarray(pixels).convert(mode).save(file, kind, **options)
    return file.getvalue()


def bomb() -> bytes:
    """Return a PNG of 65535 x 65535 px, of which a first part of one colour is there."""
    return png(65535, 65535, data=zlib.compress(bytes(2**26), 9))


def texts() -> bytes:
    """Return a PNG with 3 GiB of text in 3 MiB."""
    return png(before=chunk(b"zTXt", b"k\0\0" + zlib.compress(bytes(2**26), 9)) * 50)


def _frames() -> bytes:
    frames = [Image.new("RGB", (SIDE, SIDE), (n, 0, 0)) for n in range(5)]
    file = io.BytesIO()
    frames[0].save(file, "PNG", save_all=True, append_images=frames[1:])
    return file.getvalue()


def _flipped(data: bytes, place: int) -> bytes:
    return data[:place] + bytes([data[place] ^ 0xFF]) + data[place + 1 :]


def _exif(body: bytes) -> bytes:
    return encoded("JPEG", exif=b"Exif\0\0" + body)


@cache
def refused() -> dict[str, bytes]:
    """Return files that no picture can be read from, by what they are."""
    deflated = zlib.compress(b"\0" * 2**26, 9)  # 64 MiB of text in 64 KiB
    cases = {
        "empty": b"",
        "one byte": b"\x89",
        "text": b"not an image at all\n" * 20,
        "html": b"<script>alert(1)</script>",
        "zeros": bytes(4096),
        "a GIF by another name": encoded("GIF"),
        "a TIFF of floats": encoded("TIFF", mode="F"),
        "an ICO by another name": encoded("ICO"),
        "a postscript program": b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n(x) run\n",
        "an SVG that includes a file": b'<svg><image href="file:%s/etc/passwd"/></svg>' % b"//",
        "the signature of PNG alone": _SIGNATURE,
        "100,000 x 100,000 px by its header": png(100_000, 100_000, data=b"x"),
        "2^31 - 1 px wide by its header": png(2**31 - 1, 1, data=b"x"),
        "2^32 - 1 px wide and high": png(2**32 - 1, 2**32 - 1, data=b"x"),
        "0 px wide": png(0, 4, data=b"x"),
        "0 px high": png(4, 0, data=b"x"),
        "8193 x 8192 px, 200 KB": png(8193, 8192, data=zlib.compress(bytes(99999))),
        "pixels of 3 bits": png(depth=3, data=b"x"),
        "a colour type that is none": png(colour=5, data=b"x"),
        "a wrong checksum of the header": _flipped(png(), 30),
        "pixels that are not deflated": png(data=b"\xff" * 99),
        "no pixels": _SIGNATURE + chunk(b"IHDR", struct.pack(">IIBBBBB", 4, 4, 8, 2, 0, 0, 0)),
        "no header": _SIGNATURE + chunk(b"IDAT", zlib.compress(bytes(97 * 32))),
        "a compressed text of 64 MiB": png(before=chunk(b"zTXt", b"k\0\0" + deflated)),
        "a compressed international text": png(
            before=chunk(b"iTXt", b"k\0\1\0\0\0" + deflated),
        ),
        "a compressed profile of 64 MiB": png(before=chunk(b"iCCP", b"p\0\0" + deflated)),
        "70 texts of 1 MB": png(before=chunk(b"tEXt", b"k\0" + b"x" * 1_000_000) * 70),
        "a text of 100 MB that is not there": png(before=chunk(b"tEXt", b"k\0x", 100_000_000)),
        "a chunk of 4 GiB that is not there": png(before=chunk(b"tEXt", b"k", 2**32 - 1)),
        "a JPEG of its first marker alone": b"\xff\xd8\xff",
        "a JPEG without tables": b"\xff\xd8\xff\xc0\0\x11\x08\xff\xff\xff\xff\x03" + bytes(40),
        "a JPEG of 65535 x 65535 px": encoded("JPEG").replace(
            struct.pack(">HH", SIDE, SIDE), b"\xff\xff\xff\xff", 1
        ),
        "a WebP of no chunks": b"RIFF\x04\0\0\0WEBP",
        "a WebP that is 4 GiB by its header": b"RIFF\xff\xff\xff\xffWEBPVP8 \xff\xff\xff\xff" * 2,
        "a BMP of 2^31 px": b"BM"
        + struct.pack("<IIIIiiHHI", 99, 0, 54, 40, 2**30, 2, 1, 24, 0)
        + bytes(20),
        "a BMP of negative width": b"BM"
        + struct.pack("<IIIIiiHHI", 99, 0, 54, 40, -32, 32, 1, 24, 0)
        + bytes(3200),
        "a BMP whose pixels lie behind its end": b"BM"
        + struct.pack("<IIIIiiHHI", 99, 0, 2**31, 40, 32, 32, 1, 24, 0)
        + bytes(3200),
        "a PPM of no numbers": b"P6 wide high 255\n" + bytes(99),
        "a PPM of 10^9 x 10^9 px": b"P6 1000000000 1000000000 255\n" + bytes(99),
        "a PPM of a number of 10^5 digits": b"P6 " + b"9" * 100_000 + b" 1 255\n" + bytes(99),
        "a PPM of floats": b"Pf 4 4 -1.0\n" + bytes(64),
        "a PPM of letters": b"P3 32 32 255\n" + b"x " * 3072,
        "a PPM of 1 MB of white space": b"P3 32 32 255\n" + b" " * 1_000_000,
    }
    for kind in ("PNG", "JPEG", "WEBP", "BMP", "PPM"):
        whole = encoded(kind)
        for share in (0.02, 0.1, 0.5, 0.9):
            cases[f"a {kind} cut off at {share:.0%}"] = whole[: int(len(whole) * share)]
    return cases


@cache
def taken() -> dict[str, bytes]:
    """Return odd files that hold a picture nevertheless, by what they are."""
    return {
        "an animation": _frames(),
        "two headers": png(before=png()[8:33]),
        "a wrong checksum of the pixels": _flipped(png(), len(png()) - 14),
        "pixels of half the image": png(data=zlib.compress(bytes(97 * 16))),
        "16-bit grey": png(depth=16, colour=0),
        "16-bit colour": png(depth=16, colour=2),
        "CMYK": encoded("JPEG", mode="CMYK"),
        "bilevel": encoded("PNG", mode="1"),
        "a palette with alpha": encoded("PNG", mode="P", transparency=bytes(range(256))),
        "grey with alpha": encoded("PNG", mode="LA"),
        "a WebP by the name of a PNG": encoded("WEBP", lossless=True),
        "EXIF of noise": _exif(b"\xff" * 64),
        "EXIF that points to itself": _exif(b"II*\0\x08\0\0\0\x01\0\x69\x87\4\0\1\0\0\0\x08\0\0\0"),
        "EXIF of orientation 65535": _exif(
            b"II*\0\x08\0\0\0\x01\0\x12\x01\3\0\1\0\0\0\xff\xff\0\0" + bytes(4)
        ),
        "a zip behind its end": png() + b"PK\x05\x06" + bytes(18),
        "a text of markup": png(before=chunk(b"tEXt", b"Title\0<script>alert(1)</script>")),
    }
