"""Valid input made invalid by chance: fields of a tree changed, bytes of a file damaged."""

import copy
import math
import random
from typing import Any

from hypothesis import strategies as st

ODD = [
    *(None, True, False, 0, -1, 1, 3, 2**31, 2**63, 10**400, 0.5, -0.5, 1e-300, 1e308),
    *(math.inf, -math.inf, math.nan, "", "x", "0", "1e3", "null", "off", "a: b", "\n", "\x7f"),
    *("PGGAN", "SinGAN", "StyleGAN2", "fid", "../x", "/", "é", "\u202e", "x" * 500, " "),
    *([], [0], [None], [[]], ["fid", "fid"], {}, {"": 0}, {4: 1}, {"type": "x"}, {"type": None}),
]
"""Values that a field may be given in place of its own."""
_NAMES = ["", "type", "kimg", "4", "x", "..", "a.b", "question ", "Type", "\n", "x" * 300]


@st.composite
def trees(draw: st.DrawFn, tree: dict[str, Any]) -> dict[str, Any]:
    """Return a copy of a tree of dicts and lists with one to three places changed."""
    changed = copy.deepcopy(tree)
    for _ in range(draw(st.integers(1, 3))):
        places = [*_places(changed)]
        if places:
            _change(draw, *draw(st.sampled_from(places)))
    return changed


def _places(node: Any) -> Any:
    keys = [*node] if isinstance(node, dict) else [*range(len(node))]
    for key in keys:
        yield node, key
        if isinstance(node[key], dict | list):
            yield from _places(node[key])


def _change(draw: st.DrawFn, node: Any, key: Any) -> None:
    how = draw(st.sampled_from(["replace", "replace", "number", "delete", "rename", "double"]))
    if how == "replace":
        node[key] = copy.deepcopy(draw(st.sampled_from(ODD)))
    elif how == "number":
        node[key] = draw(st.integers() | st.floats(width=32) | st.text(max_size=5))
    elif how == "delete":
        del node[key]
    elif isinstance(node, list):
        node.append(copy.deepcopy(node[key]))
    else:
        name = draw(st.sampled_from(_NAMES) | st.text(max_size=4))
        node[name] = node.pop(key) if how == "rename" else copy.deepcopy(node[key])


def damaged(content: bytes, chance: random.Random) -> bytes:
    """Return bytes that were cut, flipped, inserted, left out or put in another place."""
    data = bytearray(content)
    for _ in range(chance.choice((1, 1, 1, 2, 4))):
        at, other = sorted(chance.randrange(len(data) + 1) for _ in range(2))
        match chance.randrange(6):
            case 0:
                del data[at:]
            case 1 if at < len(data):
                data[at] ^= 1 << chance.randrange(8)
            case 2:
                data[at:at] = chance.choice(_PIECES)
            case 3:
                del data[at : min(other, at + 40)]
            case 4:
                data[at:at] = data[other : other + chance.randrange(60)]
            case _:
                data[at : at + 4] = chance.randbytes(chance.randrange(8))
    return bytes(data)


_PIECES = [
    *(b"\x00", b"\xff\xfe", b"\xef\xbb\xbf", b"\t", b"\n", b"\r", b": ", b"- ", b"? ", b"!!x "),
    *(b"&a ", b"*a", b"[", b"]", b"{", b"}", b"'", b'"', b"#", b"|\n", b">", b"---\n", b"...\n"),
    *(b"1e999", b"-", b"nan", b"NaN", b"null", b"1" * 5000, b"[" * 3000, b"\\ud800", b"\\u0000"),
    *(b"!!python/name:os.system ", b"%YAML 9.9\n", "\u2028".encode(), "\x85".encode(), b","),
]
