"""The example of a hook runs as it is printed, ends training, and changes none."""

from example_scripts import EXAMPLES, said


def spreads(text):
    lines = [line for line in text.splitlines() if line.startswith("iteration")]
    return {int(line.split()[1][:-1]): float(line.split()[-1]) for line in lines}


def test_it_looks_and_ends_a_training_whose_images_are_alike(tmp_path):
    text = said("own_hook", tmp_path, "out", "10")  # any two images are more alike than that
    shown = spreads((EXAMPLES / "own_hook.txt").read_text())
    assert [*shown] == [250, 500, 750, 1000, 1250, 1500]
    assert [*spreads(text)] == [250]
    assert abs(spreads(text)[250] - shown[250]) < 0.05
    assert "training ends" in text
    assert (tmp_path / "out").is_dir()
