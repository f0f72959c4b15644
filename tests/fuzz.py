"""Seeded damage to files: flipped bits, changed numbers, cuts, repeats and swaps."""

import random
from collections.abc import Iterator

_NUMBERS = (b"\0", b"\xff", b"\x7f\xff\xff\xff", b"\xff" * 4, b"\xff" * 8, b"\0" * 8, b"\x80\0\0\0")


def damaged(content: bytes, count: int, seed: str, most: int = 4) -> Iterator[bytes]:
    """Yield copies of a file with one to ``most`` wounds each; the same seed gives the same."""
    draw = random.Random(seed)
    for _ in range(count):
        data = bytearray(content)
        for _ in range(draw.randint(1, most)):
            _wound(data, draw)
        yield bytes(data)


def _wound(data: bytearray, draw: random.Random) -> None:
    if not data:
        return
    # Headers lie at the beginning and, of zips, at the end.
    place = draw.choice([draw.randrange(len(data)), draw.randrange(min(64, len(data)))])
    place = draw.choice([place, len(data) - 1 - place])
    match draw.randrange(6):
        case 0:
            data[place] ^= 1 << draw.randrange(8)
        case 1:
            data[place] = draw.randrange(256)
        case 2:
            number = draw.choice(_NUMBERS)
            data[place : place + len(number)] = number
        case 3:
            del data[place:]
        case 4:
            length = draw.randint(1, 32)
            data[place:place] = data[place : place + length]
        case 5:
            del data[place : place + draw.randint(1, 16)]
