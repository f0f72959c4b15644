"""Growth over the resolution, on real steps in processes of their own."""

import pytest

from harness.bench import resolutions
from harness.bench.resolutions import Growth, Point, measure


@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_each_resolution_is_a_point(monkeypatch):
    monkeypatch.setattr(resolutions, "_SIDES", (8, 16))
    found = measure("cpu")
    assert [(point.model, point.side) for point in found.points] == [
        (model, side) for model in ("PGGAN", "StyleGAN2") for side in (8, 16)
    ]
    assert all(point.sec > 0 and point.mib >= 0 for point in found.points)
    assert found.pictures["resolutions.png"][1].startswith(b"\x89PNG")


def test_what_would_take_too_long_is_named(monkeypatch):
    monkeypatch.setattr(resolutions, "_SIDES", (8, 16))
    monkeypatch.setattr(resolutions, "_MODEL_SEC", 0.0)
    monkeypatch.setattr(resolutions, "_apart", lambda model, side, device: (1.0, 1.0, 1.0))
    found = measure("cpu")
    assert found.skipped == (("PGGAN", 16), ("StyleGAN2", 16))
    assert "Left out, as too slow: PGGAN at 16 px, StyleGAN2 at 16 px." in found.sentence


def test_a_process_that_ends_without_an_answer_is_told(monkeypatch, capfd):
    monkeypatch.setattr(resolutions, "_SIDES", (12,))  # no scale of a network
    with pytest.raises(RuntimeError, match="PGGAN at 12 px: its process ended without an answer"):
        measure("cpu")


def test_the_sentence_says_how_both_grow():
    points = [Point("PGGAN", 8, 0.1, 1.0), Point("PGGAN", 16, 0.4, 3.0)]
    points += [Point("StyleGAN2", 8, 0.2, 1.0), Point("StyleGAN2", 16, 0.6, 3.0)]
    sentence = Growth(tuple(points), (), (8, 1)).sentence
    assert "From 8 to 16 px, 4 times the pixels, an image of PGGAN takes 4 times" in sentence
