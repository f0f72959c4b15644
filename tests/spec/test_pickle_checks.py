"""PickleDataHook's entry in a spec: built as it is written, refused where it cannot be meant."""

from pathlib import Path

import pytest
from small_spec import spec

from harness.errors import SpecError
from harness.hooks import PickleDataHook
from harness.registry import HOOKS
from harness.spec.load import load

ENTRY = {
    "type": "PickleDataHook",
    "output_dir": "pickle",
    "interval": -1,
    "after_run": True,
    "data_name_list": ["noise_weights", "fixed_noises", "curr_stage"],
}
PAPER = sorted((Path(__file__).parents[2] / "experiments" / "paper").glob("singan-*.yaml"))


def test_an_entry_of_mmagics_configs_is_built():
    (entry,) = spec(hooks=[ENTRY]).hooks
    assert isinstance(HOOKS.build(dict(entry)), PickleDataHook)


@pytest.mark.parametrize("path", PAPER, ids=lambda path: path.stem)
def test_published_configs_keep_both_of_their_hooks(path):
    assert len(PAPER) == 3
    assert [hook["type"] for hook in load(path).hooks] == ["PickleDataHook", "VisualizationHook"]
    assert load(path).hooks[0] == ENTRY


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"output_dir": 3}, "hooks.0.output_dir: 3 is not text"),
        ({"data_name_list": "curr_stage"}, "hooks.0.data_name_list: 'curr_stage' is not a list"),
        ({"names": []}, "hooks.0.names: is not an argument of PickleDataHook"),
    ],
)
def test_a_wrong_entry_is_refused(changed, message):
    with pytest.raises(SpecError, match=message):
        spec(hooks=[ENTRY | changed])


def test_an_entry_without_its_folder_is_refused():
    with pytest.raises(SpecError, match=r"hooks.0.output_dir: is missing: PickleDataHook needs"):
        spec(hooks=[{name: value for name, value in ENTRY.items() if name != "output_dir"}])
