"""Every numbered fault of MMagic has a test that carries its number.

E the EMA hook, T the timer, F fetching for PGGAN, K data files, R ReduceLR, V and B the
visualization hooks, W what they draw with, L the loops, M evaluator and metrics, P PGGAN, S SinGAN,
G StyleGAN, C what GANs share, X what mmengine does when a run begins or is resumed.
"""

import re

from tiny import TESTS

COUNTS = {"e": 13, "t": 6, "f": 11, "k": 6, "r": 14, "v": 13, "b": 1, "w": 5, "l": 6, "m": 16}
COUNTS |= {"p": 10, "s": 7, "g": 8, "c": 4, "x": 7}


def test_every_fault_has_a_test_of_its_number():
    names = " ".join(
        name
        for path in TESTS.rglob("test_*.py")
        for name in re.findall(r"^def test_((?:[a-z]\d+_)+)", path.read_text(), re.MULTILINE)
    )
    found = set(re.findall(r"[a-z]\d+", names))
    expected = {f"{letter}{n}" for letter, count in COUNTS.items() for n in range(1, count + 1)}
    assert sorted(expected - found) == []
